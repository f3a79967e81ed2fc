"""How embeddings lie on the sphere: alignment, uniformity and spread; cheap enough to watch a training run with.

All three divide each row by its length first; a row of zeros stays zero. Nothing is raised for NaN, which comes out
as NaN: the watch wants a figure, not an exception.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError
from tacit.evaluation.arrays import full_precision
from tacit.registry import register


def sphere(z: Any, least: int) -> Tensor:
    """Rows of a matrix of at least ``least`` rows at unit length, as float32, or float64 where they are.

    Raises:
        DataError: if it is no such matrix.
    """
    rows = torch.as_tensor(z).detach()
    if rows.ndim != 2 or len(rows) < least or rows.shape[1] < 1:
        raise DataError(f"needs a matrix of at least {least} row(s), not shape {list(rows.shape)}")
    rows = rows if rows.dtype == torch.float64 else rows.float()
    return F.normalize(rows / rows.abs().amax(1, keepdim=True).clamp_min(1e-38), dim=1)


@register(
    "alignment",
    kind="metric",
    family="label-free",
    modalities=("any",),
    title="Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere",
    year=2020,
    url="https://arxiv.org/abs/2005.10242",
)
def alignment(a: Any, b: Any, *, alpha: float = 2) -> float:
    """Mean distance of positive pairs to the power alpha (Wang & Isola 2020): 0 (equal) to 2^alpha (opposite).

    Args:
        a, b: two views' embeddings, row by row a pair: ``[B, D]`` each.

    Raises:
        DataError: if the shapes differ or are not those of a matrix.
    """
    with full_precision():
        first, second = sphere(a, 1), sphere(b, 1)
        if first.shape != second.shape:
            raise DataError(f"pairs need equal shapes, not {list(first.shape)} and {list(second.shape)}")
        return float((first - second).norm(dim=1).pow(alpha).mean())


@register(
    "uniformity",
    kind="metric",
    family="label-free",
    modalities=("any",),
    title="Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere",
    year=2020,
    url="https://arxiv.org/abs/2005.10242",
)
def uniformity(z: Any, t: float = 2, *, chunk: int = 1024) -> float:
    """Log of the mean over pairs of exp(-t |x - y|^2) (Wang & Isola 2020): 0 when collapsed, lower is more uniform.

    Each pair of different samples counts once. Never below -4t; near -2t for points spread over a wide sphere.

    Args:
        z: ``[B, D]``, at least two rows.
        chunk: rows compared at a time; the memory grows with chunk * B.

    Raises:
        DataError: if it is not a matrix of at least two rows.
    """
    with full_precision():
        points = sphere(z, 2)
        total = torch.zeros((), dtype=torch.float64, device=points.device)
        for start in range(0, len(points), chunk):
            rows, later = points[start : start + chunk], points[start:]
            squared = rows.square().sum(1)[:, None] + later.square().sum(1) - 2 * (rows @ later.T)
            total += squared.clamp_(min=0).mul_(-t).exp_().triu_(1).sum(dtype=torch.float64)
        pairs = len(points) * (len(points) - 1) / 2
        return float((total / pairs).log())


def spread(z: Any) -> float:
    """Mean standard deviation per dimension of the rows on the sphere, times sqrt(D).

    About 1 when they are spread as evenly as on the sphere, 0 when they have collapsed to a point (the measure that
    Chen & He 2021, section 4.1, watch for collapse).

    Args:
        z: ``[B, D]``.

    Raises:
        DataError: if it is not a matrix.
    """
    with full_precision():
        points = sphere(z, 1)
        return float(points.std(0, correction=0).mean() * points.shape[1] ** 0.5)
