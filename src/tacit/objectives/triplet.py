"""Objectives on an anchor, something like it and something else."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_not_negative, check_pairs, full_precision
from tacit.parts import ranks


class CosineTriplet(Objective):
    """The anchor shall be nearer to its positive than to its negatives, by a margin.

        loss = 1/|T| sum_{b in T} 1/K sum_k max(0, D(a_b, p_b) - D(a_b, n_bk) + margin),   D(x, y) = 1 - cos(x, y)

    T are the rows of all ranks that count; the value is 0 where there are none.

    Shape: ``anchor``, ``positive`` ``[B, D]``, ``negatives`` ``[B, K, D]``, ``counts`` bool ``[B]`` ``-> []``.

    Source: Wang et al. 2017, Transitive Invariance for Self-supervised Visual Representation Learning, eq. 1 and 2.

    Args:
        margin: at least 0.

    Raises:
        ValueError: for a negative margin or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        check_not_negative(margin=margin)
        self.margin = margin

    @full_precision
    def forward(self, anchor: Tensor, positive: Tensor, negatives: Tensor, counts: Tensor) -> Tensor:
        fits = anchor.ndim == 2 and negatives.ndim == 3 and negatives.shape[0::2] == anchor.shape
        if not fits or positive.shape != anchor.shape or counts.shape != anchor.shape[:1]:
            raise ValueError(
                "anchor and positive must be [batch, width], negatives [batch, some, width] and counts [batch], not "
                f"{', '.join(str(tuple(t.shape)) for t in (anchor, positive, negatives, counts))}"
            )
        a, p, n = (functional.normalize(z, dim=-1, eps=1e-6) for z in (anchor, positive, negatives))
        near, far = 1 - (a * p).sum(1), 1 - (a[:, None] * n).sum(2)
        error = functional.relu(near[:, None] - far + self.margin).mean(1)
        # The value is averaged over ranks, so each divides by the mean number of rows that count per rank.
        count = ranks.total(counts.sum()).clamp_min(1) / ranks.world()[1]
        return torch.where(counts, error, 0).sum() / count


class SemiHardTriplet(Objective):
    """Each view shall be nearer to the other views of its sample than to those of other samples, by a margin, the
    negative being the nearest that is further than the positive.

    With u the projections scaled to unit length, D(u, v) = |u - v|^2, and n(a, p) of all views of other samples the
    nearest with D(a, n) > D(a, p), or where there is none the furthest,

        loss = 1/|P| sum_{(a, p) in P} max(0, D(a, p) - D(a, n(a, p)) + margin)

    P are all ordered pairs of different views of one sample.

    Shape: V >= 2 tensors ``z_1, ..., z_V``, ``[B, D]`` each, ``-> []``. Memory O((B V)^2).

    Source: Schroff et al. 2015, FaceNet, eq. 3 and section 3.2; with crops of one image as its positives, Kolesnikov et
    al. 2019, section 3.1.

    Args:
        margin: at least 0.

    Raises:
        ValueError: for a negative margin, fewer than two views or samples, or unequal shapes.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        check_not_negative(margin=margin)
        self.margin = margin

    @full_precision
    def forward(self, *projections: Tensor) -> Tensor:
        views = len(projections)
        if views < 2:
            raise ValueError(f"a triplet needs at least 2 views of a sample, not {views}")
        others = (check_pairs(*projections) - 1) * views
        u = functional.normalize(torch.stack(projections, 1), dim=2, eps=1e-6)
        bank = ranks.gather(u).flatten(0, 1)
        distance = 2 - 2 * u.flatten(0, 1) @ bank.T
        # Rows of the bank that are views of the anchor's own sample, and among them the anchor itself.
        first = (torch.arange(len(u), device=u.device) + ranks.world()[0] * len(u)) * views
        place = torch.arange(views, device=u.device)
        own = (first[:, None] + place).repeat_interleave(views, 0)
        partner = place[:-1] + (place[:-1] >= place[:, None])  # each view's others, in order
        near = distance.gather(1, own).gather(1, partner.repeat(len(u), 1))
        with torch.no_grad():
            away = distance.scatter(1, own, torch.inf)
            ascending, order = away.sort(1)
            after = torch.searchsorted(ascending, near.contiguous(), right=True).clamp_max(others - 1)
        return functional.relu(near - distance.gather(1, order.gather(1, after)) + self.margin).mean()
