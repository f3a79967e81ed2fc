"""Objectives on pairs: do two embeddings belong to one sample?"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_not_negative, full_precision


class FocalBCE(Objective):
    """Binary cross entropy in which sure and right answers count little.

        loss = 1/N sum_i w_i (1 - r_i)^gamma (-log r_i)      r_i = sigmoid(x_i) if y_i = 1 else 1 - sigmoid(x_i)

    with w_i = alpha where y_i = 1 and 1 - alpha elsewhere. At gamma 0 and alpha 1/2 it is half of binary cross
    entropy.

    Shape: ``logits``, ``target`` ``[N] -> []``; ``target`` 0 or 1, as numbers or bool.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 5; Patacchiola & Storkey 2020 with gamma 2 and
    alpha 1/2.

    Args:
        gamma: 0 or more.
        alpha: weight of the positives, in (0, 1).

    Raises:
        ValueError: for an argument out of range, or unequal shapes.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, gamma: float = 2.0, alpha: float = 0.5) -> None:
        super().__init__()
        check_not_negative(gamma=gamma)
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
        self.gamma, self.alpha = gamma, alpha

    @full_precision
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        if logits.shape != target.shape or logits.ndim != 1 or not len(logits):
            raise ValueError(
                f"logits and target must have one shape [pairs], not {list(logits.shape)} and {list(target.shape)}"
            )
        positive = target.bool()
        away = torch.where(positive, -logits, logits)  # the logit of being wrong
        weight = torch.where(positive, self.alpha, 1 - self.alpha)
        # (1 - r)^gamma as an exponential: its slope is finite at 0 too.
        return (weight * torch.exp(self.gamma * functional.logsigmoid(away)) * functional.softplus(away)).mean()
