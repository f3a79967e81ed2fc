"""E2MC: a few epochs more of a finished run, with projections of maximal entropy."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from tacit.methods.base import JointEmbedding
from tacit.methods.predictive.simsiam import SimSiam
from tacit.methods.redundancy.barlow_twins import BarlowTwins
from tacit.methods.redundancy.vicreg import VICReg
from tacit.objectives.entropy import EffectiveEntropy, Space
from tacit.parts.heads import Norm
from tacit.registry import register

BASES: dict[str, tuple[type[JointEmbedding], Space]] = {
    "vicreg": (VICReg, "cube"),
    "barlow-twins": (BarlowTwins, "cube"),
    "simsiam": (SimSiam, "sphere"),
}
"""Methods whose runs can be continued, and where their projections live."""


@register(
    "e2mc",
    kind="method",
    family="redundancy",
    title="Improving Pre-Trained Self-Supervised Embeddings Through Effective Entropy Maximization",
    year=2024,
    url="https://arxiv.org/abs/2411.15931",
    basis="reading",
)
class E2MC(JointEmbedding):
    """Goes on with the base method's loss, and makes every dimension of the projection uniform and uncorrelated.

    Meant for ``continue_from``, a run of the base method, with a learning rate a tenth of that run's: encoder, heads
    and their names are those of the base, so that weights and optimiser state carry over. The base's loss has its
    default weights. Batches of 256 and more estimate the entropy well.

    Args:
        encoder: gives ``[B, dim]``.
        base: the method of the run that is continued.
        hidden, out: widths of its heads; as in that run.
        beta: weight of the marginal entropies. The paper's weights are not known to us: choose them so that each term
            starts at about a tenth of the base's loss.
        gamma: weight of the covariances in the unit cube, which are small numbers.
        norm: normalisation in the heads; as in that run.
    """

    recipe: ClassVar[str] = "asymmetric-pair"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        base: Literal["vicreg", "barlow-twins", "simsiam"] = "vicreg",
        hidden: int = 512,
        out: int = 512,
        beta: float = 1.0,
        gamma: float = 50.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.base = base
        kind, space = BASES[base]
        made = kind(encoder, hidden=hidden, out=out, norm=norm)  # type: ignore[call-arg]
        for name, module in made.named_children():
            if name != "encoder":
                setattr(self, name, module)
        self.regulariser = EffectiveEntropy(beta, gamma, space)

    def compare(self, *projections: Tensor) -> dict[str, Tensor]:
        found = BASES[self.base][0].compare(self, *projections)
        terms: dict[str, Tensor] = found if isinstance(found, dict) else {str(self.base): found}
        return terms | self.regulariser.terms(*projections)

    @property
    def in_chunks(self) -> bool:
        return self.base != "simsiam"  # whose predictor belongs to the comparison
