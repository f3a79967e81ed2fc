"""Contrastive objectives that change what a sample's negatives are taken to be."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_not_negative, check_pairs, check_positive, full_precision
from tacit.objectives.contrastive import log_sum_exp_others, unit_views
from tacit.parts import ranks


class Debiased(Objective):
    """Contrast with the negatives' sum corrected for those that are of the anchor's class.

    With s_ij the cosine over t, V views of each of B samples, M = V - 1 other views v of the anchor's sample and
    N = V B - V negatives u,

        g = max( [ 1/N sum_u exp(s_iu) - tau_plus 1/M sum_v exp(s_iv) ] / (1 - tau_plus), exp(-1/t) )
        loss = mean over anchors i, positives p of -log( exp(s_ip) / (exp(s_ip) + N g) )

    over the samples of all ranks. Samples come from a mixture in which the anchor's class has the share tau_plus, so
    the mean over true negatives is the mean over all less the positives' part; g estimates it, kept above its least
    possible value. There the gradient through g is zero. With tau_plus = 0 the negatives are taken as they come.
    Memory grows linearly with B.

    Shape: two or more views ``[B, D] -> []``.

    Source: Chuang et al. 2020, Debiased Contrastive Learning, section 4; with two views, one positive.

    Args:
        tau_plus: share of samples of the anchor's class, in [0, 1). The paper has 0.1.
        temperature: t > 0. The paper has 0.5.

    Raises:
        ValueError: for an option out of its range, fewer than two views, unequal shapes, or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, tau_plus: float = 0.1, temperature: float = 0.5) -> None:
        super().__init__()
        if not 0 <= tau_plus < 1:
            raise ValueError(f"tau_plus is a share from 0 to below 1, not {tau_plus}")
        check_positive(temperature=temperature)
        self.tau_plus = tau_plus
        self.temperature = temperature

    @full_precision
    def forward(self, *projections: Tensor) -> Tensor:
        positives, others, total = self._sums(*projections)
        negatives = self.log_negatives(positives, others, total)
        return functional.softplus(negatives[:, None] - positives).mean()

    @full_precision
    def log_negatives(self, positives: Tensor, others: Tensor, total: int) -> Tensor:
        """The logarithm of N g, the estimated sum over true negatives.

        Args:
            positives: s_iv, ``[A, M]`` for A anchors.
            others: log of the sum of exp(s_iu) over the negatives as they come, ``[A]``.
            total: N.

        Shape: ``-> [A]``.
        """
        # All is divided by its largest part first, so that no exponential overflows.
        shift = torch.maximum(others, math.log(total) + positives.amax(1)).detach()
        least = (math.log(total) - 1 / self.temperature - shift).exp().clamp_min(torch.finfo(shift.dtype).tiny)
        return shift + self._estimate(positives, others, total, shift).clamp(min=least).log()

    @torch.no_grad()
    @full_precision
    def clamped(self, *projections: Tensor) -> Tensor:
        """The share of this rank's anchors whose estimate lies below what is possible: ``[]``, in [0, 1]."""
        positives, others, total = self._sums(*projections)
        shift = torch.maximum(others, math.log(total) + positives.amax(1))
        least = (math.log(total) - 1 / self.temperature - shift).exp()
        return (self._estimate(positives, others, total, shift) < least).float().mean()

    def _sums(self, *projections: Tensor) -> tuple[Tensor, Tensor, int]:
        """Positives ``[V B, M]``, log of the negatives' sum ``[V B]``, and N."""
        views = len(projections)
        if views < 2:
            raise ValueError(f"an anchor's positives are its other views, which takes at least 2 views, not {views}")
        samples = check_pairs(*projections)
        u = unit_views(projections, self.temperature)
        others = log_sum_exp_others(u.flatten(0, 1), group=views)
        own = (u @ u.transpose(1, 2))[:, ~torch.eye(views, dtype=torch.bool, device=u.device)]
        return own.view(-1, views - 1), others, views * samples - views

    def _estimate(self, positives: Tensor, others: Tensor, total: int, shift: Tensor) -> Tensor:
        """N g over exp(shift), before the clamp: ``[A]``."""
        biased = (others - shift).exp()
        mean = (positives - shift[:, None]).exp().mean(1)
        return (biased - self.tau_plus * total * mean) / (1 - self.tau_plus)


class Decoupled(Objective):
    """NT-Xent without the positive in the denominator, whose gradient does not fade as the positive is learned.

    With s_ij the cosine over t and p(i) the other view of i,

        loss = 1/2B sum_i [ log sum_{j of other samples} exp(s_ij)  -  w_i s_ip(i) ]
        w_i = 2 - exp(cos_ip / sigma) / mean_k exp(cos_kp / sigma),  or 1 without weighting

    over the samples of all ranks. Memory grows linearly with B.

    Shape: ``z1``, ``z2`` ``[B, D] -> []``.

    Source: Yeh et al. 2022, Decoupled Contrastive Learning, section 3 (there the sum over both views of each sample,
        twice this mean).

    Args:
        temperature: t > 0. The paper has 0.1 for ImageNet and 0.07 for CIFAR.
        sigma: of the weights by von Mises-Fisher; 0 leaves them out. The paper has 0.5 where it uses them.

    Raises:
        ValueError: for a temperature that is not positive, a negative sigma, unequal shapes or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, temperature: float = 0.1, sigma: float = 0.0) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        check_not_negative(sigma=sigma)
        self.temperature = temperature
        self.sigma = sigma

    @full_precision
    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        check_pairs(z1, z2)
        u = unit_views((z1, z2), self.temperature)
        positive = (u[:, 0] * u[:, 1]).sum(1)
        apart = log_sum_exp_others(u.flatten(0, 1), group=2).mean()
        if self.sigma:
            high = (self.temperature * positive - 1) / self.sigma
            mean = ranks.total(high.exp().sum()) / (len(high) * ranks.world()[1])
            positive = positive * (2 - high.exp() / mean)
        return apart - positive.mean()
