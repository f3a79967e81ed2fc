"""Rank correlations against SciPy and all orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr

from tacit.errors import DataError
from tacit.evaluation.agreement import rank_correlation


@pytest.mark.parametrize("n", [3, 5, 6])
def test_every_order_counts(n: int) -> None:
    random = np.random.default_rng(n)
    a, b = random.normal(size=n), random.integers(0, 3, n).astype(float)
    b[0] = 7
    found = rank_correlation(a, b)
    assert found.value == pytest.approx(spearmanr(a, b).statistic)
    orders = [abs(spearmanr(a[list(order)], b).statistic) for order in itertools.permutations(range(n))]
    assert found.p == pytest.approx(np.mean(np.array(orders) >= abs(found.value) - 1e-9))


def test_many_things_are_permuted_at_random_and_repeatably() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=40)
    far = rank_correlation(a, random.normal(size=40))
    near = rank_correlation(a, a**3)
    assert near.value == pytest.approx(1)
    assert near.p == pytest.approx(1 / 5001)
    assert far == rank_correlation(a, np.random.default_rng(0).normal(size=80)[40:])
    assert abs(far.p - spearmanr(a, np.random.default_rng(0).normal(size=80)[40:]).pvalue) < 0.05
    assert rank_correlation(a, -a).value == pytest.approx(-1)


def test_what_has_no_order() -> None:
    assert rank_correlation([1, 2], [2, 3]).value is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]).p is None
    with pytest.raises(DataError, match="equal length"):
        rank_correlation([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match="finite"):
        rank_correlation([1, 2, np.nan], [1, 2, 3])
