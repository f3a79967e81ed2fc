import numpy as np
import pytest
from scipy import stats

from tacit.errors import DataError, OptionError
from tacit.evaluation import bootstrap_interval, paired_difference, paired_seeds


def test_interval_of_an_accuracy_is_the_binomial_one():
    correct = np.repeat([0, 1], [300, 700])
    low, high = bootstrap_interval(correct, draws=50_000)
    expected = stats.binom.ppf([0.025, 0.975], 1000, 0.7) / 1000
    np.testing.assert_allclose([low, high], expected, atol=1.5e-3)


def test_interval_of_scores_is_near_the_normal_one():
    scores = np.random.default_rng(0).normal(5, 2, size=2000)
    low, high = bootstrap_interval(scores, level=0.9)
    half = 1.645 * scores.std() / 2000**0.5
    assert low == pytest.approx(scores.mean() - half, abs=0.01)
    assert high == pytest.approx(scores.mean() + half, abs=0.01)


def test_counting_and_drawing_agree():
    """Few distinct values take the multinomial way; a tiny jitter makes all distinct and takes the other."""
    correct = (np.arange(500) % 4 == 0).astype(float)
    jitter = 1e-9 * np.arange(500)
    np.testing.assert_allclose(
        bootstrap_interval(correct, draws=20_000), bootstrap_interval(correct + jitter, draws=20_000), atol=2.1e-3
    )


def test_coverage():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.random(200) < 0.6, draws=500)
        inside += low <= 0.6 <= high
    assert 0.90 <= inside / 300 <= 0.985


def test_seeded_and_degenerate():
    scores = np.random.default_rng(2).random(50)
    assert bootstrap_interval(scores, seed=4) == bootstrap_interval(scores, seed=4)
    assert bootstrap_interval(scores, seed=4) != bootstrap_interval(scores, seed=5)
    assert bootstrap_interval([1, 1, 1]) == (1, 1)


def test_pairs_cancel_what_samples_share():
    rng = np.random.default_rng(3)
    hardness = rng.normal(size=400)
    a, b = hardness + 0.1 + 0.1 * rng.normal(size=400), hardness + 0.1 * rng.normal(size=400)
    difference, low, high = paired_difference(a, b)
    assert difference == pytest.approx((a - b).mean())
    assert 0 < low < difference < high < 0.2
    separate = bootstrap_interval(a)
    assert high - low < (separate[1] - separate[0]) / 3


def test_seeds_agree_with_scipy():
    a, b = [71.2, 70.9, 72.5, 71.0], [69.8, 70.1, 70.0, 70.4]
    difference, low, high = paired_seeds(a, b, 0.9)
    expected = stats.ttest_rel(a, b).confidence_interval(0.9)
    assert difference == pytest.approx(np.mean(a) - np.mean(b))
    assert (low, high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: bootstrap_interval([]), DataError),
        (lambda: bootstrap_interval([1, np.nan]), DataError),
        (lambda: bootstrap_interval([[1, 0]]), DataError),
        (lambda: bootstrap_interval([1, 0], level=95), OptionError),
        (lambda: bootstrap_interval([1, 0], draws=0), OptionError),
        (lambda: paired_difference([1, 0], [1]), DataError),
        (lambda: paired_seeds([1], [2]), DataError),
        (lambda: paired_seeds([1, 2], [2, 3], level=1), OptionError),
    ],
)
def test_bootstrap_bad_input(call, error):
    with pytest.raises(error):
        call()
