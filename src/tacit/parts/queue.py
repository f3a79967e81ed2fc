"""A queue of what earlier batches gave, first in, first out."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.parts import ranks


class Queue(nn.Module):
    """The newest rows of one or several tensors, kept in step by one pointer; part of the ``state_dict``.

    Rows of all ranks enter, in order of rank, so every rank holds the same queue. Slots that nothing has entered yet
    hold random unit vectors, as in MoCo's code: enough to push away from, but no neighbours (see :attr:`filled`).

    Args:
        size: number of slots, at least 2.
        widths: numbers in a row of each tensor.

    Raises:
        ValueError: for fewer than two slots.
    """

    rows: Tensor
    entered: Tensor

    def __init__(self, size: int, *widths: int) -> None:
        super().__init__()
        if size < 2:
            raise ValueError(f"a queue must hold at least 2 rows, not {size}")
        self.widths, self.limit = list(widths), size
        blank = [functional.normalize(torch.randn(size, width)) for width in widths]
        self.register_buffer("rows", torch.cat(blank, 1))
        self.register_buffer("entered", torch.zeros((), dtype=torch.int64))

    def cap(self, count: int) -> None:
        """Use at most ``count`` slots (but two): more than one row a sample would be its own stale views."""
        self.limit = max(2, min(len(self.rows), count))

    def warn_if_capped(self) -> None:
        """Say so where :meth:`cap` made the queue shorter than was asked for."""
        if self.limit < len(self.rows):
            text = f"the queue of {len(self.rows):,} rows holds {self.limit:,}, since there are no more samples"
            warnings.warn(text, stacklevel=2)

    @property
    def filled(self) -> Tensor:
        """Which slots hold rows that entered: bool ``[N]``."""
        return torch.arange(self.limit, device=self.entered.device) < self.entered

    def read(self) -> list[Tensor]:
        """The rows of each tensor, ``[N, width]``; copies, which later pushes leave alone."""
        return list(self.rows[: self.limit].clone().split(self.widths, 1))

    @torch.no_grad()
    def push(self, *tensors: Tensor, shared: bool = False) -> Tensor:
        """Let the rows of all ranks enter in place of the oldest: ``[B, width]`` each.

        Args:
            tensors: the new rows of each tensor.
            shared: whether every rank gives the same rows, which then enter once.

        Returns:
            the slot of each, int64 ``[R*B]``; of a batch larger than the queue the last rows stay, and the slots of
            the others are theirs.
        """
        rows = torch.cat([t.to(self.rows.dtype) for t in tensors], 1)
        if not shared:
            rows = ranks.gather(rows)
        slots = (self.entered + torch.arange(len(rows), device=rows.device)) % self.limit
        self.rows[slots[-self.limit :]] = rows[-self.limit :]
        self.entered += len(rows)
        return slots

    def clear(self) -> None:
        """Count every slot as unfilled."""
        self.entered.zero_()
