"""Tokens that are hidden together: spans along a line, and square clusters on a grid."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.parts.draws import Draws
from tacit.parts.lengths import inside
from tacit.parts.masks import chosen_first


def span_starts(counts: Tensor, spans: Tensor, size: int, width: int, draws: Draws) -> Tensor:
    """Where spans of ``size`` tokens begin, no two at one place; they may overlap.

    Args:
        counts: real tokens of each sample, int64 ``[B]``; no span goes beyond them where there is room for one.
        spans: how many spans each sample has, int64 ``[B]``; at most as many as there are places for them.
        size: at least 1.
        width: number of tokens of a sample with its padding, N.
        draws: source of randomness; padding changes nothing.

    Returns:
        bool ``[B, N]``.
    """
    room = (counts - size + 1).clamp_min(1)
    score = draws.along(len(counts), width).masked_fill(~inside(room, width), 2.0)
    return score.argsort(dim=1, stable=True).argsort(1) < torch.minimum(spans, room)[:, None]


def spans_from(starts: Tensor, counts: Tensor, size: int) -> Tensor:
    """Which tokens lie in a span, bool ``[B, N]``; see :func:`span_starts`."""
    begun = starts.long().cumsum(1)
    over = torch.nn.functional.pad(begun, (size, 0))[:, : begun.shape[1]]
    return (begun > over) & inside(counts, starts.shape[1])


def cluster_mask(
    counts: Tensor, hide: Tensor, rows: int, sides: tuple[int, int], width: int, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Square clusters of tokens on a grid, laid down one after the other until enough tokens are covered.

    The clusters of one sample are of one size. A cluster is cut off at the border; of the last one as many tokens as
    are still wanted are taken at random.

    Args:
        counts: real tokens of each sample, int64 ``[B]``, which run through the rows of one column and then on to the
            next.
        hide: how many tokens are covered, int64 ``[B]``, at most ``counts``.
        rows: of the grid.
        sides: the least and the largest side of a cluster, in tokens.
        width: number of tokens of a sample with its padding, N.
        draws: source of randomness; padding changes nothing.

    Returns:
        places of the covered tokens and which of these are real, as :func:`tacit.parts.masks.chosen_first`.

    Source: Gong et al. 2022, SSAST: Self-Supervised Audio Spectrogram Transformer, algorithm 1.
    """
    batch, device = len(counts), counts.device
    most = int(counts.max())
    u = draws.uniform(batch, 1)
    side = (sides[0] + (u * (sides[1] - sides[0] + 1)).long()).clamp_max(sides[1])[..., None]
    # a third as many clusters as tokens cover nearly all; what they leave comes last, at random
    seeds = draws.along(batch, max(8, most // 3))
    start = (seeds * counts[:, None]).long()[..., None]
    place = torch.arange(width, device=device)
    column, row = place // rows - start // rows, place % rows - start % rows
    covered = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    first = torch.where(covered.any(1), covered.to(torch.uint8).argmax(1), covered.shape[1])
    score = first + draws.along(batch, width)
    return chosen_first(score, hide, inside(counts, width))


def geometric_spans(batch: int, channels: int, width: int, share: float, mean: float, draws: Draws) -> Tensor:
    """Hidden and seen steps in turns of random length, each channel for itself: bool ``[batch, channels, width]``.

    Hidden turns are geometric with ``mean`` steps, seen ones so long that ``share`` of all is hidden. Padding changes
    nothing.

    Source: Zerveas et al. 2021, A Transformer-based Framework for Multivariate Time Series Representation Learning,
    section 3.2.

    Raises:
        ValueError: for a share outside (0, 1), or turns that would have to be shorter than a step.
    """
    if not 0 < share < 1:
        raise ValueError(f"the hidden share must lie between 0 and 1, not {share}")
    if mean * (1 - share) < 1:
        raise ValueError(f"hidden turns must have at least {1 / (1 - share):.3g} steps on average, not {mean}")
    # The two-state chain that leaves "hidden" with chance 1/mean is one that, at each step with the chance below, draws
    # its state afresh: no loop over time is needed.
    afresh = draws.along(batch, channels, width) < 1 / (mean * (1 - share))
    state = draws.along(batch, channels, width) < share
    place = torch.arange(width, device=state.device)
    return state.gather(2, torch.where(afresh, place, 0).cummax(2).values)
