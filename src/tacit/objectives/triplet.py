"""Objectives on an anchor, something like it and something else."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, full_precision
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
        if not margin >= 0:
            raise ValueError(f"margin must be at least 0, not {margin}")
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
