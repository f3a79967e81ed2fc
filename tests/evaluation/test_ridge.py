"""The linear probe for numbers and for several classes at once, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, r2_score
from sklearn.preprocessing import StandardScaler

from tacit.errors import DataError, OptionError
from tacit.evaluation import suite
from tacit.evaluation.ridge import mean_average_precision, r2, ridge_probe
from tacit.evaluation.splits import split


def data(n: int = 300, d: int = 12, k: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(3, 2, (n, d))
    return x, x @ random.normal(size=(d, k)) + random.normal(size=(n, k)) + 50


@pytest.mark.parametrize("d", [12, 500])
def test_it_is_ridge_regression_on_standardised_columns(d: int) -> None:
    x, y = data(d=d)
    found = ridge_probe(x[:200], y[:200], x[200:], grid=[0.1])
    scaler = StandardScaler().fit(x[:200])
    model = Ridge(alpha=0.1 * 200).fit(scaler.transform(x[:200]), y[:200])
    np.testing.assert_allclose(found.predictions, model.predict(scaler.transform(x[200:])), rtol=1e-4, atol=1e-3)


def test_the_penalty_is_chosen_on_held_out_samples() -> None:
    random = np.random.default_rng(1)
    noise = random.normal(size=(60, 50))
    assert ridge_probe(noise, random.normal(size=60), noise).l2 == 100.0
    x, y = data()
    assert ridge_probe(x, y, x).l2 < 1


def test_the_measures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=(50, 3))
    guess = truth + random.normal(size=(50, 3))
    assert r2(guess, truth)[0] == pytest.approx(r2_score(truth, guess))
    labels = truth > 0.5
    expected = np.mean([average_precision_score(labels[:, i], guess[:, i]) for i in range(3)])
    assert mean_average_precision(guess, labels)[0] == pytest.approx(expected)
    counts = random.multinomial(50, np.full(50, 1 / 50), size=3)
    shares, precisions = r2(guess, truth, counts), mean_average_precision(guess, labels, counts)
    for row, one, two in zip(counts, shares, precisions, strict=True):
        again = np.repeat(np.arange(50), row)
        assert one == pytest.approx(r2_score(truth[again], guess[again]))
        weighed = [average_precision_score(labels[:, i], guess[:, i], sample_weight=row) for i in range(3)]
        assert two == pytest.approx(np.mean(weighed))


def test_constant_targets_and_absent_classes_count_for_nothing() -> None:
    truth = np.array([[1.0, 2.0], [1.0, 4.0]])
    assert r2(truth, truth)[0] == 1.0
    assert mean_average_precision(truth, np.array([[True, False], [False, False]]))[0] == 0.5


@pytest.mark.parametrize(("task", "metric"), [("numbers", "R2"), ("several", "mean average precision")])
def test_an_evaluation_of_other_targets(task: suite.Task, metric: str) -> None:
    x, y = data()
    y = y if task == "numbers" else y > y.mean(0)
    noise = np.random.default_rng(3).normal(size=x.shape)
    sets = [{"raw": noise[part], "trained": x[part]} for part in (slice(200), slice(200, None))]
    result = suite.evaluate(*sets, y[:200], y[200:], task=task)
    assert result["metric"] == metric
    assert result["targets"] == 2
    assert "knn" not in result
    score = result["score"]
    assert score["trained"]["low"] <= score["trained"]["value"] <= score["trained"]["high"]
    assert score["trained"]["value"] > 0.8 > score["raw"]["high"]


def test_bad_targets_are_named() -> None:
    x, y = data()
    with pytest.raises(DataError, match="row 3"):
        ridge_probe(x, np.where(np.arange(300)[:, None] == 3, np.nan, y), x)
    with pytest.raises(DataError, match="one row for each of 300"):
        ridge_probe(x, y[:10], x)
    with pytest.raises(DataError, match="12 dimensions"):
        ridge_probe(x, y, x[:, :3])
    with pytest.raises(OptionError, match="above 0"):
        ridge_probe(x, y, x, grid=[0.0])


def test_no_group_is_in_both_halves() -> None:
    random = np.random.default_rng(4)
    groups = random.integers(0, 40, 1000)
    labels = random.integers(0, 4, 1000)
    train, held = split(labels, 0.25, seed=1, groups=groups)
    assert not set(groups[train]) & set(groups[held])
    assert sorted([*train, *held]) == list(range(1000))
    shares = np.bincount(labels[held]) / np.bincount(labels)
    assert np.abs(shares - 0.25).max() < 0.06
    assert np.array_equal(held, split(labels, 0.25, seed=1, groups=groups)[1])
    assert not np.array_equal(held, split(labels, 0.25, seed=2, groups=groups)[1])
    with pytest.raises(DataError, match="one group"):
        split(10, groups=np.zeros(10))
    with pytest.raises(DataError, match="one a sample"):
        split(10, groups=np.zeros(9))
