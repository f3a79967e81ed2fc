"""The nearest neighbours of the samples of a data set among each other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Metric = Literal["euclidean", "inner"]
BLOCK = 2**24
"""Pairs that are compared at a time."""


@torch.no_grad()
def nearest(x: Tensor, k: int, metric: Metric = "euclidean") -> Tensor:
    """The k nearest other rows of each row, nearest first, by comparing every pair.

    A row is told from itself by its position, so that duplicates are neighbours of each other.

    Args:
        x: ``[N, D]``.
        k: how many, below N.
        metric: ``euclidean`` distance, or the largest ``inner`` product.

    Returns:
        int64 ``[N, k]``, on the device of ``x``. Memory O(N k) beyond the block.

    Raises:
        ValueError: if there are no k other rows.
    """
    count = len(x)
    if not 0 < k < count:
        raise ValueError(f"{k} neighbours need at least {k + 1} samples, not {count}")
    x = x.float()
    if metric == "euclidean":
        x = x - x.mean(0)  # distances stay, and cancel less
    size = x.square().sum(1) / 2 if metric == "euclidean" else x.new_zeros(count)
    found = []
    for start, rows in zip(range(0, count, step := max(1, BLOCK // count)), x.split(step), strict=True):
        score = torch.addmm(-size, rows, x.T)
        score.diagonal(start).fill_(-torch.inf)
        found.append(score.topk(k, dim=1).indices)
    return torch.cat(found)
