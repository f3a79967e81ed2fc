"""VICReg: variance, invariance and covariance regularisation."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.redundancy import VICReg as Objective
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "vicreg",
    kind="method",
    family="redundancy",
    title="VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
    year=2022,
    url="https://arxiv.org/abs/2105.04906",
    basis="code",
)
class VICReg(JointEmbedding):
    """Two views of two recipes; each dimension keeps its spread and is uncorrelated with the others.

    The paper sends each view through the network apart; here batch norm sees both at once, and the objective
    takes each view's statistics by themselves.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``. The paper has 8192 for both.
        invariance, variance, covariance: weights of the three terms.
        norm: normalisation in the projector.
    """

    recipe: ClassVar[str] = "asymmetric-pair"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 512,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, hidden, out], norm, last_bias=False)
        self.objective = Objective(invariance, variance, covariance)
