"""Objectives that restore what was hidden."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, full_precision
from tacit.parts import ranks


class MaskedError(Objective):
    """Mean squared error over hidden tokens.

        loss = 1/|H| sum_{(b,n) in H} 1/P sum_p (prediction_bnp - target_bnp)^2

    H are the hidden tokens of all ranks. With ``normalise``, each token's target is first brought to zero
    mean and unit (unbiased) variance over its own P numbers, with 1e-6 added to the variance.

    Shape: ``prediction``, ``target`` ``[B, N, P]``; ``hidden`` bool ``[B, N]``; ``-> []``. Zero where none is
        hidden.

    Source: He et al. 2021, Masked Autoencoders Are Scalable Vision Learners, section 3.

    Args:
        normalise: whether targets are normalised token by token.

    Raises:
        ValueError: for shapes that do not fit, or ``normalise`` with one number a token.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, normalise: bool = True) -> None:
        super().__init__()
        self.normalise = normalise

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
        if prediction.shape != target.shape or prediction.ndim != 3:
            raise ValueError(
                "prediction and target must have one shape [batch, tokens, numbers], not "
                f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        if hidden.shape != target.shape[:2] or hidden.dtype != torch.bool:
            raise ValueError(
                f"hidden must be bool of shape {tuple(target.shape[:2])}, not {hidden.dtype} of {tuple(hidden.shape)}"
            )
        if self.normalise:
            if target.shape[2] < 2:
                raise ValueError("targets of one number a token cannot be normalised: use normalise=False")
            variance, mean = torch.var_mean(target, dim=2, keepdim=True)
            target = (target - mean) * torch.rsqrt(variance + 1e-6)
        error = (prediction - target).square().mean(2)
        # The value is averaged over ranks, so each divides by the mean number of hidden tokens per rank.
        count = ranks.total(hidden.sum()).clamp_min(1) / ranks.world()[1]
        return torch.where(hidden, error, 0).sum() / count
