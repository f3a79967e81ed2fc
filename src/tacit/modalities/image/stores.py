"""Where the pixels of a data set lie: in memory when they fit, in a memory-mapped file when they do not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Store:
    """Images of one shape that are read by position.

    Attributes:
        pixels: ``[N, C, H, W]``, or ``[N, H, W, C]`` with ``channels_last``, of any real dtype.
        channels_last: whether the channels are the last axis of ``pixels``.
        rows: int64 ``[M]``, the row of ``pixels`` of each readable image, or None when it is every row.
        mapped: whether the pixels are in a file and not in memory.
        narrow: whether integers other than uint8 lie within 0..255 and are given as uint8.
    """

    pixels: Tensor
    channels_last: bool = False
    rows: Tensor | None = None
    mapped: bool = False
    narrow: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        axes = tuple(self.pixels.shape[1:])
        return (axes[2], axes[0], axes[1]) if self.channels_last else axes  # type: ignore[return-value]

    @property
    def dtype(self) -> str:
        """The pixels' type as stored, e.g. ``uint8`` or ``uint16``."""
        return str(self.pixels.dtype).removeprefix("torch.")

    def read(self, index: Tensor) -> Tensor:
        """The images at ``index`` (int64 ``[B]``): contiguous ``[B, C, H, W]``, uint8 or float32.

        Bool becomes 0 and 255, uint16 is divided by 65535, integers within 0..255 become uint8, and all else
        is float32 as it is.
        """
        x = self.pixels.index_select(0, index if self.rows is None else self.rows[index])
        if self.channels_last:
            x = x.permute(0, 3, 1, 2).contiguous()
        if x.dtype == torch.uint8 or x.dtype == torch.float32:
            return x
        if x.dtype == torch.bool:
            return x.to(torch.uint8) * 255
        if x.dtype == torch.uint16:
            return x.to(torch.float32) / 65535
        return x.to(torch.uint8 if self.narrow else torch.float32)
