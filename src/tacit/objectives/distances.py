"""Objectives on the distances of pairs: views of one sample shall lie near each other, and far from the others."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision
from tacit.objectives.blocks import first_of
from tacit.parts import ranks
from tacit.parts.draws import Draws

Loss = Literal["contrastive", "margin", "triplet", "binomial-deviance", "histogram"]
Negatives = Literal["hard", "semi-hard", "random", "distance", "all"]
LEAST = 1e-8
"""Squared distance below which a distance has no gradient."""
BINS = 100
SLOPE, MIDDLE, COST = 1.0, 0.4, 35.0
"""Of binomial deviance: alpha, beta and C of the official code."""
NEAR, FAR = 0.5, 1.4
"""Distances between which the chance to be drawn is weighted by the density of distances on the sphere."""


class PairDistances(Objective):
    """Losses on the distances D of unit vectors, between V views of each of B samples.

    With P(i) the other views of i's sample and N(i) the negatives chosen for i, over the n = V B rows of all ranks:

    * ``contrastive``: ``1/n sum_i [ 1/2 sum_{p in P(i)} D_ip^2 + sum_{k in N(i)} max(0, margin - D_ik)^2 ]``
    * ``margin``: ``1/n sum_i [ 1/2 sum_p max(0, D_ip - boundary + margin) + sum_k max(0, boundary - D_ik + margin) ]``
    * ``triplet``: ``1/n sum_i sum_p sum_k max(0, D_ip^2 - D_ik^2 + margin) / |P(i)|``
    * ``binomial-deviance``: mean over pairs (i, p) of ``log(1 + exp(-a (s_ip - b)))`` plus mean over pairs (i, k) of
      ``log(1 + exp(a c (s_ik - b)))``, s the cosine, a = 1, b = 0.4, c = 35
    * ``histogram``: the chance that a random pair (i, k) is more alike than a random pair (i, p), from histograms of s
      with 100 bins and linear interpolation between them

    Negatives are chosen by distance without gradient: ``hard``: the nearest rows of other samples; ``semi-hard``: the
    nearest that lie farther than the farthest of P(i), if any; ``random``; ``distance``: at random with weight
    1 / q(D), q the density of distances on the sphere, between D = 0.5 and 1.4; ``all``.

    The paper's sum over all pairs is divided by n here, so that the learning rate does not depend on the batch.

    Shape: two or more views ``[B, D] -> []``. Memory O(n^2).

    Source: Babaev et al. 2022, CoLES: Contrastive Learning for Event Sequences with Self-Supervision, section 3.3 and
    the official code. ``margin`` and ``distance``: Wu et al. 2017, Sampling Matters in Deep Embedding Learning;
    ``triplet`` and ``semi-hard``: Schroff et al. 2015, FaceNet; ``binomial-deviance``: Yi et al. 2014, Deep Metric
    Learning for Person Re-Identification; ``histogram``: Ustinova & Lempitsky 2016, Learning Deep Embeddings with
    Histogram Loss.

    Args:
        loss: one of these.
        negatives: how N(i) is chosen.
        count: size of N(i) at most, unless all are taken.
        margin: above 0; 0.5 by default, 0.3 for ``margin``; the last two losses have none.
        boundary: of ``margin``, above 0.

    Raises:
        ValueError: for an unknown name, a value out of its range, fewer than two views, unequal shapes, or fewer than
            two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(
        self,
        loss: Loss = "contrastive",
        negatives: Negatives = "hard",
        count: int = 5,
        margin: float | None = None,
        boundary: float = 0.6,
    ) -> None:
        super().__init__()
        for value, known in ((loss, Loss), (negatives, Negatives)):
            if value not in get_args(known):
                raise ValueError(f"'{value}' is not one of {', '.join(get_args(known))}")
        margin = (0.3 if loss == "margin" else 0.5) if margin is None else margin
        check_positive(count=count, margin=margin, boundary=boundary)
        self.loss, self.negatives, self.count = loss, negatives, count
        self.margin, self.boundary = margin, boundary

    def forward(self, *projections: Tensor) -> Tensor:
        return torch.stack(list(self.terms(*projections).values())).sum()

    @full_precision
    def terms(self, *projections: Tensor) -> dict[str, Tensor]:
        """What the rows want of their own sample, and what of others; one term where these cannot be told apart."""
        check_pairs(*projections)
        views = len(projections)
        if views < 2:
            raise ValueError("distances between views of a sample need at least two views")
        rows = torch.stack([functional.normalize(z, dim=1, eps=1e-6) for z in projections], 1).flatten(0, 1)
        everyone = ranks.gather(rows)
        place = torch.arange(len(rows), device=rows.device) + first_of(len(rows))
        turn = torch.arange(1, views, device=rows.device)
        partner = place[:, None] // views * views + (place[:, None] + turn) % views
        likeness = rows @ everyone.T
        near = likeness.gather(1, partner)
        other = place[:, None] // views != torch.arange(len(everyone), device=rows.device) // views
        chosen, counts = self._choose(likeness.detach(), near.detach(), other, rows.shape[1])
        far = likeness.gather(1, chosen)
        return self._terms(near, far, counts)

    def _choose(self, likeness: Tensor, near: Tensor, other: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Columns of each row's negatives, and which of these count: ``[n, K]`` each."""
        score = likeness
        if self.negatives == "semi-hard":
            other = other & (likeness < near.amin(1, keepdim=True))
        if self.negatives in ("random", "distance"):
            uniform = Draws(device=likeness.device).uniform(*likeness.shape).clamp(1e-12, 1 - 1e-7)
            score = -(-uniform.log()).log()  # the largest of these are a random choice, each with the same chance
        if self.negatives == "distance":
            distance = (2 - 2 * likeness).clamp_min(0).sqrt()
            inside = other & (distance < FAR)
            other = torch.where(inside.any(1, keepdim=True), inside, other)
            score = score - _log_density(distance.clamp(NEAR, FAR), width)
        count = likeness.shape[1] if self.negatives == "all" else min(self.count, likeness.shape[1])
        best = score.masked_fill(~other, -torch.inf).topk(count, dim=1).indices
        return best, other.gather(1, best)

    def _terms(self, near: Tensor, far: Tensor, counts: Tensor) -> dict[str, Tensor]:
        rows, partners = near.shape
        if self.loss == "histogram":
            return {"overlap": _overlap(near, far, counts)}
        if self.loss == "binomial-deviance":
            own = functional.softplus(SLOPE * (MIDDLE - near)).mean()
            pairs = ranks.total(counts.sum()).clamp_min(1) / ranks.world()[1]
            others = functional.softplus(SLOPE * COST * (far - MIDDLE))
            return {"own": own, "others": torch.where(counts, others, 0).sum() / pairs}
        if self.loss == "triplet":
            excess = (2 * far[:, None] - 2 * near[..., None] + self.margin).relu()  # of squared distances
            return {"triplets": torch.where(counts[:, None], excess, 0).sum() / (rows * partners)}
        away = (2 - 2 * far).clamp_min(LEAST).sqrt()
        if self.loss == "contrastive":
            own, others = 2 - 2 * near, (self.margin - away).relu().square()
        else:
            apart = (2 - 2 * near).clamp_min(LEAST).sqrt()
            own, others = (apart - self.boundary + self.margin).relu(), (self.boundary - away + self.margin).relu()
        return {"own": own.sum() / (2 * rows), "others": torch.where(counts, others, 0).sum() / rows}


def _log_density(distance: Tensor, width: int) -> Tensor:
    """Logarithm of the density of distances between random points on the sphere in ``width`` dimensions, plus a
    constant."""
    return (width - 2) * distance.log() + (width - 3) / 2 * (1 - distance.square() / 4).log()


def _overlap(near: Tensor, far: Tensor, counts: Tensor) -> Tensor:
    """The chance that a pair of ``far`` is more alike than one of ``near``, from histograms over all ranks."""
    own = _histogram(near, torch.ones_like(counts[:, :1]).expand_as(near))
    others = _histogram(far, counts)
    return (others * own.cumsum(0)).sum()


def _histogram(likeness: Tensor, counts: Tensor) -> Tensor:
    """Shares of cosines at :data:`BINS` + 1 evenly spaced nodes; each goes to the two nodes that it lies between."""
    place = ((likeness.clamp(-1, 1) + 1) / 2 * BINS).flatten()
    low = place.detach().floor().clamp(0, BINS - 1).long()
    part = place - low
    weight = counts.flatten().to(place.dtype)
    empty = place.new_zeros(BINS + 1)
    found = empty.scatter_add(0, low, (1 - part) * weight).scatter_add(0, low + 1, part * weight)
    return ranks.total(found) / ranks.total(weight.sum()).clamp_min(1)
