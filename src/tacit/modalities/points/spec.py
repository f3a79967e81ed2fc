"""What views and encoders must know of a set of point clouds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from tacit.data import Source
from tacit.modalities.points.columns import parts_of

NOUN = ("point cloud", "point clouds")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        features: what points have besides a place, normals first.
        points: how many points of a cloud views have, at most.
        longest: points of the largest cloud.
        ragged: whether clouds differ in their number of points.
        scaling: ``each`` or ``all``, see :func:`tacit.modalities.points.reading.open_source`.
        scale: root mean square distance of points from the middle of their cloud, over all clouds.
        mean, std: of every number of the features; 0 and 1 for normals.
        again: options for reading other data in the same way.
    """

    features: tuple[str, ...]
    points: int
    longest: int
    ragged: bool
    scaling: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    again: dict[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Numbers of a point, 3 + F."""
        return 3 + len(self.mean)

    @property
    def normals(self) -> bool:
        """Whether the numbers after the place are a normal, which turns with the cloud."""
        return self.features[:1] == ("normals",)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return dict(self.again)

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        count = f"{'up to ' * self.ragged}{self.longest:,} points"
        seen = f", {self.points:,} seen at a time" if self.points < self.longest else ""
        return f"{count}{seen} with {', '.join(self.features) or 'places alone'}"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        lists = {name: tuple(row[name]) for name in ("features", "mean", "std")}
        return cls(**{**row, **lists, "again": dict(row["again"])})


def spec_of(source: Source, sample: int = 1024) -> Spec:
    """The spec of a data set: features, numbers of points, and statistics of up to ``sample`` clouds."""
    facts = source.describe()
    low, high = facts["length"]
    features = tuple(facts["features"])
    chosen = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
    width = 3 + sum(len(parts_of(name)) for name in features)
    total, squares, seen = torch.zeros(width).double(), torch.zeros(width).double(), 0
    for batch in source.batches(64, chosen):
        x = batch["x"].double()  # padding is zero and does not count
        total, squares = total + x.sum((0, 2)), squares + x.square().sum((0, 2))
        seen += int(batch["length"].sum()) if "length" in batch else len(x) * x.shape[2]
    mean, square = total[3:] / seen, squares[3:] / seen
    std = (square - mean.square()).clamp_min(0).sqrt()
    std = torch.where(std > 1e-6 * mean.abs().clamp_min(1e-6), std, torch.ones_like(std))
    if features[:1] == ("normals",):
        mean[:3], std[:3] = 0.0, 1.0
    reading = dict(facts["reading"])
    scale = float((squares[:3].sum() / seen).sqrt()) or 1.0
    return Spec(
        features, min(reading["points"], high), high, low < high, reading["scaling"], scale,
        tuple(mean.tolist()), tuple(std.tolist()), reading,
    )  # fmt: skip
