"""GroCo: a sample's views rank above its nearest other samples, by differentiable sorting."""

from __future__ import annotations

from torch import Tensor, nn

from tacit.data import Batch
from tacit.methods.base import JointEmbedding
from tacit.objectives.ordering import GroupOrdering
from tacit.parts.heads import Norm, mlp
from tacit.registry import register
from tacit.views.base import signature


@register(
    "groco",
    kind="method",
    family="contrastive",
    title="Learning by Sorting: Self-supervised Learning with Group Ordering Constraints",
    year=2023,
    url="https://arxiv.org/abs/2301.02009",
    basis="code",
)
class GroCo(JointEmbedding):
    """Two views or more; each learns to be nearer to the others than to the nearest other samples.

    Views of the first one's shape are full crops; smaller ones are anchors, and no positives.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``. The paper has 2048 for both.
        negatives: nearest other samples that take part; the paper has 10. A smaller batch has as many as it has.
        steepness: of the sorting network; the paper has 1.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 512,
        negatives: int = 10,
        steepness: float = 1.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, hidden, out], norm)
        self.objective = GroupOrdering(negatives, steepness)

    def loss(self, batch: Batch) -> Tensor:
        views = batch["views"]
        kind = signature(views[0])
        return self.objective(*self.project(*views), full=sum(signature(view) == kind for view in views))
