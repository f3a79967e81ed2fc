"""Decoupled contrastive learning: NT-Xent without the positive in the denominator."""

from __future__ import annotations

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.debiased import Decoupled
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "dcl",
    kind="method",
    family="contrastive",
    title="Decoupled Contrastive Learning",
    year=2022,
    url="https://arxiv.org/abs/2110.06848",
    basis="code",
)
class DCL(JointEmbedding):
    """SimCLR whose denominator holds other samples only, so that small batches do not weaken its gradient.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``. The paper has 2048 and 128.
        temperature: of the cosines; the paper has 0.1, and 0.07 for CIFAR.
        sigma: of the weights that make hard positives count more (DCLW); 0 for none. The paper has 0.5 for it.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        temperature: float = 0.1,
        sigma: float = 0.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = Decoupled(temperature, sigma)
