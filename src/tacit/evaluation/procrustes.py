"""The rotation that takes one set of embeddings nearest to another, and how near that is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tacit.errors import DataError
from tacit.evaluation.geometry import sphere


def rotation(a: Any, b: Any) -> Tensor:
    """The orthogonal matrix R for which the rows of ``a @ R.T`` are nearest to those of ``b`` (Procrustes, Wahba).

    Args:
        a, b: embeddings of the same samples before and after a change, ``[N, D]`` each; rows are scaled to unit length.

    Returns:
        ``[D, D]`` float64: U V^T of the singular value decomposition of b^T a.

    Raises:
        DataError: if the shapes differ, are not those of a matrix, or hold numbers that are not finite.
    """
    first, second = _pair(a, b)
    u, _, v = torch.linalg.svd(second.T @ first)
    return u @ v


def residual(a: Any, b: Any, fitted: Tensor | None = None) -> float:
    """How much of the move from ``a`` to ``b`` is no rotation: ``mean |R a_i - b_i|^2 / mean |a_i - b_i|^2``.

    Rows are scaled to unit length. 0 for a pure rotation, 1 where no rotation comes nearer than doing nothing; 0 where
    nothing moves at all.

    Args:
        a, b: as for :func:`rotation`.
        fitted: R, e.g. that of other samples; by default that of these.

    Raises:
        DataError: as there.
    """
    first, second = _pair(a, b)
    found = rotation(a, b) if fitted is None else fitted.to(first)
    moved = (first - second).square().sum(1).mean()
    left = (first @ found.T - second).square().sum(1).mean()
    return float(left / moved.clamp_min(1e-12))


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    first, second = (sphere(torch.as_tensor(z).double(), 1) for z in (a, b))
    if first.shape != second.shape:
        raise DataError(f"pairs need equal shapes, not {list(first.shape)} and {list(second.shape)}")
    if not bool(torch.isfinite(first).all() & torch.isfinite(second).all()):
        raise DataError("embeddings must be finite, but some are NaN or infinite")
    return first, second
