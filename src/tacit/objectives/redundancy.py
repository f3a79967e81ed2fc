"""Objectives that make the views of a sample agree and the dimensions of the projection differ."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision, total_of
from tacit.parts import ranks
from tacit.parts.statistics import centre, cross_moment, standardise


class BarlowTwins(Objective):
    """Cross-correlation of two views pushed towards the identity.

    With zh the projections standardised per dimension over the batch, and C = zh1^T zh2 / B,

        loss = scale * [ sum_i (C_ii - 1)^2  +  lambda sum_{i != j} C_ij^2 ]

    The batch is that of all ranks. The standardisation divides by sqrt(biased variance + 1e-5).

    Shape: ``z1``, ``z2`` ``[B, D] -> []``. Memory O(D^2).

    Source: Zbontar et al. 2021, Barlow Twins, eq. 1 and 2 (there lambda 0.0051 at D = 8192; for D of a few
        hundred,
    1/D to 0.008).

    Args:
        lambda_: weight of the off-diagonal.
        scale: factor on the whole loss.

    Raises:
        ValueError: for unequal shapes or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, lambda_: float = 0.0051, scale: float = 1.0) -> None:
        super().__init__()
        self.lambda_ = lambda_
        self.scale = scale

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        return total_of(self.terms(z1, z2))

    @full_precision
    def terms(self, z1: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """The loss as ``invariance`` (diagonal) and ``redundancy`` (off-diagonal)."""
        samples = check_pairs(z1, z2)
        return self._identity(cross_moment(standardise(z1), standardise(z2)) / samples)

    def _identity(self, correlation: Tensor) -> dict[str, Tensor]:
        diagonal = correlation.diagonal()
        return {
            "invariance": self.scale * (diagonal - 1).square().sum(),
            "redundancy": self.scale * self.lambda_ * _off_diagonal(correlation).square().sum(),
        }


class MixedBarlowTwins(BarlowTwins):
    """Barlow Twins, and the projection of a mixture shall be the mixture of the projections.

    Inputs are mixed as x_m = a x1 + (1 - a) x2[perm]; zm is the projection of x_m. With every zh standardised
    over its own batch,

        loss = scale * [ BarlowTwins(z1, z2) + mix_scale lambda sum_v || zhm^T zhv / B - G_v ||_F^2 ],  v = 1,
        2 G_v  = a zh1^T zhv / B + (1 - a) zh2[perm]^T zhv / B

    which is || (zhm - a zh1 - (1 - a) zh2[perm])^T zhv / B ||_F^2. Gradients flow through every part.

    Shape: ``z1``, ``z2``, ``zm`` ``[B, D]``; ``weight`` a, a number in [0, 1]; ``partner`` perm, int64
        ``[R*B]``, a
    permutation of the samples of all R ranks, the same on each; ``-> []``.

    Source: Bandara et al. 2023, Guarding Barlow Twins Against Overfitting with Mixed Samples. (The
    official code standardises with the unbiased variance; here it is :class:`BarlowTwins`'s at mix_scale =
    0.)

    Args:
        lambda_: weight of the off-diagonal.
        mix_scale: weight of the mixing term in units of ``lambda_``.
        scale: factor on the whole loss.

    Raises:
        ValueError: for unequal shapes, fewer than two samples, or a ``partner`` of another length than the
            batch.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, lambda_: float = 0.0078125, mix_scale: float = 4.0, scale: float = 1.0) -> None:
        super().__init__(lambda_, scale)
        self.mix_scale = mix_scale

    def forward(  # type: ignore[override]
        self, z1: Tensor, z2: Tensor, zm: Tensor, weight: Tensor | float, partner: Tensor
    ) -> Tensor:
        return total_of(self.terms(z1, z2, zm, weight, partner))

    @full_precision
    def terms(  # type: ignore[override]
        self, z1: Tensor, z2: Tensor, zm: Tensor, weight: Tensor | float, partner: Tensor
    ) -> dict[str, Tensor]:
        """The loss as ``invariance``, ``redundancy`` and ``mixing``."""
        samples = check_pairs(z1, z2, zm)
        if partner.shape != (samples,):
            raise ValueError(f"partner must permute the {samples} samples of all ranks, not {tuple(partner.shape)}")
        h1, h2, hm = standardise(z1), standardise(z2), standardise(zm)
        excess = hm - weight * h1 - (1 - weight) * ranks.gather(h2)[ranks.local(partner)]
        mixing = torch.stack([(cross_moment(excess, h) / samples).square().sum() for h in (h1, h2)]).sum()
        terms = self._identity(cross_moment(h1, h2) / samples)
        return {**terms, "mixing": self.scale * self.mix_scale * self.lambda_ * mixing}


class VICReg(Objective):
    """Variance, invariance, covariance.

    With S(z) the unbiased covariance of the projections over the batch of all ranks,

        loss = invariance * 1/BD sum (z1 - z2)^2
             + variance   * 1/2 sum_v 1/D sum_d max(0, 1 - sqrt(S(zv)_dd + 1e-4))
             + covariance * sum_v 1/D sum_{d != e} S(zv)_de^2,          v = 1, 2

    Shape: ``z1``, ``z2`` ``[B, D] -> []``. Memory O(D^2).

    Source: Bardes et al. 2022, VICReg, eq. 1 to 6, with the means of the authors' code, for which the weights
        are
    meant (the paper's text sums the variance over the views and the squares over D).

    Args:
        invariance, variance, covariance: weights of the three terms.

    Raises:
        ValueError: for unequal shapes or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> None:
        super().__init__()
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        return total_of(self.terms(z1, z2))

    @full_precision
    def terms(self, z1: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """The loss as ``invariance``, ``variance`` and ``covariance``."""
        samples = check_pairs(z1, z2)
        moments = [cross_moment(c, c) / (samples - 1) for c in (centre(z1), centre(z2))]
        spread = [functional.relu(1 - torch.sqrt(m.diagonal() + 1e-4)).mean() for m in moments]
        shared = [_off_diagonal(m).square().sum() for m in moments]
        return {
            "invariance": self.invariance * functional.mse_loss(z1, z2),
            "variance": self.variance / 2 * torch.stack(spread).sum(),
            "covariance": self.covariance / z1.shape[1] * torch.stack(shared).sum(),
        }


def _off_diagonal(matrix: Tensor) -> Tensor:
    return matrix - torch.diag_embed(matrix.diagonal())
