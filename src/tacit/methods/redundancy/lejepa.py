"""LeJEPA: views near their common mean, and projections that are an isotropic Gaussian."""

from __future__ import annotations

from torch import Tensor, nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.isotropy import LeJEPA as Objective
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "lejepa",
    kind="method",
    family="redundancy",
    title="LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics",
    year=2025,
    url="https://arxiv.org/abs/2511.08544",
    basis="code",
)
class LeJEPA(JointEmbedding):
    """Two views or more; no predictor, no teacher, no stopped gradient: one weight decides.

    The random directions are drawn anew each step. The paper learns from two large and six small crops;
    ``views.count=8`` gives eight of one size, of which the first ``global_views`` are the target.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``. The paper has 2048 and 64 or more.
        lambda_: weight of isotropy in [0, 1], against that of prediction.
        global_views: how many views' mean all views are drawn to.
        directions: along how many random directions a step looks; the paper has 1024.
        knots, reach: of the quadrature over frequencies, see :class:`tacit.objectives.isotropy.SIGReg`.
        norm: normalisation in the projector.
    """

    objective: Objective

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 64,
        lambda_: float = 0.05,
        global_views: int = 2,
        directions: int = 256,
        knots: int = 17,
        reach: float = 3.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if directions < 1:
            raise ValueError(f"directions must be at least 1, not {directions}")
        self.projector = mlp([self.dim, hidden, hidden, out], norm)
        self.objective = Objective(lambda_, global_views, knots, reach)
        self.directions = directions
        self.width = out

    def compare(self, *projections: Tensor) -> dict[str, Tensor]:
        directions = Draws(device=projections[0].device).shared_normal(self.width, self.directions)
        return self.objective.terms(*projections, directions=directions)
