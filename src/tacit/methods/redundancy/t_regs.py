"""T-REGS: views alike, and a batch whose minimum spanning tree is long on the sphere."""

from __future__ import annotations

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.spanning_tree import TRegs as Objective
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "t-regs",
    kind="method",
    family="redundancy",
    title="T-REGS: Minimum Spanning Tree Regularization for Self-Supervised Learning",
    year=2025,
    url="https://arxiv.org/abs/2510.23484",
    basis="reading",
)
class TRegs(JointEmbedding):
    """Two views; each view's spanning tree is made long while its points are held near the unit sphere.

    Finding the trees takes O(B^2) time and memory a step. As an addition to another method, use
    :class:`tacit.objectives.spanning_tree.TReg` on its projections.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``.
        beta: weight of the agreement of views.
        gamma: weight of the tree's length.
        lambda_: weight of the distance from the sphere, > 0. The three are ours; where beta is as large as lambda,
            points gain more by lying close together on the sphere than by a long tree, and all but collapse.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 256,
        beta: float = 0.2,
        gamma: float = 1.0,
        lambda_: float = 10.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, hidden, out], norm)
        self.objective = Objective(beta, gamma, lambda_)
