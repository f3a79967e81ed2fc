"""Blocks of tokens that lie together."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.parts import ranks
from tacit.parts.draws import Draws


def grid_of(position: Tensor) -> tuple[int, int]:
    """Rows and columns of the grid that tokens lie on, row by row; a line is a grid of one row.

    Args:
        position: ``[N, 1]`` or ``[N, 2]``, as :class:`tacit.parts.tokens.Tokens` has it.

    Raises:
        OptionError: for tokens that lie on no such grid.
    """
    count = position.shape[0]
    if position.ndim != 2 or position.shape[1] not in (1, 2):
        raise OptionError(f"blocks need tokens on a line or a grid, alike for all samples, not {list(position.shape)}")
    sides = [len(column.unique()) for column in position.unbind(1)]
    rows, columns = (1, sides[0]) if len(sides) == 1 else (sides[0], sides[1])
    if rows * columns != count:
        raise OptionError(f"blocks need tokens on a whole grid, and {count} tokens are not {rows} x {columns}")
    return rows, columns


def block_sides(grid: tuple[int, int], share: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of blocks that hold about ``share`` of a grid, ``ratio`` times as high as wide: int64 ``[n]``.

    At least one token, and no side longer than the grid's. On a line the ratio means nothing.
    """
    area = share * grid[0] * grid[1]
    if grid[0] == 1:
        return torch.ones_like(area, dtype=torch.int64), area.round().long().clamp(1, grid[1])
    high = (area * ratio).sqrt().round().long().clamp(1, grid[0])
    return high, (area / ratio).sqrt().round().long().clamp(1, grid[1])


def blocks(grid: tuple[int, int], high: Tensor, wide: Tensor, place: Tensor) -> Tensor:
    """Which tokens lie in each block: bool ``[n, N]``.

    Args:
        high, wide: sides of the blocks, int64 ``[n]``.
        place: where each lies among the places that it fits in, uniform in [0, 1), ``[n, 2]``.
    """
    inside = []
    for side, total, at in ((high, grid[0], place[:, 0]), (wide, grid[1], place[:, 1])):
        first = (at * (total - side + 1)).long()
        line = torch.arange(total, device=at.device)
        inside.append((line >= first[:, None]) & (line < (first + side)[:, None]))
    return (inside[0][:, :, None] & inside[1][:, None, :]).flatten(1)


def context_and_targets(
    grid: tuple[int, int],
    batch: int,
    draws: Draws,
    targets: int = 4,
    scale: tuple[float, float] = (0.15, 0.2),
    ratio: tuple[float, float] = (0.75, 1.5),
    context: tuple[float, float] = (0.85, 1.0),
) -> tuple[Tensor, Tensor]:
    """Target blocks, and a large square block without them.

    The blocks of a batch have one size and lie elsewhere in each sample. Contexts are cut at random to the smallest of
    the batch over all ranks; where the targets leave no context at all, one token of it is kept nevertheless.

    Args:
        grid: rows and columns of the tokens.
        batch: samples on this rank, B.
        targets: number of target blocks, M.
        scale, ratio: ranges of a target's share of the tokens and of its height over width.
        context: range of the context block's share of the tokens.

    Returns:
        ``keep``: places of the context, int64 ``[B, K]`` in ascending order; ``wanted``: places of each target, int64
        ``[B, M, T]``. Both on ``draws.device``.

    Source: Assran et al. 2023, Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture,
    section 3.
    """
    source, samples = draws.on("cpu"), batch * ranks.world()[1]
    # All ranks look at the samples of all, since the context's size is the smallest among them.
    u = source.shared(3)
    places = source.shared(samples, targets + 1, 2)
    noise = source.shared(samples, math.prod(grid))
    share, shape, wide_share = (
        low + (high - low) * v for (low, high), v in zip((scale, ratio, context), u, strict=True)
    )
    high, wide = block_sides(grid, share, shape)
    rows = samples * targets
    target = blocks(grid, high.expand(rows), wide.expand(rows), places[:, 1:].flatten(0, 1)).unflatten(0, (samples, -1))
    high, wide = block_sides(grid, wide_share, torch.ones(()))
    whole = blocks(grid, high.expand(samples), wide.expand(samples), places[:, 0])
    free = ~target.any(1)
    kept = int((whole & free).sum(1).min().clamp_min(1))
    # First what is free inside the block, then what is free outside, then the rest.
    order = noise + 2.0 * (whole & free) + free
    keep = order.topk(kept, 1).indices.sort(1).values
    wanted = target.nonzero()[:, 2].unflatten(0, (samples, targets, -1))
    return ranks.local(keep).to(draws.device), ranks.local(wanted).to(draws.device)
