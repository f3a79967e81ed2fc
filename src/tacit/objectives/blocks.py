"""Row by row over the similarities of a large batch, in memory that grows with the batch and not with its square."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tacit.parts import ranks

BLOCK = 2**24
"""Similarities (64 MiB of float32) that are held at a time. All of them, where there are no more, are kept
for the backward pass; else they are computed block by block, and again in the backward pass."""


def in_blocks(compute: Callable[[slice], Tensor], rows: int, columns: int, held: int = 8) -> Tensor:
    """``compute(slice(0, rows))``, a few rows at a time where ``rows * columns`` numbers would be many.

    Each block is computed again in the backward pass, so that memory grows linearly. What a row gives must neither
    depend on which other rows are in its block nor be random.

    Args:
        compute: some rows to a tensor with as many rows; it may close over tensors that carry gradients.
        rows, columns: size of the matrix that ``compute`` makes.
        held: how many of these it holds at a time.
    """
    step = max(1, BLOCK // (held * columns))
    if step >= rows:
        return compute(slice(0, rows))
    parts = (slice(start, start + step) for start in range(0, rows, step))
    return torch.cat([checkpoint(compute, part, use_reentrant=False, preserve_rng_state=False) for part in parts])


def leave_out_own(matrix: Tensor, first: int, group: int = 1, value: float = -torch.inf) -> Tensor:
    """Put ``value`` where a row meets its own group of columns, in place; row 0 is row ``first`` of all."""
    own = torch.arange(first, first + len(matrix), device=matrix.device)[:, None] // group * group
    return matrix.scatter_(1, own + torch.arange(group, device=matrix.device), value)


def first_of(rows: int) -> int:
    """Position among the rows of all ranks of this rank's first, where each rank holds ``rows``."""
    return ranks.world()[0] * rows
