"""Objectives that predict another network's representation of the same sample."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision


class NegativeCosine(Objective):
    """Squared distance of unit vectors.

        loss = 1/B sum_i || p_i/|p_i| - t_i/|t_i| ||^2 = 1/B sum_i (2 - 2 cos(p_i, t_i))

    Gradients flow into both arguments; a method that stops one of them detaches it.

    Shape: ``prediction``, ``target`` ``[B, D] -> []``, in [0, 4].

    Source: Grill et al. 2020, Bootstrap Your Own Latent, eq. 2.

    Raises:
        ValueError: for unequal shapes or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "local"

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        check_pairs(prediction, target)
        p, t = functional.normalize(prediction, eps=1e-6), functional.normalize(target, eps=1e-6)
        return 2 - 2 * (p * t).sum(1).mean()
