"""The global contrastive objective with a temperature for each sample, by moving averages."""

from __future__ import annotations

import math
import warnings
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision
from tacit.objectives.blocks import first_of, in_blocks, leave_out_own
from tacit.objectives.contrastive import unit_views
from tacit.parts import ranks

SLOPE = 3.0
"""Bound of the slope of the objective by a temperature."""
STEEPEST = 5.0
"""The same between two parts."""


class Individual(NamedTuple):
    """What one batch gives for each of this rank's samples.

    Attributes:
        loss: ``[B]``, with gradient.
        log_s: log of the new moving average, ``[B]``.
        slope: of the objective by the sample's temperature, ``[B]``, in [-3, 3].
    """

    loss: Tensor
    log_s: Tensor
    slope: Tensor


class RobustGlobal(Objective):
    """Contrast with all samples of the data set, each anchor at its own temperature.

    For anchor view r of sample i with temperature tau_i, cosines s_rj to the m = 2B - 2 views of other samples and
    s_r+ to its own other view:

        g_r = 1/m sum_j exp(s_rj / tau_i),   S_r = (1 - gamma) S_i + gamma g_r,   w_rj = exp(s_rj / tau_i) / S_r
        loss = 1/B sum_i sum_{views r} [ 1/m sum_j w_rj s_rj  -  s_r+ ]                 (no gradient through w)
        slope_r = log S_r + rho - 1/m sum_j w_rj s_rj / tau_i

    S_i is the mean of S_r over i's views when i was last in a batch (g_r itself where it never was): it follows the
    mean over the whole data set, so that a small batch's estimate is not biased. The slope is the derivative by tau_i
    of tau_i log S + tau_i rho, the dual of a worst case over weights on the negatives whose relative entropy to equal
    weights is at most rho; where it is zero at gamma = 1, the softmax over the negatives has just that entropy. It is
    averaged over views and kept within [-3, 3]. At fixed temperatures this is SogCLR. The value says little by itself.
    Memory grows linearly with B.

    Shape: ``z1``, ``z2`` ``[B, D]``; ``tau``, ``log_s`` ``[B]``, log_s = inf where there is none yet; ``-> []``.

    Source: Qiu et al. 2023, Not All Semantics are Created Equal, algorithm 1; Yuan et al. 2022, Provable Stochastic
        Optimization for Global Contrastive Learning. Sums are kept as logarithms, which cannot overflow.

    Args:
        gamma: weight of the new estimate, in (0, 1].
        rho: bound of the relative entropy, above 0. That of m negatives is at most log m, so that a rho near it does
            not bind and temperatures sink to their floor.

    Raises:
        ValueError: for an option out of its range, shapes that do not fit, or fewer than two samples.

    Warns:
        UserWarning: if rho is more than 0.9 log m.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, gamma: float = 0.8, rho: float = 0.4) -> None:
        super().__init__()
        _check(gamma, rho)
        self.gamma = gamma
        self.rho = rho

    def forward(self, z1: Tensor, z2: Tensor, tau: Tensor, log_s: Tensor) -> Tensor:
        return self.individual(z1, z2, tau, log_s).loss.mean()

    @full_precision
    def individual(self, z1: Tensor, z2: Tensor, tau: Tensor, log_s: Tensor) -> Individual:
        """Each sample's loss and what its state becomes."""
        samples = check_pairs(z1, z2)
        for name, value in (("tau", tau), ("log_s", log_s)):
            if value.shape != (len(z1),):
                raise ValueError(f"{name} must be one for each of {len(z1)} samples, not {tuple(value.shape)}")
        negatives = 2 * samples - 2
        _warn(self.rho, negatives)
        pairs = unit_views((z1, z2))
        u = pairs.flatten(0, 1)
        everyone = ranks.gather(u)
        temperature, before = (v.to(u.dtype).repeat_interleave(2)[:, None] for v in (tau, log_s))
        first = first_of(len(u))

        def block(part: slice) -> Tensor:
            found = u[part] @ everyone.T
            with torch.no_grad():
                exponent = leave_out_own(found / temperature[part], first + part.start, group=2)
                mixed = _mixed(exponent, before[part], self.gamma, negatives)
                weight = (exponent - mixed).exp_().div_(negatives)
            drawn = (weight * found).sum(1, True)
            slope = mixed + self.rho - drawn.detach() / temperature[part]
            return torch.cat((drawn, mixed, slope), 1)

        drawn, mixed, slope = in_blocks(block, len(u), len(everyone)).view(-1, 2, 3).unbind(2)
        loss = drawn.sum(1) - 2 * (pairs[:, 0] * pairs[:, 1]).sum(1)
        log_mean = mixed.detach().logsumexp(1) - math.log(2)
        return Individual(loss, log_mean, slope.detach().mean(1).clamp(-SLOPE, SLOPE))


class RobustAcross(RobustGlobal):
    """:class:`RobustGlobal` between two parts of each sample: the anchors of one side against the other side's samples.

    For anchor i of one side with temperature tau_i and its cosines c_ij to the other side's samples, with
    h_ij = c_ij - c_ii and m = B - 1,

        g_i = 1/m sum_{j != i} exp(h_ij / tau_i),   S_i = (1 - gamma) S_i + gamma g_i,   w_ij = exp(h_ij / tau_i) / S_i
        loss = 1/B sum_i 1/m sum_{j != i} w_ij h_ij,   added up over both sides               (no gradient through w)
        slope_i = log S_i + rho - 1/m sum_{j != i} w_ij h_ij / tau_i,   within [-5, 5]

    Each side has temperatures and moving averages of its own; samples of one side are no negatives of each other.
    Memory grows linearly with B.

    Shape: ``z1``, ``z2`` ``[B, D]``; ``tau``, ``log_s`` ``[2, B]``, a row a side, log_s = inf where there is none yet;
        ``-> []``.

    Source: Qiu et al. 2023, Not All Semantics are Created Equal, the bimodal form. The code's sums also have the
        sample's own pair in them, divided by B - 1; here, as in the paper, they are over negatives. Sums are kept as
        logarithms, which takes the place of the code's running maximum.

    Args:
        gamma: weight of the new estimate, in (0, 1].
        rho: bound of the relative entropy, above 0; see :class:`RobustGlobal`.

    Raises:
        ValueError: for an option out of its range, shapes that do not fit, or fewer than two samples.

    Warns:
        UserWarning: if rho is more than 0.9 log m.
    """

    def forward(self, z1: Tensor, z2: Tensor, tau: Tensor, log_s: Tensor) -> Tensor:
        return self.individual(z1, z2, tau, log_s).loss.sum(0).mean()

    @full_precision
    def individual(self, z1: Tensor, z2: Tensor, tau: Tensor, log_s: Tensor) -> Individual:
        """Each sample's loss and what its state becomes, a row a side: ``[2, B]`` each."""
        samples = check_pairs(z1, z2)
        for name, value in (("tau", tau), ("log_s", log_s)):
            if value.shape != (2, len(z1)):
                raise ValueError(
                    f"{name} must be [2, {len(z1)}], one for each sample and side, not {tuple(value.shape)}"
                )
        _warn(self.rho, samples - 1)
        pairs = unit_views((z1, z2))
        sides = [self._side(pairs[:, i], pairs[:, 1 - i], tau[i], log_s[i]) for i in range(2)]
        loss, mixed, slope = (torch.stack(rows) for rows in zip(*sides, strict=True))
        return Individual(loss, mixed.detach(), slope.detach().clamp(-STEEPEST, STEEPEST))

    def _side(self, u: Tensor, other: Tensor, tau: Tensor, log_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        everyone = ranks.gather(other)
        negatives = len(everyone) - 1
        own = (u * other).sum(1, True)
        temperature, before = (v.to(u.dtype)[:, None] for v in (tau, log_s))
        first = first_of(len(u))

        def block(part: slice) -> Tensor:
            found = u[part] @ everyone.T - own[part]
            with torch.no_grad():
                exponent = leave_out_own(found / temperature[part], first + part.start)
                mixed = _mixed(exponent, before[part], self.gamma, negatives)
                weight = (exponent - mixed).exp_().div_(negatives)
            drawn = (weight * found).sum(1, True)
            slope = mixed + self.rho - drawn.detach() / temperature[part]
            return torch.cat((drawn, mixed, slope), 1)

        drawn, mixed, slope = in_blocks(block, len(u), len(everyone)).unbind(1)
        return drawn, mixed, slope


def _mixed(exponent: Tensor, before: Tensor, gamma: float, negatives: int) -> Tensor:
    """Moving averages after a batch, as logarithms, ``[n, 1]``; an exponent (``[n, M]``) of -inf does not count."""
    log_g = exponent.logsumexp(1, True) - math.log(negatives)
    old = before + (math.log1p(-gamma) if gamma < 1 else -torch.inf)
    return torch.where(before == torch.inf, log_g, torch.logaddexp(old, log_g + math.log(gamma)))


def _check(gamma: float, rho: float) -> None:
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma must be above 0 and at most 1, not {gamma}")
    check_positive(rho=rho)


def _warn(rho: float, negatives: int) -> None:
    if rho > 0.9 * math.log(negatives):
        warnings.warn(
            f"rho={rho:g} hardly binds: the relative entropy of {negatives} negatives is at most "
            f"{math.log(negatives):.2f}; lower rho or enlarge the batch",
            stacklevel=4,
        )
