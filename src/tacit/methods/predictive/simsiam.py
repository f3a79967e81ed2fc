"""SimSiam: predict the other view's projection, whose gradient is stopped."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.methods.base import JointEmbedding
from tacit.objectives.predictive import NegativeCosine
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "simsiam",
    kind="method",
    family="predictive",
    title="Exploring Simple Siamese Representation Learning",
    year=2020,
    url="https://arxiv.org/abs/2011.10566",
    basis="paper",
)
class SimSiam(JointEmbedding):
    """A predictor on the projection of one view meets the other's projection, both ways; no teacher, no negatives.

    The loss is 1 - cos, averaged over both ways: the paper's plus 1, with its gradient.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``, whose output is normalised. The paper
            has 2048 for both (2 layers for CIFAR).
        bottleneck: inner width of the predictor ``out -> bottleneck -> out``; the paper has a quarter of ``out``.
        norm: normalisation in projector and predictor. Without batch norm the method is likely to collapse.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 512,
        bottleneck: int = 128,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, hidden, out], norm, last_norm=True)
        self.predictor = mlp([out, bottleneck, out], norm)
        self.objective = NegativeCosine()

    def compare(self, *projections: Tensor) -> Tensor:
        first, second = projections
        prediction = self.predictor(torch.cat((first, second)))
        return self.objective(prediction, torch.cat((second, first)).detach()) / 2

    def loss(self, batch: Batch) -> Tensor:  # not in chunks: the predictor belongs to the comparison
        return self.compare(*self.project(*batch["views"]))
