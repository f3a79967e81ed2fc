"""Statistics of a batch that may be spread over ranks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tacit.parts import ranks


def centre(z: Tensor) -> Tensor:
    """``z`` minus its mean over the samples of all ranks: ``[B, D] -> [B, D]``."""
    return z - ranks.total(z.sum(0)) / (len(z) * ranks.world()[1])


def standardise(z: Tensor, eps: float = 1e-5) -> Tensor:
    """Zero mean and unit variance per dimension over the samples of all ranks: ``[B, D] -> [B, D]``.

    The variance is the biased one and ``eps`` is added to it, as in batch norm without learned scale and
    shift; a dimension that does not vary becomes zero.
    """
    if ranks.world()[1] == 1:
        return functional.batch_norm(z, None, None, training=True, eps=eps)
    z = centre(z)
    variance = ranks.total(z.square().sum(0)) / (len(z) * ranks.world()[1])
    return z * torch.rsqrt(variance + eps)


def cross_moment(a: Tensor, b: Tensor) -> Tensor:
    """Sum of outer products over the samples of all ranks: ``[B, D], [B, E] -> [D, E]``."""
    return ranks.total(a.T @ b)
