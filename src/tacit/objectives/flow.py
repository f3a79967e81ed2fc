"""Objectives of generators that follow a flow."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, full_precision


class FlowMatching(Objective):
    """Error of a predicted velocity along the straight path from a sample x to noise e.

        loss = 1/BP sum | v((1 - t) x + t e, t) - (e - x) |^2

    Shape: ``prediction`` (v) and ``target`` (e - x) ``[B, ...]`` of one shape ``-> []``.

    Source: Lipman et al. 2023, Flow Matching for Generative Modeling; Ma et al. 2024, SiT, eq. 7 with the linear path.

    Raises:
        ValueError: for unequal shapes.
    """

    crosses: ClassVar[Crossing] = "local"

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        if prediction.shape != target.shape:
            raise ValueError(f"velocities must have one shape, not {tuple(prediction.shape)} and {tuple(target.shape)}")
        return functional.mse_loss(prediction, target)
