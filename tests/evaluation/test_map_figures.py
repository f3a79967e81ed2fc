"""Figures of maps against scikit-learn and plain loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score

from tacit.errors import DataError
from tacit.evaluation.maps import class_figures, depth_figures, normal_figures


def test_classes_are_scored_as_scikit_learn_does() -> None:
    random = np.random.default_rng(0)
    guess, truth = random.integers(0, 5, (3, 6, 7)), random.integers(0, 4, (3, 6, 7)) * 2
    found = class_figures(guess, truth)
    assert found["accuracy"] == accuracy_score(truth.ravel(), guess.ravel())
    assert found["iou"] == pytest.approx(jaccard_score(truth.ravel(), guess.ravel(), average="macro"))
    hidden = np.where(random.random(truth.shape) < 0.3, -1, truth)
    known = hidden >= 0
    part = class_figures(guess, hidden)
    assert part == class_figures(guess[known], truth[known])


def test_depths_by_a_loop() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(1, 5, (2, 5, 5))
    truth[0, 0] = 0
    guess = truth * random.uniform(0.7, 1.4, truth.shape)
    guess[1, 0, 0] = -1.0
    found = depth_figures(guess, truth)
    near, close, square, off, n = 0, 0, 0.0, 0.0, 0
    for p, t in zip(guess.ravel(), truth.ravel(), strict=True):
        if t > 0:
            ratio = max(p / t, t / p) if p > 0 else math.inf
            near, close, n = near + (ratio < 1.25), close + (ratio < 1.1), n + 1
            square, off = square + (p - t) ** 2, off + abs(p - t)
    assert n == 45
    expected = {"within_1.25": near / n, "within_1.1": close / n, "rmse": math.sqrt(square / n), "error": off / n}
    assert found == pytest.approx(expected)


def test_normals_are_off_by_the_angle_they_were_turned_by() -> None:
    random = np.random.default_rng(0)
    angles = np.array([[0.0, 5.0, 11.0], [12.0, 25.0, 90.0], [180.0, 22.0, 40.0]])
    truth = random.normal(size=(1, 3, 3, 3))
    side = np.cross(truth, random.normal(size=truth.shape), axis=1)
    unit, side = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (truth, side))
    turned = np.cos(np.radians(angles)) * unit + np.sin(np.radians(angles)) * side
    found = normal_figures(turned * random.uniform(0.5, 3, (1, 1, 3, 3)), truth)
    expected = {
        "mean": angles.mean(), "median": 22.0, "within_11.25": 3 / 9, "within_22.5": 5 / 9, "within_30": 6 / 9
    }  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-4)
    truth[:, :, 0] = 0
    assert normal_figures(turned, truth)["mean"] == pytest.approx(angles[1:].mean(), abs=1e-4)
    assert normal_figures(0 * turned, truth)["median"] == pytest.approx(90)


def test_bad_input() -> None:
    x = np.ones((2, 3, 4, 4))
    with pytest.raises(DataError, match="one shape"):
        class_figures(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)))
    with pytest.raises(DataError, match="no pixel"):
        class_figures(np.zeros((1, 2, 2)), np.full((1, 2, 2), -1))
    with pytest.raises(DataError, match="depth above 0"):
        depth_figures(x, 0 * x)
    with pytest.raises(DataError, match="finite"):
        depth_figures(x * np.nan, x)
    with pytest.raises(DataError, match=r"\[N, 3, H, W\]"):
        normal_figures(x[:, :2], x[:, :2])
    with pytest.raises(DataError, match="finite"):
        normal_figures(x * np.inf, x)
    with pytest.raises(DataError, match="true normal"):
        normal_figures(x, 0 * x)
