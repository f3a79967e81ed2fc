"""DINO: a slow copy of the network says what the views have in common."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding
from tacit.objectives.distillation import CrossViews
from tacit.parts.centre import CentredTeacher
from tacit.parts.heads import Norm, mlp
from tacit.parts.prototypes import Prototypes
from tacit.parts.teacher import Teacher
from tacit.registry import register
from tacit.views.base import View

GLOBAL = 2
"""Views that the teacher sees: the first ones."""


@register(
    "dino",
    kind="method",
    family="distillation",
    title="Emerging Properties in Self-Supervised Vision Transformers",
    year=2021,
    url="https://arxiv.org/abs/2104.14294",
    basis="code",
)
class DINO(JointEmbedding):
    """From every view, large or small, predict the teacher's distribution over prototypes of each other large view.

    No negatives: centring keeps one prototype from winning for all samples, a low temperature keeps the distribution
    from being flat, and prototypes that stay at first keep them from becoming alike. The paper also raises the weight
    decay.

    Args:
        encoder: gives ``[B, dim]``; the teacher starts as its copy.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``. The paper has 2048 and 256, and GELU
            for ReLU.
        prototypes: how many; the paper has 65536.
        student_temperature: of the student's distribution.
        temperature: of the teacher's, after its rise (the paper's code has 0.04 too; its longest trainings 0.07).
        first_temperature: of the teacher's, at the start.
        rise: share of the training over which the teacher's temperature rises; the paper has 30 of 100 to 800 epochs.
        centre_momentum: of the centre.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine.
        freeze: share of the training in which the prototypes stay as they began; the paper has an epoch.
        norm: normalisation in the projector and of what it gives; the paper has none, but starts from outputs that
            differ between samples no more than the centre leaves of them, which takes long to get past.
    """

    recipe: ClassVar[str] = "multi-crop"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        prototypes: int = 1024,
        student_temperature: float = 0.1,
        temperature: float = 0.04,
        first_temperature: float = 0.04,
        rise: float = 0.1,
        centre_momentum: float = 0.9,
        teacher_momentum: float = 0.996,
        freeze: float = 0.5,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        check_share(freeze)
        self.freeze = freeze
        self.projector = mlp([self.dim, hidden, hidden, out], norm, last_norm=True)
        self.prototypes = Prototypes(out, prototypes)
        self.teacher_encoder = Teacher(encoder, teacher_momentum)
        self.teacher_projector = Teacher(self.projector, teacher_momentum)
        self.teacher_prototypes = Teacher(self.prototypes, teacher_momentum)
        self.sharpen = CentredTeacher(prototypes, temperature, first_temperature, rise, centre_momentum)
        self.objective = CrossViews(student_temperature)

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        views = tuple(batch["views"])
        check_views(views, "dino")
        with torch.no_grad():
            embeddings = torch.cat(self._through(views[:GLOBAL], self.teacher_encoder))
            taught = self.teacher_prototypes(self.teacher_projector(embeddings)).unflatten(0, (GLOBAL, -1))
        scores = self.prototypes(torch.cat(self.project(*views)), self.sharpen.progress < self.freeze)
        return self.objective(scores.unflatten(0, (len(views), -1)), self.sharpen(taught))

    def after_step(self, progress: float) -> None:
        self.sharpen.progress.fill_(progress)
        self.teacher_encoder.follow(self.encoder, progress)
        self.teacher_projector.follow(self.projector, progress)
        self.teacher_prototypes.follow(self.prototypes, progress)


def check_share(freeze: float) -> None:
    """Make sure that prototypes are frozen for a share of the training.

    Raises:
        OptionError: if not.
    """
    if not 0 <= freeze <= 1:
        raise OptionError(f"freeze is a share of the training from 0 to 1, not {freeze}")


def check_views(views: tuple[View, ...], name: str) -> None:
    """Make sure that there are two views of one shape for the teacher.

    Raises:
        OptionError: if not.
    """
    if len(views) < GLOBAL or views[0]["x"].shape != views[1]["x"].shape:
        raise OptionError(
            f"{name} needs at least {GLOBAL} views, the first {GLOBAL} of one shape; use multi-crop or pair"
        )
