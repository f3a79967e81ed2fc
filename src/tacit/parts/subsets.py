"""Random subsets of a sample's tokens: some to see and some to predict."""

from __future__ import annotations

from torch import Tensor

from tacit.errors import OptionError
from tacit.parts.draws import Draws

Range = tuple[float, float]


def possible_sizes(count: int, context: Range, targets: Range) -> list[tuple[int, int]]:
    """Numbers of tokens to see and to predict that fit together.

    Args:
        count: tokens of a sample, N.
        context, targets: ranges of shares of the tokens, whose ends are rounded to whole tokens.

    Returns:
        all pairs of whole numbers in these ranges, at least 1 each and N at most in sum.

    Raises:
        OptionError: if there is none, naming ranges that would do.
    """
    (low, high), (least, most) = ([round(count * share) for share in pair] for pair in (context, targets))
    pairs = [(c, t) for c in range(max(low, 1), high + 1) for t in range(max(least, 1), most + 1) if c + t <= count]
    if not pairs:
        half = max(count // 2, 1) / count
        hint = (
            f"with context=({half:.2f}, {half:.2f}) and targets=({half:.2f}, {half:.2f}) it would be"
            if count > 1
            else "more tokens are needed"
        )
        raise OptionError(
            f"of {count} tokens, context={context} and targets={targets} leave none to see or none to predict; {hint}"
        )
    return pairs


def context_and_target_sets(
    batch: int, count: int, sizes: list[tuple[int, int]], sets: int, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Tokens to see, and several sets of tokens to predict, drawn for each sample.

    The sizes are one of ``sizes``, each with the same chance and the same for the batch on all ranks; what is predicted
    is never seen, and the sets of a sample may overlap.

    Args:
        batch: samples on this rank, B.
        count: tokens of a sample, N.
        sizes: see :func:`possible_sizes`.
        sets: M.

    Returns:
        ``keep``: int64 ``[B, K]`` in ascending order; ``wanted``: int64 ``[B, M, T]``, ascending in each set.
    """
    kept, predicted = sizes[min(int(draws.shared(1) * len(sizes)), len(sizes) - 1)]
    keep = draws.uniform(batch, count).argsort(1)[:, :kept].sort(1).values
    score = draws.uniform(batch, sets, count)
    seen = keep[:, None].expand(-1, sets, -1)
    wanted = score.scatter(2, seen, 2.0).argsort(2)[..., :predicted].sort(2).values
    return keep, wanted
