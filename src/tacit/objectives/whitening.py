"""Objectives that compare views after the batch has been whitened."""

from __future__ import annotations

import itertools
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision, widest
from tacit.parts import ranks


def whiten(z: Tensor, eps: float = 0.0) -> Tensor:
    """Bring samples to zero mean and identity covariance by the inverse Cholesky factor of their covariance.

    With S the unbiased covariance of the w samples and L L^T = (1 - eps) S + eps I, each sample becomes
    L^-1 (z - mean). Cholesky whitening keeps the order of the dimensions: the first is only scaled. The factor is
    computed in float64 where the device has it, and gradients flow through it.

    Shape: ``[..., w, D] -> [..., w, D]``.

    Args:
        eps: how far the covariance is moved towards the identity, in [0, 1).

    Raises:
        ValueError: without ``eps`` if the covariance cannot be inverted.
    """
    samples, width = z.shape[-2:]
    if eps == 0 and samples <= width:
        raise ValueError(
            f"{samples} samples cannot be whitened in {width} dimensions: take more samples, a smaller width or eps > 0"
        )
    wide = z.to(widest(z.device))
    centred = wide - wide.mean(-2, keepdim=True)
    covariance = centred.mT @ centred / (samples - 1)
    identity = torch.eye(width, dtype=wide.dtype, device=wide.device)
    factor, failed = torch.linalg.cholesky_ex((1 - eps) * covariance + eps * identity)
    if bool(failed.any()) and bool(wide.isfinite().all()):
        raise ValueError("the covariance of a batch is singular and cannot be whitened: take eps > 0")
    return torch.linalg.solve_triangular(factor, centred.mT, upper=False).mT.to(z.dtype)


class WhitenedMSE(Objective):
    """Distance of the views of a sample after whitening each view.

    The batch of all ranks is cut into sub-batches, by one permutation for all views. Every view of every sub-batch
    is whitened by itself (:func:`whiten`) to y. With d views and T permutations,

        loss = 2 / (T d (d - 1)) sum_t sum_{k<l} 1/B sum_i dist(y_tki, y_tli)

    where dist is 2 - 2 cos, or 1/D of the squared distance if not ``normalise``. As whitened samples cannot all be
    alike, nothing else is needed against collapse.

    Shape: d >= 2 projections ``[B, D]``; ``orders`` int64 ``[T, R*B]``, T permutations of the samples of all R
    ranks, the same on each (by default one, the identity); ``-> []``. Memory O(T d B D).

    Source: Ermolov et al. 2021, Whitening for Self-Supervised Representation Learning, eq. 4 to 8.

    Args:
        size: samples of a sub-batch, w; there are as many equal sub-batches of at least this size as the batch
            gives, and what is left over (fewer samples than sub-batches) sits out that permutation. The paper has
            w = 2 D.
        eps: of :func:`whiten`. The paper has 0, which needs w > D.
        normalise: whether the distance is that of unit vectors.

    Raises:
        ValueError: for fewer than two views, unequal shapes, fewer than two samples, ``orders`` of another length
            than the batch, a size below 2, eps outside [0, 1), or a covariance that cannot be inverted.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, size: int = 128, eps: float = 1e-4, normalise: bool = True) -> None:
        super().__init__()
        if size < 2:
            raise ValueError(f"a sub-batch needs at least 2 samples, not {size}")
        if not 0 <= eps < 1:
            raise ValueError(f"eps must lie in [0, 1), not {eps}")
        self.size = size
        self.eps = eps
        self.normalise = normalise

    @full_precision
    def forward(self, *projections: Tensor, orders: Tensor | None = None) -> Tensor:
        samples = check_pairs(*projections)
        if len(projections) < 2:
            raise ValueError("whitened views are compared in pairs: at least 2 views are needed, not 1")
        if orders is None:
            orders = torch.arange(samples, device=projections[0].device)[None]
        if orders.ndim != 2 or orders.shape[1] != samples:
            raise ValueError(f"orders must permute the {samples} samples of all ranks, not {tuple(orders.shape)}")
        count = max(1, samples // self.size)
        size = samples // count
        everyone = ranks.gather(torch.stack(projections, 1))
        drawn = everyone[orders[:, : count * size]].unflatten(1, (count, size))  # [T, count, w, d, D]
        y = whiten(drawn.movedim(3, 0), self.eps)
        if self.normalise:
            y = functional.normalize(y, dim=-1, eps=1e-6) * 2**0.5
        pairs = list(itertools.combinations(y, 2))
        if self.normalise:
            return 2 - torch.stack([(a * b).sum(-1).mean() for a, b in pairs]).mean()
        return torch.stack([functional.mse_loss(a, b) for a, b in pairs]).mean()
