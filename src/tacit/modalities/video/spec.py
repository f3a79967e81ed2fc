"""What views and encoders must know of a set of videos."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from tacit.data import Source

NOUN = ("video", "videos")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        channels: number of channels.
        size: height and width of what the encoder sees, in pixels.
        frames: of a clip, which is what the encoder sees.
        window: frames of a sample, which clips are taken from.
        mean, std: per channel, of pixels scaled to [0, 1] (uint8) or as they are (float).
        again: options for reading other videos in the same way.
    """

    channels: int
    size: tuple[int, int]
    frames: int
    window: int
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
        channels = {1: "grey", 3: "colour"}.get(self.channels, f"{self.channels} channels")
        return f"{channels}, clips of {self.frames} of {self.window} frames at {self.size[0]}x{self.size[1]}"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        tuples = {name: tuple(row[name]) for name in ("size", "mean", "std")}
        return cls(**{**row, **tuples, "again": dict(row["again"])})


def spec_of(source: Source, sample: int = 512) -> Spec:
    """The spec of a data set: its shape, and statistics of four frames each of up to ``sample`` samples."""
    facts = source.describe()
    chosen = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
    at = torch.linspace(0, facts["window"] - 1, min(4, facts["window"])).long()
    total, squares, seen = torch.zeros(1), torch.zeros(1), 0
    for batch in source.batches(32, chosen):
        x = scaled(batch["x"][:, :, at]).double()
        total = total + x.sum((0, 2, 3, 4))
        squares = squares + x.square().sum((0, 2, 3, 4))
        seen += x[:, 0].numel()
    mean = total / seen
    std = (squares / seen - mean.square()).clamp_min(0).sqrt()
    std = torch.where(std > 1e-6, std, torch.ones_like(std))
    return Spec(
        facts["channels"], tuple(facts["size"]), facts["frames"], facts["window"], tuple(mean.tolist()),
        tuple(std.tolist()), dict(facts["reading"]),
    )  # fmt: skip


def scaled(x: torch.Tensor) -> torch.Tensor:
    """Pixels as float32: uint8 from 0 to 1, others as they are."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.float()
