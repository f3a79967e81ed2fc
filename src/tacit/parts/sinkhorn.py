"""Shares of samples in clusters that are all used equally: optimal transport with entropy, by Sinkhorn and Knopp."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tacit.parts import ranks

CHECK = 10
"""Iterations between looks at whether the solution still moves."""


@torch.no_grad()
def sinkhorn(scores: Tensor, iterations: int = 3, tolerance: float | None = None, spread: bool = True) -> Tensor:
    """Scale ``exp(scores)`` so that every sample has shares that add up to 1 and all clusters get equally many.

    With a and b found by turns from b = 1 on, Q_ik = a_k exp(s_ik) b_i has rows that sum to 1, exactly, and columns
    that sum to N/K, as nearly as the iterations allow. It works on logarithms: no score is too small or too large, and
    equal scores give equal shares. Values are float32, or float64 where the scores are.

    Args:
        scores: finite, ``[B, K]``; for the transport problem with cost -log P and weight 1/lam of the entropy they are
            lam log P, and in SwAV similarities over epsilon.
        iterations: how many, at least 1; the most that there are when a tolerance is given.
        tolerance: stop when ``sum_i |b_i / b'_i - 1|`` from one iteration to the next falls below; looked at every ten.
        spread: whether the rows are this rank's part of a batch. Otherwise every rank holds all rows and works alone.

    Returns:
        shares, ``[B, K]``, without gradient.

    Source: Cuturi 2013, Sinkhorn Distances, algorithm 1; Asano et al. 2020, Self-labelling, section 3.2.

    Raises:
        ValueError: for anything but a matrix, or no iterations.
    """
    if scores.ndim != 2 or iterations < 1:
        raise ValueError(
            f"sinkhorn needs scores [B, K] and at least 1 iteration, not {tuple(scores.shape)}, {iterations}"
        )
    scores = scores.float() if scores.dtype in (torch.half, torch.bfloat16) else scores
    samples, clusters = scores.shape
    share = math.log(samples * (ranks.world()[1] if spread else 1) / clusters)
    rows = scores.new_zeros(samples, 1)
    for step in range(1, iterations + 1):
        before = rows
        columns = share - _over_samples(scores + rows, spread)
        rows = -(scores + columns).logsumexp(1, keepdim=True)
        if tolerance is not None and step % CHECK == 0:
            moved = (before - rows).expm1().abs().sum()
            if float(ranks.total(moved) if spread else moved) < tolerance:
                break
    return (scores + columns).softmax(1)


def _over_samples(scores: Tensor, spread: bool) -> Tensor:
    """``log sum_i exp`` over the samples: ``[B, K] -> [K]``."""
    own = scores.logsumexp(0)
    return ranks.gather(own[None]).logsumexp(0) if spread else own
