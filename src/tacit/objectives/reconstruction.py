"""Objectives that restore what was hidden."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, full_precision
from tacit.parts import ranks


class MaskedError(Objective):
    """Mean squared error over hidden tokens.

        loss = 1/|H| sum_{(b,n) in H} 1/P sum_p (prediction_bnp - target_bnp)^2

    H are the hidden tokens of all ranks. With ``normalise``, each token's target is first brought to zero
    mean and unit (unbiased) variance over its own P numbers, with 1e-6 added to the variance.

    Shape: ``prediction``, ``target`` ``[B, N, P]``; ``hidden`` bool ``[B, N]``; ``-> []``. Zero where none is
        hidden. Where some numbers of the targets are not real (padding, missing values), ``known`` (bool ``[B, N, P]``)
        says which are: means, variances and errors are over these alone, and a token without any counts as not hidden.

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
    def forward(self, prediction: Tensor, target: Tensor, hidden: Tensor, known: Tensor | None = None) -> Tensor:
        if prediction.shape != target.shape or prediction.ndim != 3:
            raise ValueError(
                "prediction and target must have one shape [batch, tokens, numbers], not "
                f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        if hidden.shape != target.shape[:2] or hidden.dtype != torch.bool:
            raise ValueError(
                f"hidden must be bool of shape {tuple(target.shape[:2])}, not {hidden.dtype} of {tuple(hidden.shape)}"
            )
        if self.normalise and target.shape[2] < 2:
            raise ValueError("targets of one number a token cannot be normalised: use normalise=False")
        if known is not None:
            return self._of_known(prediction, target, hidden, known)
        if self.normalise:
            variance, mean = torch.var_mean(target, dim=2, keepdim=True)
            target = (target - mean) * torch.rsqrt(variance + 1e-6)
        return self._mean((prediction - target).square().mean(2), hidden)

    def _of_known(self, prediction: Tensor, target: Tensor, hidden: Tensor, known: Tensor) -> Tensor:
        if known.shape != target.shape or known.dtype != torch.bool:
            raise ValueError(
                f"known must be bool of shape {tuple(target.shape)}, not {known.dtype} of {tuple(known.shape)}"
            )
        numbers = known.sum(2, keepdim=True)
        count = numbers.clamp_min(1)
        target = torch.where(known, target, 0)
        if self.normalise:
            mean = target.sum(2, keepdim=True) / count
            off = torch.where(known, target - mean, 0)
            variance = off.square().sum(2, keepdim=True) / (numbers - 1).clamp_min(1)
            target = off * torch.rsqrt(variance + 1e-6)
        error = torch.where(known, prediction - target, 0).square().sum(2) / count[..., 0]
        return self._mean(error, hidden & (numbers[..., 0] > 0))

    def _mean(self, error: Tensor, hidden: Tensor) -> Tensor:
        # The value is averaged over ranks, so each divides by the mean number of hidden tokens per rank.
        count = ranks.total(hidden.sum()).clamp_min(1) / ranks.world()[1]
        return torch.where(hidden, error, 0).sum() / count


class ScaledCosine(Objective):
    """Scaled cosine error: how far restored vectors point from the true ones, easy ones weighted down.

        loss = 1/|M| sum_{v in M} (1 - x_v . z_v / (|x_v| |z_v|))^gamma

    M are the rows of all ranks that are not zero: these have no direction.

    Shape: ``prediction``, ``target`` ``[M, F] -> []``, in [0, 2^gamma]. Zero where there is no row.

    Source: Hou et al. 2022, GraphMAE: Self-Supervised Masked Graph Autoencoders, eq. 2.

    Args:
        gamma: at least 1.

    Raises:
        ValueError: for a gamma below 1 or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, gamma: float = 3.0) -> None:
        super().__init__()
        if not gamma >= 1:
            raise ValueError(f"gamma must be at least 1, not {gamma}")
        self.gamma = gamma

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        if prediction.shape != target.shape or prediction.ndim != 2:
            raise ValueError(
                "prediction and target must have one shape [rows, numbers], not "
                f"{tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        real = target.square().sum(1) > 0
        off = (1 - functional.cosine_similarity(prediction, target, dim=1, eps=1e-6)).clamp_min(0)
        # The value is averaged over ranks, so each divides by the mean number of rows per rank.
        count = ranks.total(real.sum()).clamp_min(1) / ranks.world()[1]
        return torch.where(real, off**self.gamma, 0).sum() / count
