"""Objectives on what lies around a sample: distributions and numbers to be predicted for each."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, full_precision
from tacit.parts import ranks


class ContextError(Objective):
    """Mean squared error of predicted distributions or numbers over the rows that take part.

        loss = 1/|U| sum_{v in U} 1/K sum_k (g(z_v)_k - t_vk)^2,   g = softmax or identity

    U are the rows of all ranks that take part.

    Shape: ``prediction``, ``target`` ``[B, K]``; ``rows`` bool ``[B]``; ``-> []``. Zero where none takes part.

    Source: Jin et al. 2020, Self-supervised Learning on Graphs: Deep Insights and New Direction, eq. 12.

    Args:
        distribution: whether the predictions are scores before a softmax.

    Raises:
        ValueError: for shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, distribution: bool = True) -> None:
        super().__init__()
        self.distribution = distribution

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        if prediction.shape != target.shape or prediction.ndim != 2 or rows.shape != prediction.shape[:1]:
            raise ValueError(
                f"prediction and target must have one shape [rows, numbers], and rows [rows], not "
                f"{tuple(prediction.shape)}, {tuple(target.shape)} and {tuple(rows.shape)}"
            )
        found = prediction.softmax(1) if self.distribution else prediction
        error = (found - target).square().mean(1)
        # The value is averaged over ranks, so each divides by the mean number of rows per rank.
        count = ranks.total(rows.sum()).clamp_min(1) / ranks.world()[1]
        return torch.where(rows, error, 0).sum() / count


class SomeLabels(Objective):
    """Mean cross entropy of the rows that have a label.

    Shape: ``scores`` ``[B, C]``; ``y`` int64 ``[B]``; ``rows`` bool ``[B]``: which have one; ``-> []``. Zero where none
    has.

    Raises:
        ValueError: for shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    @full_precision
    def forward(self, scores: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        if scores.ndim != 2 or y.shape != scores.shape[:1] or rows.shape != y.shape:
            raise ValueError(f"scores {tuple(scores.shape)} need one label each, not labels {tuple(y.shape)}")
        log = scores.log_softmax(1).gather(1, torch.where(rows, y, 0)[:, None])[:, 0]
        count = ranks.total(rows.sum()).clamp_min(1) / ranks.world()[1]
        return -torch.where(rows, log, 0).sum() / count
