"""What views and encoders must know of a set of trajectories."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from tacit.data import Source

NOUN = ("trajectory", "trajectories")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        state, action, reward: how many numbers each has; action and reward may have none.
        length: of the longest trajectory, in steps.
        ragged: whether trajectories differ in length.
        mean, std: per number, in the order of state, action, reward.
        columns: options for reading other data in the same way.
    """

    state: int
    action: int
    reward: int
    length: int
    ragged: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[int, ...]:
        """Numbers of each component that there is."""
        return tuple(size for size in (self.state, self.action, self.reward) if size)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return dict(self.columns)

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        steps = f"up to {self.length}" if self.ragged else str(self.length)
        sizes = zip(("state", "action", "reward"), (self.state, self.action, self.reward), strict=True)
        return f"{steps} steps of {', '.join(f'{name} [{size}]' for name, size in sizes if size)}"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        made = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        columns = {name: tuple(value) if isinstance(value, list) else value for name, value in row["columns"].items()}
        return cls(**made | {"columns": columns})


def spec_of(source: Source, sample: int = 4096) -> Spec:
    """The spec of a data set: sizes, lengths, and statistics of up to ``sample`` trajectories."""
    chosen = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
    total, squares, seen = torch.zeros(1).double(), torch.zeros(1).double(), 0
    for batch in source.batches(256, chosen):
        x = batch["x"].double()  # padding is zero and does not count
        total, squares = total + x.sum((0, 2)), squares + x.square().sum((0, 2))
        seen += int(batch["length"].sum()) if "length" in batch else len(x) * x.shape[2]
    mean = total / seen
    std = (squares / seen - mean.square()).clamp_min(0).sqrt()
    std = torch.where(std > 1e-6 * mean.abs().clamp_min(1e-6), std, torch.ones_like(std))
    facts = source.describe()
    low, high = facts["length"]
    sizes = (facts["state"], facts["action"], facts["reward"])
    return Spec(*sizes, high, low < high, tuple(mean.tolist()), tuple(std.tolist()), dict(facts["reading"]))
