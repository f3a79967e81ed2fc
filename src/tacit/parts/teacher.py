"""A slow copy of a network, whose weights follow it."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Teacher(nn.Module):
    """A copy of ``student`` whose parameters are an exponential moving average of the student's.

    It never carries gradients, and its parameters and buffers are part of the ``state_dict``. Like the
    student it is in training mode during training: batch norm uses the batch's statistics and the teacher
    keeps its own running ones, as in BYOL's code.

    Args:
        student: the network to follow; it is copied, not held.
        momentum: weight of the old average at the start, in [0, 1]; it goes to ``final`` along a cosine,
            ``final - (final - momentum) (cos(pi progress) + 1) / 2`` (Grill et al. 2020, section 3.2).
        final: weight of the old average at the end; equal to ``momentum`` for one that stays.

    Raises:
        ValueError: for a momentum outside [0, 1].
    """

    def __init__(self, student: nn.Module, momentum: float = 0.996, final: float = 1.0) -> None:
        super().__init__()
        for value in (momentum, final):
            if not 0 <= value <= 1:
                raise ValueError(f"momentum must lie between 0 and 1, not {value}")
        self.network: Any = copy.deepcopy(student).requires_grad_(False)
        self.momentum, self.final = momentum, final

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the slow copy gives, without gradient."""
        return self.network(*args, **kwargs)

    def momentum_at(self, progress: float) -> float:
        """The momentum at ``progress`` from 0 to 1 through the training."""
        return self.final - (self.final - self.momentum) * (math.cos(math.pi * progress) + 1) / 2

    def follow(self, student: nn.Module, progress: float = 0.0) -> None:
        """Move the parameters towards those of ``student``, which must be built like the one copied."""
        update = get_ema_multi_avg_fn(self.momentum_at(progress))
        update(list(self.network.parameters()), list(student.parameters()), 0)
