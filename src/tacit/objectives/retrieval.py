"""Contrast of stretches of recordings, with the positive chosen among candidates."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_positive, full_precision, total_of
from tacit.parts import ranks


class CandidateContrast(Objective):
    """Which candidate of one recording is the positive, and is it of this recording and no other?

        within  = -1/B sum_i log( exp(c(a_i, z_ip)) / sum_m exp(c(a_i, z_im)) )
        between = -1/B sum_i log( exp(c(a_i, z_ip)) / (exp(c(a_i, z_ip)) + sum_{j != i} exp(c(a_i, a_j))) )
        loss    = share between + (1 - share) within

    with c the cosine over the temperature, a_i the anchor of recording i, z_im its candidates, p the positive one, and
    j over the recordings of all ranks.

    Shape: ``anchors`` ``[B, D]``, ``candidates`` ``[B, M, D]``, ``positive`` int64 ``[B]`` ``-> []``.

    Source: Xu et al. 2024, REBAR: Retrieval-Based Reconstruction for Time-series Contrastive Learning, section 3.2.

    Args:
        temperature: above 0; the paper has from 0.001 to 10.
        share: of the contrast between recordings, in [0, 1].

    Raises:
        ValueError: for a parameter out of range, fewer than two candidates, or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, temperature: float = 0.1, share: float = 0.5) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie between 0 and 1, not {share}")
        self.temperature, self.share = temperature, share

    def forward(self, anchors: Tensor, candidates: Tensor, positive: Tensor) -> Tensor:
        return total_of(self.terms(anchors, candidates, positive))

    @full_precision
    def terms(self, anchors: Tensor, candidates: Tensor, positive: Tensor) -> dict[str, Tensor]:
        """Both, weighted."""
        if (
            anchors.ndim != 2
            or candidates.ndim != 3
            or candidates.shape[::2] != anchors.shape
            or positive.shape != anchors.shape[:1]
        ):
            raise ValueError(
                f"anchors [B, D], candidates [B, M, D] and positive [B] do not fit: {list(anchors.shape)}, "
                f"{list(candidates.shape)} and {list(positive.shape)}"
            )
        if candidates.shape[1] < 2:
            raise ValueError(f"choosing needs at least 2 candidates, not {candidates.shape[1]}")
        a, z = functional.normalize(anchors, dim=1, eps=1e-6), functional.normalize(candidates, dim=2, eps=1e-6)
        inside = (z @ a[:, :, None])[..., 0] / self.temperature
        others = a @ ranks.gather(a).T / self.temperature
        rank = ranks.world()[0]
        own = torch.arange(len(a), device=a.device)
        others = others.index_put((own, own + rank * len(a)), inside.gather(1, positive[:, None])[:, 0])
        return {
            "within": (1 - self.share) * functional.cross_entropy(inside, positive),
            "between": self.share * functional.cross_entropy(others, own + rank * len(a)),
        }
