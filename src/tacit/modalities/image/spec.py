"""What views and encoders must know of a set of images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from tacit.data import Source
from tacit.errors import OptionError

NOUN = ("image", "images")
ALONE = ("image_size",)
"""Options that need no ``data.`` before them."""


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        channels: number of channels.
        size: height and width of what the encoder sees, in pixels.
        mean, std: per channel, of pixels scaled to [0, 1] (uint8) or as they are (float).
    """

    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return {"image_size": max(self.size)}

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        return f"{self.channels} channels, seen at {'x'.join(map(str, self.size))}"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        return cls(row["channels"], tuple(row["size"]), tuple(row["mean"]), tuple(row["std"]))


def spec_of(source: Source, image_size: int | None = None, sample: int = 2048) -> Spec:
    """The spec of a data set: its channels, the size to train at, and statistics of up to ``sample`` images.

    Args:
        image_size: side in pixels; by default the stored size, at most 224.
    """
    count = len(source)
    chosen = torch.linspace(0, count - 1, min(sample, count)).long()
    pixels, squares, seen = 0.0, 0.0, 0
    for batch in source.batches(256, chosen):
        x = batch["x"]
        x = x.double() / 255 if x.dtype == torch.uint8 else x.double()
        pixels = pixels + x.sum((0, 2, 3))
        squares = squares + x.square().sum((0, 2, 3))
        seen += x[:, 0].numel()
    channels, (height, width) = x.shape[1], x.shape[2:]
    mean = torch.as_tensor(pixels) / seen
    std = (torch.as_tensor(squares) / seen - mean.square()).clamp_min(0).sqrt()
    std = torch.where(std > 1e-6, std, torch.ones_like(std))
    if image_size is not None:
        if image_size < 1:
            raise OptionError(f"image_size must be a positive number of pixels, not {image_size}")
        size = (image_size, image_size)
    else:
        size = (min(height, 224), min(width, 224))
    return Spec(channels, size, tuple(mean.tolist()), tuple(std.tolist()))
