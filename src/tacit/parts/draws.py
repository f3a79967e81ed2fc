"""Random numbers for a batch that may be spread over ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.parts import ranks


class Draws:
    """Rows of random numbers, one row a sample, that do not depend on how the batch is split.

    Every rank draws the rows of the whole batch from the same generator and keeps its own, so two ranks with
    B/2 samples see together the numbers of one rank with B.

    Args:
        generator: source of randomness; torch's global CPU generator by default. It lives on the CPU so that
            the numbers are the same on every device.
        device: where the numbers are wanted.
        chunk: how many samples in a row, counted over all ranks, get the same numbers.
    """

    def __init__(
        self, generator: torch.Generator | None = None, device: torch.device | str = "cpu", chunk: int = 1
    ) -> None:
        self.generator = generator
        self.device = torch.device(device)
        self.chunk = chunk

    @classmethod
    def seeded(cls, *numbers: int, device: torch.device | str = "cpu") -> Draws:
        """Draws that are a function of some integers, e.g. ``Draws.seeded(seed, step)``."""
        return cls(torch.Generator().manual_seed(mix(*numbers)), device)

    def on(self, device: torch.device | str) -> Draws:
        """The same source with numbers on another device."""
        return Draws(self.generator, device, self.chunk)

    def in_chunks(self, chunk: int) -> Draws:
        """The same source, but ``chunk`` samples in a row get the same numbers."""
        return Draws(self.generator, self.device, chunk)

    def uniform(self, batch: int, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1): ``[batch, *shape]``, this rank's rows."""
        rows = batch * ranks.world()[1]
        return self._rows(torch.rand(-(-rows // self.chunk), *shape, generator=self.generator), rows)

    def normal(self, batch: int, *shape: int) -> Tensor:
        """Standard normal numbers: ``[batch, *shape]``, this rank's rows."""
        rows = batch * ranks.world()[1]
        return self._rows(torch.randn(-(-rows // self.chunk), *shape, generator=self.generator), rows)

    def along(self, batch: int, *shape: int) -> Tensor:
        """Uniform numbers in (0, 1) for every place of samples that are padded: ``[batch, *shape]``, this rank's rows.

        What a place gets depends on its sample and on where it lies along the last axis, and not on how far the batch
        is padded: longer padding, which may differ between ranks, changes nothing. They are made by hashing, on the
        device.
        """
        *outer, width = shape
        rows = batch * ranks.world()[1]
        seeds = torch.randint(1 << 32, (-(-rows // self.chunk), *outer), generator=self.generator)
        place = torch.arange(width, device=self.device) * 0x9E3779B1
        state = (self._rows(seeds, rows)[..., None] ^ place) & 0xFFFFFFFF
        for factor in (0x7FEB352D, 0x846CA68B):  # Wellons' lowbias32
            state = ((state ^ (state >> 16)) * factor) & 0xFFFFFFFF
        return ((state ^ (state >> 16)).float() + 0.5).clamp_max(2**32 - 512) / 2**32

    def _rows(self, numbers: Tensor, rows: int) -> Tensor:
        if self.chunk > 1:
            numbers = numbers.repeat_interleave(self.chunk, 0)[:rows]
        return ranks.local(numbers).to(self.device)

    def shared(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) that all ranks share: ``[*shape]``."""
        return torch.rand(*shape, generator=self.generator).to(self.device)

    def shared_normal(self, *shape: int) -> Tensor:
        """Standard normal numbers that all ranks share: ``[*shape]``."""
        return torch.randn(*shape, generator=self.generator).to(self.device)

    def permutation(self, rows: int) -> Tensor:
        """A permutation of ``0 .. rows-1`` that all ranks share: int64 ``[rows]``."""
        return torch.randperm(rows, generator=self.generator).to(self.device)


def mix(*numbers: int) -> int:
    """One 63-bit seed from several integers (splitmix64 in sequence); near inputs give unrelated seeds."""
    mask = (1 << 64) - 1
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state + (number & mask) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1
