"""Objectives that predict another network's representation of the same sample."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision
from tacit.parts import ranks


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


class TokenDistance(Objective):
    """How far predicted tokens are from what another network gives, each of whose tokens is normalised first.

        loss = mean over all numbers of h(prediction - target'),   h(d) = d^2 / 2 for |d| < 1, else |d| - 1/2

    where target' is the target at zero mean and unit (biased) variance over its own numbers.

    Shape: ``prediction``, ``target`` ``[..., D] -> []``. The gradient flows into the prediction alone. Where some of
        the predictions are padding, ``valid`` (bool ``[...]``) says which are real: the mean is over these alone, of
        all ranks.

    Source: Assran et al. 2023, Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture,
    eq. 1 with the distance and the normalisation of the official code (the paper's text has the squared distance).

    Raises:
        ValueError: for unequal shapes.
    """

    crosses: ClassVar[Crossing] = "sum"

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        if prediction.shape != target.shape:
            raise ValueError(
                f"prediction and target must have one shape, not {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        wanted = functional.layer_norm(target.detach(), target.shape[-1:])
        if valid is None:
            return functional.smooth_l1_loss(prediction, wanted)
        error = functional.smooth_l1_loss(prediction, wanted, reduction="none").mean(-1)
        # The value is averaged over ranks, so each divides by the mean number of real ones per rank.
        count = ranks.total(valid.sum()).clamp_min(1) / ranks.world()[1]
        return torch.where(valid, error, 0).sum() / count


class TokenError(Objective):
    """Mean squared error of predicted tokens, without any normalisation.

        loss = mean over all numbers of (prediction - target)^2

    Shape: ``prediction``, ``target`` ``[..., D] -> []``. The gradient flows into the prediction alone.

    Source: Thimonier et al. 2024, T-JEPA: Augmentation-Free Self-Supervised Learning for Tabular Data, section 3.

    Raises:
        ValueError: for unequal shapes.
    """

    crosses: ClassVar[Crossing] = "local"

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        if prediction.shape != target.shape:
            raise ValueError(
                f"prediction and target must have one shape, not {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        return functional.mse_loss(prediction, target.detach())
