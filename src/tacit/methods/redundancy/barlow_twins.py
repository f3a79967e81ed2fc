"""Barlow Twins: the cross-correlation of two views pushed towards the identity."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.redundancy import BarlowTwins as Objective
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "barlow-twins",
    kind="method",
    family="redundancy",
    title="Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
    year=2021,
    url="https://arxiv.org/abs/2103.03230",
    basis="code",
)
class BarlowTwins(JointEmbedding):
    """Two views of two recipes, a wide projector, no negatives, no predictor. Gradients flow through both
    views.

    The paper sends each view through the network apart; here batch norm sees both at once, and the objective
    standardises each view by itself.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``. The paper has 8192 for both;
            accuracy grows with ``out``.
        lambda_: weight of redundancy reduction; the paper has 0.0051 at out = 8192, smaller ``out`` takes
            1/out to 0.008.
        scale: factor on the loss, for optimisers that feel it (SGD, LARS).
        norm: normalisation in the projector.
    """

    recipe: ClassVar[str] = "asymmetric-pair"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 512,
        lambda_: float = 0.0051,
        scale: float = 1.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, hidden, out], norm, last_bias=False)
        self.objective = Objective(lambda_, scale)
