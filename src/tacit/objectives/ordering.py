"""Objectives on the order of similarities."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision
from tacit.objectives.blocks import first_of, leave_out_own
from tacit.objectives.sorting import soft_permutation
from tacit.parts import ranks

EPS = 1e-6
"""Shares are kept this far from 0 and 1, where a logarithm has no slope to follow."""


class GroupOrdering(Objective):
    """All of a sample's other views are more similar to it than its most similar other samples.

    For each view a of each sample: the P cosines to its other (full) views, and the K largest to the same view of
    other samples; both ascending, negatives first, through :func:`soft_permutation`. With n_i (p_i) the share of input
    i at the K lowest (P highest) places,

        loss = mean over samples, inputs and views of 1/2 [ BCE(p_i, i is positive) + BCE(n_i, i is negative) ]

    Gradients flow into the anchor alone. With fewer other samples than K all of them are taken.

    Shape: V times ``[B, D] -> []``.

    Source: Shvetsova et al. 2023, Learning by Sorting, section 3.

    Args:
        negatives: K >= 1; the paper has 10.
        steepness: of the sorting network; the paper has 1, which keeps the loss well above 0.

    Raises:
        ValueError: for K below 1, a steepness that is not positive, fewer than two views, unequal shapes, or fewer than
            two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, negatives: int = 10, steepness: float = 1.0) -> None:
        super().__init__()
        if negatives < 1:
            raise ValueError(f"negatives must be at least 1, not {negatives}")
        check_positive(steepness=steepness)
        self.negatives, self.steepness = negatives, steepness

    @full_precision
    def forward(self, *projections: Tensor, full: int | None = None) -> Tensor:
        """The value; only the first ``full`` projections (all, where it is not given) serve as positives."""
        samples = check_pairs(*projections)
        full = len(projections) if full is None else full
        if not (len(projections) >= 2 and 1 <= full <= len(projections)):
            raise ValueError(f"needs two or more views, not {len(projections)} of which {full} are full")
        units = [functional.normalize(z, eps=1e-6) for z in projections]
        first = first_of(len(units[0]))
        count = min(self.negatives, samples - 1)
        values = []
        for at, anchor in enumerate(units):
            partners = [z.detach() for i, z in enumerate(units[:full]) if i != at]
            if not partners:
                continue  # the only full view has no positive
            positive = torch.stack([(anchor * z).sum(1) for z in partners], 1).sort(1).values
            everyone = leave_out_own(anchor @ ranks.gather(anchor.detach()).T, first)
            negative = everyone.topk(count, 1).values.flip(1)
            values.append(self.ordered(torch.cat((negative, positive), 1), count))
        return torch.stack(values).mean()

    def ordered(self, scores: Tensor, negatives: int) -> Tensor:
        """The value for scores ``[B, n]`` of which the first are those of negatives."""
        share = soft_permutation(scores, self.steepness)
        low, high = (part.sum(2).clamp(EPS, 1 - EPS) for part in (share[..., :negatives], share[..., negatives:]))
        target = (torch.arange(scores.shape[1], device=scores.device) >= negatives).to(scores.dtype).expand_as(high)
        entropy = functional.binary_cross_entropy
        return (entropy(high, target) + entropy(low, 1 - target)) / 2
