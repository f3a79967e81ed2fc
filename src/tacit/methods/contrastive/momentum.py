"""What methods with a momentum teacher and a queue share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.methods.base import JointEmbedding, Samples
from tacit.parts.queue import Queue
from tacit.parts.teacher import Teacher
from tacit.views.base import View


class MomentumContrast(JointEmbedding):
    """Encoder and projector, slow copies of both whose outputs are keys, and a queue of earlier keys.

    The papers shuffle keys over devices because each device normalises its own part of the batch. Here batch norm sees
    the whole batch, on several devices too, and there is nothing to shuffle.

    A data set smaller than the queue caps it, and a warning says so at the start of a run.

    Args:
        encoder, projector: what is trained.
        queue: where keys are kept.
        momentum, final: of the teacher, at the start and at the end.
    """

    queue: Queue

    def __init__(
        self, encoder: nn.Module, projector: nn.Module, queue: Queue | None, momentum: float, final: float
    ) -> None:
        super().__init__(encoder)
        self.projector = projector
        self.teacher_encoder = Teacher(encoder, momentum, final)
        self.teacher_projector = Teacher(projector, momentum, final)
        if queue is not None:
            self.queue = queue

    def keys(self, *views: View) -> tuple[Tensor, ...]:
        """Unit vectors ``[B, out]`` of each view as the teacher sees it."""
        found = self._through(views, self.teacher_encoder)
        return tuple(functional.normalize(widened(self.teacher_projector(h)), eps=1e-6) for h in found)

    def sized(self, count: int) -> None:
        if hasattr(self, "queue"):
            self.queue.cap(count)

    def begin(self, samples: Samples) -> None:
        if hasattr(self, "queue"):
            self.queue.warn_if_capped()

    def after_step(self, progress: float) -> None:
        self.teacher_encoder.follow(self.encoder, progress)
        self.teacher_projector.follow(self.projector, progress)


def widened(x: Tensor) -> Tensor:
    """At least float32, whatever autocast made of it."""
    return x.float() if x.dtype in (torch.half, torch.bfloat16) else x
