"""CoLES: slices of one history lie near each other, and far from the nearest slices of others."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.distances import Loss, Negatives, PairDistances
from tacit.registry import register


@register(
    "coles",
    kind="method",
    family="contrastive",
    title="CoLES: Contrastive Learning for Event Sequences with Self-Supervision",
    year=2022,
    url="https://arxiv.org/abs/2002.08232",
    basis="code",
    modalities=("events", "trajectory"),
)
class CoLES(JointEmbedding):
    """Several slices of each history (views ``slices``), nothing added, and a loss on distances of unit embeddings
    whose negatives are the hardest of the batch.

    There is no projector. The paper's other losses that are not here are other methods on the same views:
    ``--method barlow-twins --views slices --set views.count=2``, and so ``simclr`` and ``vicreg``. Other ways to cut
    are ``--views subsets`` and ``--views split``.

    Args:
        encoder: gives ``[B, dim]``.
        pairs: the loss: ``contrastive``, ``margin``, ``triplet``, ``binomial-deviance`` or ``histogram``; see
            :class:`tacit.objectives.distances.PairDistances`.
        negatives: which rows of other histories count: ``hard``, ``semi-hard``, ``random``, ``distance`` or ``all``.
        hardest: how many for each row; the paper has 5.
        margin: of the loss; 0.5 for ``contrastive``, as the paper has it.
        boundary: of the ``margin`` loss.
    """

    recipe: ClassVar[str] = "slices"
    preferred: ClassVar[str | None] = "gru"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        pairs: Loss = "contrastive",
        negatives: Negatives = "hard",
        hardest: int = 5,
        margin: float | None = None,
        boundary: float = 0.6,
    ) -> None:
        super().__init__(encoder)
        self.projector = nn.Identity()
        self.objective = PairDistances(pairs, negatives, hardest, margin, boundary)
