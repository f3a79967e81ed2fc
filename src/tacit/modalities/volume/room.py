"""Where voxels are put."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.modalities.caches import Cache, cache_folder, fits


class Room:
    """Where voxels are put: in memory where they fit, else in a mapped file that goes with the process."""

    def __init__(self, cache: str | os.PathLike[str] | None, memory: int | None) -> None:
        self.cache, self.memory = cache, memory

    def filled(self, shape: tuple[int, ...], rows: Iterable[NDArray[np.float32]]) -> Tensor:
        """Rows (``shape[1:]`` each, at most ``shape[0]``) as one float32 tensor of as many as there are."""

        def fill(out: NDArray[np.float32]) -> int:
            count = 0
            for row in rows:
                out[count] = row
                count += 1
            return count

        if fits(4 * int(np.prod(shape)), self.memory):
            made = np.empty(shape, np.float32)
            return torch.from_numpy(made)[: fill(made)]
        with Cache(cache_folder(self.cache), None, "volumes").writing(shape, np.dtype(np.float32)) as writer:
            count = fill(writer.pixels)
            return torch.from_numpy(np.asarray(writer.finish({}, {})))[:count]
