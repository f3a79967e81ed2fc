"""Retrieval against scikit-learn's average precision and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from tacit.errors import DataError, OptionError
from tacit.evaluation import retrieval as module
from tacit.evaluation.retrieval import recalls, retrieval


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


def test_average_precision_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    queries, gallery = random.normal(size=(30, 6)), random.normal(size=(50, 6))
    y, names = random.integers(4, size=30), random.integers(4, size=50)
    expected = [
        average_precision_score(names == label, row) for label, row in zip(y, cosine(queries, gallery), strict=True)
    ]
    found = retrieval(queries, y, gallery, names)
    np.testing.assert_allclose(found.average_precision, expected, atol=1e-6)
    monkeypatch.setattr(module, "PAIRS", 64)  # one query at a time
    again = retrieval(torch.tensor(queries), y, gallery, names)
    np.testing.assert_allclose(again.average_precision, expected, atol=1e-6)
    hits = np.take_along_axis(names == y[:, None], np.argsort(-cosine(queries, gallery), 1), 1)
    assert recalls(found, (1, 3)) == pytest.approx(
        {"recall@1": hits[:, 0].mean(), "recall@3": hits[:, :3].any(1).mean()}
    )


def test_without_a_gallery_no_query_finds_itself() -> None:
    random = np.random.default_rng(1)
    rows, y = random.normal(size=(20, 5)), random.integers(3, size=20)
    near = cosine(rows, rows)
    expected = []
    for i in range(20):
        others = np.arange(20) != i
        expected.append(average_precision_score(y[others] == y[i], near[i, others]))
    np.testing.assert_allclose(retrieval(rows, y).average_precision, expected, atol=1e-6)


def test_limits() -> None:
    y = np.repeat(["a", "b"], 3)
    apart = np.eye(2)[[0, 0, 0, 1, 1, 1]]
    perfect = retrieval(apart, y)
    assert perfect.mean_average_precision == 1
    assert perfect.recall(1) == 1
    last = retrieval(np.array([[1.0, 0]]), [1], np.array([[1.0, 0], [0.5, 1], [-1, 0]]), [0, 0, 1])
    assert last.mean_average_precision == pytest.approx(1 / 3)
    assert (last.recall(2), last.recall(3)) == (0, 1)


def test_a_query_that_has_nothing_to_find_does_not_count() -> None:
    rows = np.eye(3)[[0, 0, 1]]
    found = retrieval(rows, [0, 0, 7])
    assert np.isnan(found.average_precision[2])
    assert found.first.tolist() == [0, 0, -1]
    assert found.mean_average_precision == 1
    with pytest.raises(DataError, match="to find"):
        retrieval(np.eye(3), [0, 1, 2])


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="dimensions"):
        retrieval(np.eye(3), [0, 1, 1], np.eye(4), [0, 1, 1, 1])
    with pytest.raises(DataError, match="needs labels"):
        retrieval(np.eye(3), [0, 1, 1], np.eye(3))
    with pytest.raises(DataError, match="finite"):
        retrieval(np.full((3, 2), np.nan), [0, 1, 1])
    with pytest.raises(OptionError, match="at least 1"):
        retrieval(np.eye(3)[[0, 0]], [0, 0]).recall(0)
