"""The equal error rate against scikit-learn's curve and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve

from tacit.errors import DataError
from tacit.evaluation.verification import equal_error_rate, verification_error


def test_it_is_where_the_curve_of_errors_crosses_the_diagonal() -> None:
    random = np.random.default_rng(0)
    for count in (20, 300):
        same = random.random(count) < 0.4
        scores = np.round(random.normal(0, 1, count) + same, 1)  # with equal scores
        accepted, hit, _ = roc_curve(same, scores, drop_intermediate=False)
        grid = np.linspace(0, 1, 200_001)
        gap = np.interp(grid, accepted, 1 - hit) - grid
        assert equal_error_rate(scores, same) == pytest.approx(grid[np.argmin(np.abs(gap))], abs=0.02)
        crossing = equal_error_rate(scores, same)
        # the point lies on a straight piece of the curve
        pieces = zip(accepted, 1 - hit, accepted[1:], 1 - hit[1:], strict=False)
        assert any(
            abs((x1 - x0) * (crossing - y0) - (y1 - y0) * (crossing - x0)) < 1e-9
            and min(x0, x1) - 1e-9 <= crossing <= max(x0, x1) + 1e-9
            for x0, y0, x1, y1 in pieces
        )


def test_closed_forms() -> None:
    assert equal_error_rate([3.0, 2.0, 1.0, 0.0], np.array([True, True, False, False])) == 0
    assert equal_error_rate([3.0, 2.0, 1.0, 0.0], np.array([False, False, True, True])) == 1
    assert equal_error_rate(np.zeros(10), np.arange(10) < 3) == pytest.approx(0.5)
    random = np.random.default_rng(1)
    scores = np.concatenate([random.normal(2, 1, 200_000), random.normal(0, 1, 100_000)])
    assert equal_error_rate(scores, np.arange(300_000) < 200_000) == pytest.approx(norm.cdf(-1), abs=0.002)


def test_pairs_of_embeddings() -> None:
    random = np.random.default_rng(2)
    who = np.repeat(np.arange(6), 10)
    centres = random.normal(0, 1, (6, 16))
    apart = centres[who] + random.normal(0, 0.05, (60, 16))
    assert verification_error(apart, who) == 0
    assert verification_error(random.normal(0, 1, (60, 16)), who) == pytest.approx(0.5, abs=0.08)
    assert verification_error(7 * apart, who) == verification_error(apart, who)


def test_bad_input_is_refused() -> None:
    for scores, same, why in (
        ([1.0, np.nan], [True, False], "NaN"),
        ([1.0, 2.0], [True, True], "different ones"),
        ([1.0], [True, False], "must fit"),
        ([1.0, 2.0], [1, 0], "must fit"),
    ):
        with pytest.raises(DataError, match=why):
            equal_error_rate(np.array(scores), np.array(same))
    with pytest.raises(DataError, match="one a sample"):
        verification_error(np.eye(3), [1, 2])
