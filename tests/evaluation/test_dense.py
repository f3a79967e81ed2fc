"""Probes of tokens against scikit-learn, and labels by place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from tacit.errors import DataError
from tacit.evaluation.dense import dense_probe, labels_at
from tacit.evaluation.probe import linear_probe


def test_intersection_over_union_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    y, truth = random.integers(3, size=300), random.integers(3, size=200)
    centres = random.normal(size=(3, 5)) * 2
    train, test = (centres[labels] + random.normal(size=(len(labels), 5)) for labels in (y, truth))
    found = dense_probe(train, y, test, truth)
    taken = linear_probe(train, y, test, truth).predictions
    np.testing.assert_allclose(found.iou, jaccard_score(truth, taken, average=None))
    assert found.mean_iou == pytest.approx(jaccard_score(truth, taken, average="macro"))
    assert found.accuracy == pytest.approx((taken == truth).mean())


def test_ignored_tokens_change_nothing() -> None:
    random = np.random.default_rng(1)
    train, test = random.normal(size=(80, 4)), random.normal(size=(50, 4))
    y, truth = (train[:, 0] > 0).astype(int), (test[:, 0] > 0).astype(int)
    plain = dense_probe(train, y, test, truth)
    noise = np.full((20, 4), 1e3)
    more = dense_probe(
        np.concatenate([noise, train]), np.append(np.full(20, -1), y), np.concatenate([test, noise]),
        np.append(truth, np.full(20, -1)),
    )  # fmt: skip
    assert (more.accuracy, more.mean_iou, more.l2) == (plain.accuracy, plain.mean_iou, plain.l2)
    with pytest.raises(DataError, match="left out"):
        dense_probe(train, np.full(80, -1), test, truth)


def test_a_class_that_is_nowhere_in_the_test_set_lowers_the_mean_only_where_it_is_named() -> None:
    x = np.repeat(np.eye(3), 20, 0)
    found = dense_probe(x, np.repeat([0, 1, 2], 20), x[:40], np.repeat([0, 1], 20))
    np.testing.assert_array_equal(found.iou, [1, 1, np.nan])
    assert found.mean_iou == 1


def test_labels_by_the_cell_that_a_token_lies_in() -> None:
    maps = torch.arange(2 * 4 * 6).reshape(2, 4, 6)
    sample = torch.tensor([0, 1, 1])
    position = torch.tensor([[0.0, 0.0], [0.5, 0.99], [1.0, 1.0]])
    assert labels_at(maps, sample, position).tolist() == [0, 24 + 2 * 6 + 5, 47]
    lines = torch.arange(10).reshape(1, 10)
    assert labels_at(lines, torch.zeros(2, dtype=torch.int64), torch.tensor([[0.55], [0.09]])).tolist() == [5, 0]
    with pytest.raises(DataError, match="axes"):
        labels_at(maps, sample, position[:, :1])
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        labels_at(maps, sample, position + 0.5)
