"""Whether two measures put the same things in the same order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.errors import DataError

EXACT = 7
"""Most things whose orders are all tried, 5,040 of them; of more some are drawn."""
DRAWS = 5_000


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of two measures of ``n`` things.

    Attributes:
        value: -1 to 1, with equal figures sharing their mean rank; None for fewer than 3 things, or where all figures
            of a measure are equal.
        p: share of the orders whose correlation is at least as far from 0, as where the measures had nothing to do
            with each other: of all orders up to 7 things, else of 5,000 at random. None where there is no value.
        n: how many things.
    """

    value: float | None
    p: float | None
    n: int


def rank_correlation(first: Any, second: Any, seed: int = 0) -> RankCorrelation:
    """Spearman's rank correlation with a p-value by permutation, which for a handful of networks or layers the usual
    approximation does not give.

    Args:
        first, second: figures of the same n things, ``[n]`` each.
        seed: of the orders that are drawn.

    Raises:
        DataError: for lists of different lengths, or figures that are not finite.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if a.ndim != 1 or a.shape != b.shape:
        raise DataError(f"two lists of equal length are compared, not shapes {list(a.shape)} and {list(b.shape)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError("figures to rank must be finite, but some are NaN or infinite")
    n = len(a)
    if n < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(None, None, n)
    from scipy.stats import permutation_test, rankdata

    ranks = [rankdata(values) - (n + 1) / 2 for values in (a, b)]
    length = math.sqrt(float(ranks[0] @ ranks[0]) * float(ranks[1] @ ranks[1]))

    def correlation(x: np.ndarray, axis: int = -1) -> np.ndarray:
        return (x * ranks[1]).sum(axis) / length

    found = permutation_test(
        (ranks[0],), correlation, permutation_type="pairings", vectorized=True, axis=0,
        n_resamples=math.factorial(n) if n <= EXACT else DRAWS, random_state=np.random.default_rng(seed),
    )  # fmt: skip
    # a margin, as of equal correlations one may be rounded up and the other down
    extreme = np.abs(found.null_distribution) >= abs(found.statistic) - 1e-9
    drawn = n > EXACT  # what is observed is one of the orders
    return RankCorrelation(float(found.statistic), float((extreme.sum() + drawn) / (len(extreme) + drawn)), n)


__all__ = ["RankCorrelation", "rank_correlation"]
