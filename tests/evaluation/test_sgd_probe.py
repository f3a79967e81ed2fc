"""Heads trained by SGD against plain loops in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tacit.errors import DataError, OptionError
from tacit.evaluation.sgd_probe import LINEAR, MLP, NORMED, Recipe, fitted_head, head_probe


def rows(n: int = 40, d: int = 5, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.permutation(np.arange(n) % classes)
    return random.normal(size=(classes, d))[y] * 1.5 + random.normal(size=(n, d)) * [1, 2, 3, 1, 2][:d], y


def by_loop(x: np.ndarray, y: np.ndarray, lr: float, epochs: int, drops: list[int], decay: float, nesterov: bool):
    """Softmax regression on all rows at once, from zero."""
    w, b = np.zeros((x.shape[1], y.max() + 1)), np.zeros(y.max() + 1)
    speed = [np.zeros_like(w), np.zeros_like(b)]
    for step in range(epochs):
        rate = lr * 0.1 ** sum(step >= at for at in drops)
        logits = x @ w + b
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(y)), y] -= 1
        slopes = [x.T @ p / len(y) + decay * w, p.mean(0) + decay * b]
        for place, slope in enumerate(slopes):
            speed[place] = 0.9 * speed[place] + slope
        moves = [s + 0.9 * v if nesterov else v for s, v in zip(slopes, speed, strict=True)]
        w, b = w - rate * moves[0], b - rate * moves[1]
    return w, b


def test_a_linear_head_takes_the_steps_of_a_plain_loop() -> None:
    (x, y), (other, truth) = rows(), rows(30, seed=1)
    found = head_probe(x, y, other, truth, replace(LINEAR, epochs=14, weight_decay=0.01))
    mean, std = x.mean(0), x.std(0)
    w, b = by_loop((x - mean) / std, y, 0.1 * 40 / 256, 14, [6, 10], 0.01, False)
    scores = (other - mean) / std @ w + b
    np.testing.assert_allclose(found.scores, scores, atol=1e-4)
    assert found.accuracy == (scores.argmax(1) == truth).mean()


def test_batch_norm_has_statistics_of_the_batch_in_training_and_running_ones_in_the_test() -> None:
    (x, y), (other, truth) = rows(), rows(30, seed=1)
    found = head_probe(x, y, other, truth, replace(NORMED, epochs=21, weight_decay=0.02))
    seen = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    w, b = by_loop(seen, y, 0.01 * 40 / 256, 21, [6, 12, 18], 0.02, True)
    mean, variance = np.zeros(5), np.ones(5)
    for _ in range(21):
        mean, variance = 0.9 * mean + 0.1 * x.mean(0), 0.9 * variance + 0.1 * x.var(0, ddof=1)
    scores = (other - mean) / np.sqrt(variance + 1e-5) @ w + b
    np.testing.assert_allclose(found.scores, scores, atol=1e-4)


def test_the_papers_recipes() -> None:
    assert (LINEAR.lr, LINEAR.batch_size, LINEAR.epochs) == (0.1, 512, 70)
    assert [round(share * 70) for share in LINEAR.drops] == [30, 50]
    assert (MLP.hidden, MLP.dropout, MLP.epochs) == (1000, 0.5, 70)
    assert [round(share * 140_000) for share in NORMED.drops] == [40_000, 80_000, 120_000]
    assert (NORMED.lr, NORMED.batch_size, NORMED.nesterov, NORMED.norm) == (0.01, 256, True, True)


def test_a_hidden_layer_tells_what_no_line_can() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(600, 2))
    y = np.where((x[:, 0] > 0) == (x[:, 1] > 0), "same", "other")
    quick = Recipe(batch_size=64, epochs=30, hidden=32, dropout=0.1)
    found = head_probe(x[:400], y[:400], x[400:], y[400:], quick, seed=3)
    assert found.accuracy > 0.85
    assert head_probe(x[:400], y[:400], x[400:], y[400:], replace(quick, hidden=0)).accuracy < 0.7
    again = head_probe(x[:400], y[:400], x[400:], y[400:], quick, seed=3)
    np.testing.assert_array_equal(found.scores, again.scores)
    assert not np.array_equal(found.scores, head_probe(x[:400], y[:400], x[400:], y[400:], quick, seed=4).scores)


def test_what_is_unknown_does_not_teach() -> None:
    x, y = rows()
    several = torch.from_numpy((y[:, None] == np.arange(3)).astype(np.int64))
    hidden = several.clone()
    hidden[:10] = -1
    once = replace(NORMED, epochs=1, weight_decay=0.0)
    trained = fitted_head(x, hidden, once)
    seen = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    slope = (0.5 - several[10:].numpy()).T @ seen[10:] / 90  # where all scores are zero
    np.testing.assert_allclose(trained.head[-1].weight.detach(), -1.9 * 0.01 * 40 / 256 * slope, atol=1e-7)
    nothing = fitted_head(x, torch.full((40, 3), -1), once).scores(x)
    np.testing.assert_array_equal(nothing, 0)


def test_bad_input() -> None:
    x, y = rows()
    with pytest.raises(OptionError, match="lr above 0"):
        Recipe(lr=0)
    with pytest.raises(OptionError, match="batch_size from 2"):
        Recipe(batch_size=1)
    with pytest.raises(OptionError, match="drops"):
        Recipe(drops=(30,))
    with pytest.raises(OptionError, match="dropout"):
        Recipe(dropout=1.0)
    with pytest.raises(DataError, match="two classes"):
        head_probe(x, np.zeros(40, int), x, y)
    with pytest.raises(DataError, match="have 5 dimensions"):
        head_probe(x, y, x[:, :4], y, replace(LINEAR, epochs=1))
    with pytest.raises(DataError, match="row 3 holds NaN"):
        head_probe(np.where(np.arange(40)[:, None] == 3, np.nan, x), y, x, y, LINEAR)
