"""What views and encoders must know of a set of time series."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from tacit.data import Source

NOUN = ("series", "series")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        channels: number of channels, those that say what is missing included.
        length: of the longest series, in time steps.
        ragged: whether series differ in length.
        mean, std: per channel.
        columns: options for reading other tables in the same way.
    """

    channels: int
    length: int
    ragged: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    columns: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return dict(self.columns)

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        steps = f"up to {self.length}" if self.ragged else str(self.length)
        return f"{self.channels} channel{'s' * (self.channels != 1)}, {steps} time steps"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        mean, std = tuple(row["mean"]), tuple(row["std"])
        return cls(row["channels"], row["length"], row["ragged"], mean, std, dict(row["columns"]))


def spec_of(source: Source, sample: int = 4096) -> Spec:
    """The spec of a data set: channels, lengths, and statistics of up to ``sample`` series."""
    chosen = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
    total, squares, seen, longest, ragged = 0.0, 0.0, 0, 0, False
    for batch in source.batches(256, chosen):
        x = batch["x"].double()  # padding is zero and does not count
        total, squares = total + x.sum((0, 2)), squares + x.square().sum((0, 2))
        ragged = ragged or "length" in batch
        seen += int(batch["length"].sum()) if "length" in batch else len(x) * x.shape[2]
        longest = max(longest, x.shape[2])
    mean = torch.as_tensor(total) / seen
    std = (torch.as_tensor(squares) / seen - mean.square()).clamp_min(0).sqrt()
    std = torch.where(std > 1e-6 * mean.abs().clamp_min(1e-6), std, torch.ones_like(std))
    facts = source.describe()
    longest = max([longest, *facts.get("length", [])])
    return Spec(len(mean), longest, ragged, tuple(mean.tolist()), tuple(std.tolist()), dict(facts.get("reading", {})))
