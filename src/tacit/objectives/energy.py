"""Objectives that make a network an unnormalised density."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from tacit.objectives.base import Crossing, Objective, full_precision, total_of
from tacit.parts import ranks


def energy(logits: Tensor) -> Tensor:
    """``E = - log sum_y exp(logits_y)``, low where the data is: ``[B, C] -> [B]``.

    Source: Grathwohl et al. 2020, Your Classifier is Secretly an Energy Based Model, eq. 6.
    """
    return -logits.logsumexp(1)


class ClusterEnergy(Objective):
    """Clusters whose logits are also the log density of the data.

    With l the logits of the samples, l' those of another view of them, m those of samples drawn from the model,
    p = softmax(l), q = softmax(l') and E(l) = - log sum_y exp(l_y),

        loss = generative [ mean E(l) - mean E(m) ]  +  invariance [ - 1/B sum_b sum_y p_by log q_by ]
             + prior [ - 1/C sum_y log( 1/B sum_b p_by ) ].

    The gradient of the first is that of -log p(x), as far as m are samples of the model. It has no bound below; the
    others are at least 0 and log C. Gradients flow through everything that is given.

    Shape: ``logits``, ``other`` ``[B, C]``, ``drawn`` ``[M, C]`` or None, which leaves the first term out; ``-> []``.

    Source: Sansone & Manhaeve 2023, GEDI, section 3 (there a lower bound that is maximised).

    Args:
        generative, invariance, prior: weights of the terms.

    Raises:
        ValueError: for shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, generative: float = 1.0, invariance: float = 50.0, prior: float = 25.0) -> None:
        super().__init__()
        self.generative, self.invariance, self.prior = generative, invariance, prior

    def forward(self, logits: Tensor, other: Tensor, drawn: Tensor | None = None) -> Tensor:
        return total_of(self.terms(logits, other, drawn))

    @full_precision
    def terms(self, logits: Tensor, other: Tensor, drawn: Tensor | None = None) -> dict[str, Tensor]:
        """The loss as ``generative`` (where samples are given), ``invariance`` and ``prior``."""
        drawn_fits = drawn is None or drawn.shape[1:] == logits.shape[1:]
        if logits.ndim != 2 or other.shape != logits.shape or not drawn_fits:
            raise ValueError(
                "logits of both views must have one shape [batch, clusters], and those of drawn samples as many "
                f"clusters, not {', '.join(str(tuple(z.shape)) for z in (logits, other, drawn) if z is not None)}"
            )
        likely = logits.softmax(1)
        used = ranks.total(likely.sum(0)) / (len(logits) * ranks.world()[1])
        terms = {
            "invariance": -self.invariance * (likely * other.log_softmax(1)).sum(1).mean(),
            "prior": -self.prior * used.clamp_min(1e-8).log().mean(),
        }
        if drawn is None:
            return terms
        return {"generative": self.generative * (energy(logits).mean() - energy(drawn).mean()), **terms}
