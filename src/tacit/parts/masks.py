"""Which tokens of a sample are hidden."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.parts.draws import Draws


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
