"""NNCLR: the nearest neighbour in a queue stands in for a sample's own view."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.data import Batch
from tacit.methods.base import JointEmbedding, Samples
from tacit.methods.contrastive.momentum import widened
from tacit.objectives.queue_contrastive import BatchContrast
from tacit.parts.heads import Norm, mlp
from tacit.parts.queue import Queue
from tacit.registry import register


@register(
    "nnclr",
    kind="method",
    family="contrastive",
    title="With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning of Visual Representations",
    year=2021,
    url="https://arxiv.org/abs/2104.14548",
    basis="paper",
)
class NNCLR(JointEmbedding):
    """The queue's nearest neighbour of one view's projection picks the prediction of the other view in the batch.

    Both ways, averaged. The neighbour carries no gradient. In the first step, when the queue is empty, a projection
    stands for itself.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out`` (batch norm at its end) and of the
            predictor ``out -> hidden -> out``. The paper has 2048 and 256, and 4096 inside the predictor.
        temperature: of the contrast; the paper has 0.1.
        queue: rows kept, the first view's projections; the paper has 98,304 for 1.3 million images.
        norm: normalisation in projector and predictor.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 256,
        temperature: float = 0.1,
        queue: int = 4096,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, hidden, out], norm, last_norm=True)
        self.predictor = mlp([out, hidden, out], norm)
        self.queue = Queue(queue, out)
        self.objective = BatchContrast(temperature)

    def sized(self, count: int) -> None:
        self.queue.cap(count)

    def begin(self, samples: Samples) -> None:
        self.queue.warn_if_capped()

    def nearest(self, z: Tensor) -> Tensor:
        """The filled row of the queue nearest each of ``z`` (unit rows), or itself where none is: ``[B, out]``."""
        (rows,) = self.queue.read()
        similarity = (z @ rows.to(z.dtype).T).masked_fill(~self.queue.filled, -torch.inf)
        found = rows.to(z.dtype)[similarity.argmax(1)]
        return torch.where(self.queue.entered > 0, found, z)

    def loss(self, batch: Batch) -> Tensor:
        z1, z2 = self.project(*batch["views"])
        p1, p2 = self.predictor(torch.cat((z1, z2))).chunk(2)
        with torch.no_grad(), torch.autocast(z1.device.type, enabled=False):
            u1, u2 = (functional.normalize(widened(z), eps=1e-6) for z in (z1, z2))
            near1, near2 = self.nearest(u1), self.nearest(u2)
            self.queue.push(u1)
        return (self.objective(near1, p2) + self.objective(near2, p1)) / 2
