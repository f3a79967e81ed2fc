"""Which tokens of a sample are hidden."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.parts.draws import Draws


def chosen_first(score: Tensor, counts: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Places of the tokens with the smallest score, as many in each sample as ``counts`` says.

    Args:
        score: ``[B, N]``.
        counts: int64 ``[B]``, at least 1 somewhere.
        valid: bool ``[B, N]``; what is no real token comes last.

    Returns:
        ``places``: int64 ``[B, K]`` with K the largest count, in ascending order among the real ones; ``real``: bool
        ``[B, K]``, which of them are; the places of the others are of padding or of tokens not chosen.
    """
    if valid is not None:
        score = score.masked_fill(~valid, float("inf"))
    width = int(counts.max())
    real = torch.arange(width, device=score.device) < counts[:, None]
    first = score.argsort(dim=1, stable=True)[:, :width]
    far = score.shape[1]
    order = torch.where(real, first, first + far).argsort(1)
    return first.gather(1, order), real


def near_first(position: Tensor, counts: Tensor, places: int, draws: Draws, width: int) -> Tensor:
    """Each token's rank by its distance to the nearest of some randomly chosen tokens of its sample.

    Args:
        position: coordinates in [0, 1], ``[N, k]`` or ``[B, N, k]``.
        counts: real tokens of each sample, int64 ``[B]``; the others get the last ranks.
        places: how many tokens are chosen; 0: the ranks are random.
        width: number of tokens of a sample with its padding, N.

    Returns:
        ranks from 0, float32 ``[B, N]``, no two of a sample alike. They do not depend on padding.
    """
    score = draws.along(len(counts), width)
    if places:
        chosen = (draws.uniform(len(counts), places) * counts[:, None]).long()
        everywhere = position.expand(len(counts), -1, -1).float()
        middle = everywhere.gather(1, chosen[..., None].expand(-1, -1, everywhere.shape[2]))
        # what lies equally far (on a grid, many) is put in order by the random numbers
        score = torch.cdist(everywhere, middle).amin(2) + 1e-4 * score
    beyond = torch.arange(width, device=score.device) >= counts[:, None]
    return score.masked_fill(beyond, float("inf")).argsort(dim=1, stable=True).argsort(1).float()


def ragged_mask(valid: Tensor, ratio: float, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`random_mask` for samples of different lengths: the same share of each is hidden.

    Args:
        valid: bool ``[B, N]``, the real tokens; the masks do not depend on how far samples are padded. A sample of one
            token keeps it.
        ratio: share of each sample's real tokens that is hidden, in (0, 1).

    Returns:
        ``keep``: int64 ``[B, K]``; ``kept``: bool ``[B, K]``, which of these are real; ``hidden``: bool ``[B, N]``,
        never padding.

    Raises:
        ValueError: for a ratio outside (0, 1).
    """
    if not 0 < ratio < 1:
        raise ValueError(f"the share of hidden tokens must lie between 0 and 1, not {ratio}")
    counts = valid.sum(1)
    kept = torch.minimum((counts - (counts * ratio).round().long()).clamp_min(1), (counts - 1).clamp_min(1))
    score = draws.on(valid.device).along(*valid.shape)
    keep, real = chosen_first(score, kept, valid)
    hidden = valid.clone()
    hidden[torch.arange(len(keep), device=keep.device)[:, None].expand_as(keep)[real], keep[real]] = False
    return keep, real, hidden


def random_mask(batch: int, tokens: int, ratio: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Hide a random share of each sample's tokens, every token with the same chance.

    Args:
        batch: number of samples on this rank, B.
        tokens: number of tokens of each, N >= 2.
        ratio: share that is hidden, in (0, 1); at least one token is hidden and one kept.
        draws: source of randomness; the masks do not depend on how a batch is spread over ranks.

    Returns:
        ``keep``: places of the kept tokens in ascending order, int64 ``[B, K]``; ``hidden``: bool ``[B, N]``.
        Both on ``draws.device``.

    Raises:
        ValueError: for a ratio outside (0, 1) or fewer than two tokens.
    """
    if not 0 < ratio < 1:
        raise ValueError(f"the share of hidden tokens must lie between 0 and 1, not {ratio}")
    if tokens < 2:
        raise ValueError(
            f"masking needs samples of at least 2 tokens, not {tokens}: use smaller tokens or larger samples"
        )
    kept = min(max(tokens - round(tokens * ratio), 1), tokens - 1)
    keep = draws.uniform(batch, tokens).argsort(1)[:, :kept].sort(1).values
    hidden = torch.ones(batch, tokens, dtype=torch.bool, device=keep.device).scatter_(1, keep, False)
    return keep, hidden
