"""Objectives that bound the mutual information of views."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision, total_of
from tacit.objectives.blocks import first_of, in_blocks
from tacit.parts import ranks


class InfoMax(Objective):
    """Alignment through a predictor, and uniformity of all projections under one logarithm.

    With p the predictions, z the projections, u = z / |z|, N samples on all ranks, and the 2N rows of both views
    numbered so that i' is the other view of i,

        loss = 1 - 1/2N sum_i cos(p_i, sg(z_i'))
             + weight log 1/2N sum_i 1/(2N-2) sum_{j not in {i, i'}} exp(u_i . u_j / t)

    The mean over i stands inside the logarithm, which with a high temperature gives an estimate of low bias. Gradients
    flow into both members of a pair in the second term, and only into p in the first. (The paper's value is smaller by
    the constant 1.) The second term is zero for a single sample's two views.

    Shape: ``p1``, ``p2``, ``z1``, ``z2`` ``[B, D] -> []``. Memory O(B D).

    Source: Lu et al. 2022, Self-Supervision Can Be a Good Few-Shot Learner, eq. 7 to 9.

    Args:
        weight: of uniformity; the paper has 0.1.
        temperature: t > 0; the paper has 2.

    Raises:
        ValueError: for unequal shapes, fewer than two samples, or a temperature that is not positive.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, weight: float = 0.1, temperature: float = 2.0) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.weight = weight
        self.temperature = temperature

    def forward(self, p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
        return total_of(self.terms(p1, p2, z1, z2))

    @full_precision
    def terms(self, p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """The loss as ``alignment`` and ``uniformity``."""
        samples = check_pairs(p1, p2, z1, z2)
        p, u = (functional.normalize(torch.cat(pair), eps=1e-6) for pair in ((p1, p2), (z1, z2)))
        first, second = u.chunk(2)
        alignment = 1 - (p * torch.cat((second, first)).detach()).sum(1).mean()
        everyone = torch.cat((ranks.gather(first), ranks.gather(second)))

        def others(half: Tensor) -> Tensor:
            return in_blocks(lambda part: self._others(half[part], everyone, part.start), len(half), len(everyone), 1)

        rows = torch.stack([others(first), others(second)], 1)
        mean = ranks.gather(rows).logsumexp((0, 1)) - math.log(2 * samples) - math.log(2 * samples - 2)
        return {"alignment": alignment, "uniformity": self.weight * mean}

    def _others(self, rows: Tensor, everyone: Tensor, start: int) -> Tensor:
        """Log of the sums over all rows of other samples."""
        samples = len(everyone) // 2
        first = start + first_of(samples // ranks.world()[1])
        own = torch.arange(first, first + len(rows), device=rows.device)[:, None]
        same = own == torch.arange(len(everyone), device=rows.device) % samples
        return (rows @ everyone.T / self.temperature).masked_fill(same, -torch.inf).logsumexp(1)
