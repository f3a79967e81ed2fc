"""Series that stay in a mapped file: what is asked for is read, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.data import pieces
from tacit.modalities.caches import as_tensor

CHECKED = 1 << 24
"""Values that are looked at at a time."""


class Mapped:
    """Series of one length in one array, or stretches of them: a :class:`tacit.sources.Store`.

    Args:
        x: ``[N, C, T]`` of any real type, in order in memory; it is not copied, and float32 comes out.
    """

    ragged = False

    def __init__(self, x: NDArray[Any]) -> None:
        count, self.channels, self.steps = x.shape
        self.flat = as_tensor(x.reshape(-1))
        self.series, self.start = torch.arange(count), torch.zeros(count, dtype=torch.int64)
        self.length = torch.full((count,), self.steps)

    def cut(self, sample: Tensor, place: Tensor, length: Tensor) -> Mapped:
        """Parts of samples, all of one length: of which each is, where in it it begins and how long it is, int64
        ``[N]`` each."""
        made = object.__new__(Mapped)
        made.channels, made.steps, made.flat = self.channels, self.steps, self.flat
        made.series, made.start, made.length = self.series[sample], self.start[sample] + place, length
        return made

    def __len__(self) -> int:
        return len(self.series)

    def take(self, index: Tensor) -> dict[str, Any]:
        channel = self.series[index][:, None] * self.channels + torch.arange(self.channels)
        begin = channel * self.steps + self.start[index][:, None]
        return {"x": pieces(self.flat, begin, int(self.length[index[0]])).float()}


def mappable(x: NDArray[Any]) -> bool:
    """Whether an array can be given as it lies: series with values, in order, none of them missing or infinite in
    float32."""
    if x.ndim not in (2, 3) or not x.size or not x.flags.c_contiguous or not x.dtype.isnative:
        return False
    if x.dtype.kind == "f":
        flat, most = x.reshape(-1), np.finfo(np.float32).max
        return all(bool((np.abs(flat[i : i + CHECKED]) <= most).all()) for i in range(0, flat.size, CHECKED))
    return x.dtype.kind == "i" or x.dtype == np.uint8
