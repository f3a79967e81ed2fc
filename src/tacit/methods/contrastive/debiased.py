"""Debiased contrastive learning: negatives corrected for those of the anchor's class."""

from __future__ import annotations

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.debiased import Debiased as Objective
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "debiased",
    kind="method",
    family="contrastive",
    title="Debiased Contrastive Learning",
    year=2020,
    url="https://arxiv.org/abs/2007.00224",
    basis="code",
)
class Debiased(JointEmbedding):
    """Two views (or more, with ``views.count``), one projector; the share of each class corrects the negatives' sum.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``. The paper has 512 and 128.
        tau_plus: share of samples of an anchor's class, in [0, 1): one over the number of classes or less. The paper
            has 0.1 for STL-10. At 0 negatives count as they come.
        temperature: of the cosines; the paper has 0.5.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        tau_plus: float = 0.1,
        temperature: float = 0.5,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = Objective(tau_plus, temperature)
