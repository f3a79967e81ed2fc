"""How far apart two sets of vectors are as distributions."""

from __future__ import annotations

import torch
from torch import Tensor

WIDTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 100.0)
"""Variances of the kernels, those of Jain et al. 2022, ColloSSL."""


def squared_mmd(x: Tensor, y: Tensor, widths: tuple[float, ...] = WIDTHS) -> Tensor:
    """The squared maximum mean discrepancy with a sum of Gaussian kernels, with each vector's own pair in the means.

        k(a, b) = sum_s exp(-|a - b|^2 / (2 s)),   mean k(x, x') + mean k(y, y') - 2 mean k(x, y), at least 0

    Shape: ``[N, D]``, ``[M, D] -> []``.

    Source: Gretton et al. 2012, A Kernel Two-Sample Test, eq. 5.

    Args:
        widths: the variances s, above 0.

    Raises:
        ValueError: for vectors of different width, or none.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ValueError(f"two sets of vectors of one width are needed, not {list(x.shape)} and {list(y.shape)}")
    rows = torch.cat((x, y)).double()
    distance = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square()
    kernel = sum((distance / (-2 * s)).exp() for s in widths)
    assert isinstance(kernel, Tensor)
    first = len(x)
    means = (
        kernel[a, b].mean() for a in (slice(first), slice(first, None)) for b in (slice(first), slice(first, None))
    )
    same, across, back, other = means
    return (same + other - across - back).clamp_min(0).to(x.dtype)
