"""BYOL: predict what a slow copy of the network sees in the other view."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.methods.base import JointEmbedding
from tacit.objectives.predictive import NegativeCosine
from tacit.parts.heads import Norm, mlp
from tacit.parts.teacher import Teacher
from tacit.registry import register


@register(
    "byol",
    kind="method",
    family="predictive",
    title="Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning",
    year=2020,
    url="https://arxiv.org/abs/2006.07733",
    basis="paper",
)
class BYOL(JointEmbedding):
    """A predictor on the projection of one view meets the teacher's projection of the other, both ways.

    Args:
        encoder: gives ``[B, dim]``; the teacher starts as its copy.
        hidden, out: widths of projector ``dim -> hidden -> out`` and predictor ``out -> hidden -> out``. The
            paper has 4096 and 256.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine. The paper has 0.996 for long
            training.
        norm: normalisation in projector and predictor.
    """

    recipe: ClassVar[str] = "asymmetric-pair"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 256,
        teacher_momentum: float = 0.996,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm)
        self.predictor = mlp([out, hidden, out], norm)
        self.teacher_encoder = Teacher(encoder, teacher_momentum)
        self.teacher_projector = Teacher(self.projector, teacher_momentum)
        self.objective = NegativeCosine()

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        first, second = batch["views"]
        target = self.teacher_projector(torch.cat(self._through((second, first), self.teacher_encoder)))
        prediction = self.predictor(torch.cat(self.project(first, second)))
        # The mean over both ways, times two: the paper adds them.
        return 2 * self.objective(prediction, target)

    def after_step(self, progress: float) -> None:
        self.teacher_encoder.follow(self.encoder, progress)
        self.teacher_projector.follow(self.projector, progress)
