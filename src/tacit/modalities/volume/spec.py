"""What views and encoders must know of a set of volumes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from tacit.data import Source

NOUN = ("volume", "volumes")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        channels: number of channels.
        size: voxels along D, H and W.
        spacing: from one voxel to the next along each, in mm; 1 where that is not known.
        mean, std: per channel, of volumes as they are stored.
        again: options for reading other volumes in the same way.
    """

    channels: int
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    again: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return dict(self.again)

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        known = "spacing" in self.again
        channels = f"{self.channels} channel{'s' * (self.channels != 1)}"
        spacing = f", {' x '.join(f'{s:.3g}' for s in self.spacing)} mm a voxel" if known else ""
        return f"{channels}, {' x '.join(map(str, self.size))} voxels{spacing}"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        again = {key: tuple(value) if isinstance(value, list) else value for key, value in row["again"].items()}
        lists = {key: tuple(row[key]) for key in ("size", "spacing", "mean", "std")}
        return cls(row["channels"], **lists, again=again)


def spec_of(source: Source, sample: int = 256) -> Spec:
    """The spec of a data set: channels, size, spacing, and statistics of up to ``sample`` volumes."""
    facts = source.describe()
    chosen = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
    total, squares, seen = torch.zeros(()), torch.zeros(()), 0
    for batch in source.batches(8, chosen):
        x = batch["x"].double()
        total, squares = total + x.sum((0, 2, 3, 4)), squares + x.square().sum((0, 2, 3, 4))
        seen += x[:, 0].numel()
    mean = total / seen
    std = (squares / seen - mean.square()).clamp_min(0).sqrt()
    std = torch.where(std > 1e-6 * mean.abs().clamp_min(1e-6), std, torch.ones_like(std))
    depth, height, width = facts["stored"]
    d, h, w = facts["spacing"] or (1.0, 1.0, 1.0)
    return Spec(
        len(mean), (depth, height, width), (d, h, w), tuple(mean.tolist()), tuple(std.tolist()), dict(facts["reading"])
    )
