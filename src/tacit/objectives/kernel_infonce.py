"""InfoNCE with kernels other than the Gaussian, and mixtures of two."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision, total_of
from tacit.objectives.learned import ArcCosine, Exponential, Learned
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import Augmentation
from tacit.parts import ranks
from tacit.parts.statistics import cross_moment

Mixture = Literal["none", "sum", "concatenation"]


class KernelInfoNCE(Objective):
    """InfoNCE with an exponential kernel, alone or mixed with the Gaussian.

    With views a, b of each sample, normalised and scaled by sqrt(mu), and o their union,

        L_gamma = -mean_i log( k(a_i, b_i) / sum_{j != i} k(o_i, o_j) ),   k(a, b) = exp(-|| a - b ||_p^gamma / t)

    over the rows of all ranks, as anchors both views. Mixtures with the Gaussian kernel (gamma = 2):

        sum:            lambda L_gamma(z) + (1 - lambda) L_2(z)
        concatenation:  lambda L_gamma(first half of z) + (1 - lambda) L_2(second half of z)

    Each term is :class:`~tacit.objectives.relation.Relation` of augmentation and kernel. At gamma = 2 and p = 2 it is
    NT-Xent at temperature t / (2 mu). (The official code adds 1e-6 to the sum; here it is a log-softmax.)

    Shape: ``z1``, ``z2`` ``[B, D] -> []``. Memory grows linearly with B.

    Source: Tan et al. 2024, Contrastive Learning Is Spectral Clustering On Similarity Graph, on kernel mixtures.

    Args:
        gamma: exponent, in (0, 2].
        temperature: t > 0.
        mixture: ``none`` is L_gamma alone.
        lambda_: weight of L_gamma in a mixture, in [0, 1].
        p: of the norm, at least 1.
        mu: squared length of the normalised projections, above 0.
        arc_cosine: 1, 2 or 3 for an arc-cosine kernel of that order in place of the exponential; 0 for none. Such a
            kernel takes a temperature of at most 1 and no mixture.

    Raises:
        ValueError: for an option out of its range, unequal shapes, fewer than two samples, or an odd width with
            ``concatenation``.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(
        self,
        gamma: float = 1.0,
        temperature: float = 0.5,
        mixture: Mixture = "sum",
        lambda_: float = 0.5,
        p: float = 2.0,
        mu: float = 1.0,
        arc_cosine: int = 0,
    ) -> None:
        super().__init__()
        if mixture not in get_args(Mixture):
            raise ValueError(f"mixture must be one of {', '.join(get_args(Mixture))}, not '{mixture}'")
        if not 0 <= lambda_ <= 1:
            raise ValueError(f"lambda_ is a weight from 0 to 1, not {lambda_}")
        check_positive(mu=mu)
        if arc_cosine and (mixture != "none" or mu != 1):
            raise ValueError("an arc-cosine kernel takes no mixture and mu = 1")
        self.mixture = mixture
        self.lambda_ = lambda_
        self.p = p
        self.mu = mu
        kernel: Learned = ArcCosine(arc_cosine, temperature) if arc_cosine else self._exponential(gamma, temperature)
        self.first = Relation(Augmentation(), kernel, "cross-entropy")
        self.second = Relation(Augmentation(), self._exponential(2.0, temperature), "cross-entropy")

    def _exponential(self, gamma: float, temperature: float) -> Exponential:
        # Projections are normalised as a whole, before they are halved.
        return Exponential(gamma, temperature, self.p, normalise=False)

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        return total_of(self.terms(z1, z2))

    @full_precision
    def terms(self, z1: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """The loss as ``exponential`` and, in a mixture, ``gaussian``."""
        check_pairs(z1, z2)
        whole = [functional.normalize(z, p=self.p, eps=1e-6) * self.mu**0.5 for z in (z1, z2)]
        if self.mixture == "none":
            return {"exponential": self.first(*whole)}
        half = z1.shape[1] // 2
        if self.mixture == "concatenation" and z1.shape[1] % 2:
            raise ValueError(f"projections of odd width {z1.shape[1]} cannot be halved")
        parts = [[z[:, :half] for z in whole], [z[:, half:] for z in whole]]
        first, second = parts if self.mixture == "concatenation" else (whole, whole)
        return {
            "exponential": self.lambda_ * self.first(*first),
            "gaussian": (1 - self.lambda_) * self.second(*second),
        }


class SpectralContrastive(Objective):
    """Inner products of a sample's views large, those of different rows near zero.

    With o the 2B projections of both views at unit length,

        loss = 1/(B (B - 1)) sum_i sum_{j != i} (o_i . o_j)^2  -  2/B sum_i a_i . b_i

    over the samples of all ranks.

    Shape: ``z1``, ``z2`` ``[B, D] -> []``. Memory O(D^2).

    Source: HaoChen et al. 2021, Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss,
        with the normalisation and sums that the code of :class:`KernelInfoNCE` has for it.

    Raises:
        ValueError: for unequal shapes or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "sum"

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        return total_of(self.terms(z1, z2))

    @full_precision
    def terms(self, z1: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """The loss as ``uniformity`` (all pairs) and ``alignment`` (a sample's own)."""
        samples = check_pairs(z1, z2)
        a, b = (functional.normalize(z, eps=1e-6) for z in (z1, z2))
        # The sum of all squared inner products is that of the squared second moments of the dimensions.
        moments = cross_moment(a, a) + cross_moment(b, b)
        own = ranks.total(a.square().sum(1).square().sum() + b.square().sum(1).square().sum())
        return {
            "uniformity": (moments.square().sum() - own) / (samples * (samples - 1)),
            "alignment": -2 * (a * b).sum(1).mean(),
        }
