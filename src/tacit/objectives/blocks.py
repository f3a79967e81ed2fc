"""Row by row over the similarities of a large batch, in memory that grows with the batch and not with its square."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

BLOCK = 2**24
"""Similarities (64 MiB of float32) held at a time; what does not fit is computed again in the backward pass."""


def by_rows(compute: Callable[[Tensor, Tensor, int], Tensor], rows: Tensor, columns: Tensor) -> Tensor:
    """``compute(rows, columns, 0)``, for large inputs block by block.

    Args:
        compute: gives one value a row from some rows ``[n, D]``, all columns ``[M, D]`` and the position of the
            first of these rows.
        rows: ``[N, D]``.
        columns: ``[M, D]``.

    Shape: ``-> [N]``.
    """
    if len(rows) * len(columns) <= BLOCK:
        return compute(rows, columns, 0)
    step = max(1, BLOCK // len(columns))
    parts = [
        checkpoint(compute, rows[start : start + step], columns, start, use_reentrant=False)
        for start in range(0, len(rows), step)
    ]
    return torch.cat(parts)
