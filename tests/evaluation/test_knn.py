import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier

from tacit.errors import DataError, OptionError
from tacit.evaluation import knn_accuracy, knn_predict, neighbours


def blobs(n, dim, classes, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, dim))
    y = rng.integers(classes, size=n)
    return (centres[y] + noise * rng.normal(size=(n, dim))).astype(np.float32), y


def reference(queries, bank, k, metric):
    distance = pairwise_distances(queries.astype(np.float64), bank.astype(np.float64), metric=metric)
    order = np.argsort(distance, axis=1)[:, :k]
    near = np.take_along_axis(distance, order, 1)
    return (1 - near if metric == "cosine" else -near), order


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("chunk", [None, (7, 33), (64, 1000), (1000, 5), (40, 512)])
@pytest.mark.parametrize("k", [1, 20])
def test_equals_sorting_all_distances(metric, chunk, k):
    rng = np.random.default_rng(0)
    queries, bank = rng.normal(size=(50, 16)), rng.normal(size=(1500, 16))
    expected, order = reference(queries, bank, k, metric)
    scores, index = neighbours(queries, bank, k, metric, chunk=chunk)
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("direction", [1, -1])
def test_bank_in_order_of_nearness(direction):
    """Every chunk holds only better, or only worse, rows than the one before: the filter by the k-th so far."""
    angle = np.linspace(0.001, 1.5, 3000)[::direction]
    bank = np.stack([np.cos(angle), np.sin(angle)], 1)
    _, index = neighbours(np.array([[1.0, 0.0]]), bank, 30, chunk=(1, 700))
    expected = np.arange(30) if direction == 1 else 2999 - np.arange(30)
    np.testing.assert_array_equal(index[0], expected)


def test_all_the_best_in_one_group():
    """The nearest rows are one group's members (columns dealt out by stride), more of them than groups looked at."""
    rng = np.random.default_rng(1)
    bank = np.stack([rng.uniform(-1, 0.5, 4096), np.ones(4096)], 1)
    bank[2048 + 3 :: 128] = [50, 1]
    bank[2048 + 3 :: 128, 1] += np.arange(16) / 100
    _, index = neighbours(np.array([[1.0, 0.0]]), bank, 16, chunk=(1, 2048))
    np.testing.assert_array_equal(index[0], 2048 + 3 + 128 * np.arange(16))


@pytest.mark.parametrize("chunk", [None, (13, 17)])
def test_exclude_self(chunk):
    x = np.random.default_rng(2).normal(size=(90, 8))
    x[1] = x[0] + 1e-3
    _, order = reference(x, x + 0, 90, "cosine")
    expected = [[j for j in row if j != i][:5] for i, row in enumerate(order)]
    scores, index = neighbours(x, x, 5, exclude_self=True, chunk=chunk)
    np.testing.assert_array_equal(index, expected)
    assert index[0, 0] == 1
    assert scores[0, 0] == pytest.approx(1, abs=1e-5)


def test_euclidean_far_from_the_origin():
    rng = np.random.default_rng(3)
    bank = (1e4 + rng.normal(size=(400, 6))).astype(np.float32)
    queries = bank[:30] + rng.normal(size=(30, 6)).astype(np.float32) * 0.1
    expected, order = reference(queries, bank, 5, "euclidean")
    scores, index = neighbours(queries, bank, 5, "euclidean")
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(scores, expected, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_cosine_does_not_depend_on_scale(scale):
    queries, bank = np.random.default_rng(4).normal(size=(2, 40, 12))
    _, expected = neighbours(queries, bank, 7)
    scores, index = neighbours(queries * scale, bank * scale, 7)
    np.testing.assert_array_equal(index, expected)
    assert (scores[:, 0] > 0.1).all()


def test_zero_rows_are_orthogonal():
    scores, index = neighbours(np.zeros((1, 3)), np.eye(3), 3)
    np.testing.assert_array_equal(scores, 0)
    assert sorted(index[0]) == [0, 1, 2]


def test_memmap_tensor_and_precision_give_the_same(tmp_path):
    bank = np.random.default_rng(5).normal(size=(300, 10)).astype(np.float32)
    stored = np.memmap(tmp_path / "bank", dtype=np.float32, mode="w+", shape=bank.shape)
    stored[:] = bank
    stored.flush()
    mapped = np.memmap(tmp_path / "bank", dtype=np.float32, mode="r", shape=bank.shape)
    expected = neighbours(bank[:20], bank, 4)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = [neighbours(mapped[:20], mapped, 4), neighbours(torch.tensor(bank[:20]), torch.tensor(bank), 4)]
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    for scores, index in found:
        np.testing.assert_array_equal(index, expected[1])
        np.testing.assert_array_equal(scores, expected[0])


def test_vote_equals_plain_loops():
    (x, y), (q, _) = blobs(200, 6, 4, 0), blobs(30, 6, 4, 1)
    names = np.array(["ant", "bee", "cat", "dog"])[y]
    vote = knn_predict(x, names, q, k=9, temperature=0.1)
    unit = lambda z: z.astype(np.float64) / np.linalg.norm(z, axis=1, keepdims=True)  # noqa: E731
    similar = unit(q) @ unit(x).T
    for i, row in enumerate(similar):
        weights = dict.fromkeys(["ant", "bee", "cat", "dog"], 0.0)
        for j in np.argsort(-row)[:9]:
            weights[names[j]] += np.exp(row[j] / 0.1)
        total = sum(weights.values())
        np.testing.assert_allclose(vote.probabilities[i], [w / total for w in weights.values()], atol=1e-5)
        assert vote.predictions[i] == max(weights, key=weights.__getitem__)
    assert vote.k == 9


def test_uniform_vote_agrees_with_sklearn():
    (x, y), (q, truth) = blobs(400, 10, 5, 0), blobs(100, 10, 5, 1)
    other = KNeighborsClassifier(11, metric="cosine", algorithm="brute").fit(x, y)
    vote = knn_predict(x, y, q, k=11, weighting="uniform")
    np.testing.assert_allclose(vote.probabilities, other.predict_proba(q), atol=1e-6)
    assert knn_accuracy(x, y, q, truth, k=11, weighting="uniform") == pytest.approx(other.score(q, truth))


def test_tiny_temperature_is_the_nearest_neighbour():
    (x, y), (q, truth) = blobs(200, 6, 4, 0), blobs(50, 6, 4, 1)
    one = knn_predict(x, y, q, k=1).predictions
    sharp = knn_predict(x, y, q, k=20, temperature=1e-8)
    assert np.isfinite(sharp.probabilities).all()
    np.testing.assert_array_equal(sharp.predictions, one)
    assert knn_accuracy(x, y, q, truth, k=1) == pytest.approx((one == truth).mean())


def test_unseen_test_label_is_an_error_of_the_vote():
    x, y = blobs(50, 4, 2, 0)
    assert knn_accuracy(x, y, x[:10], np.full(10, 7)) == 0


def test_k_is_lowered_with_a_warning():
    x, _ = blobs(10, 4, 2, 0)
    with pytest.warns(UserWarning, match="k lowered from 20 to 9"):
        _, index = neighbours(x, x, 20, exclude_self=True)
    assert index.shape == (10, 9)
    assert all(sorted([*row, i]) == list(range(10)) for i, row in enumerate(index))


X = np.ones((4, 3), dtype=np.float32)
NAN = np.array([[1, 2, 3], [1, np.nan, 3]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: neighbours(X, X[:, :2], 1), DataError, "3 dimensions, but bank has 2"),
        (lambda: neighbours(NAN, X, 1), DataError, "queries must be finite, but row 1"),
        (lambda: neighbours(X, torch.tensor(NAN), 1), DataError, "bank must be finite, but row 1"),
        (lambda: neighbours(X, np.full((2, 3), np.inf), 1), DataError, "finite"),
        (lambda: neighbours(X, X[:0], 1), DataError, "bank is empty"),
        (lambda: neighbours(X[0], X, 1), DataError, "matrix"),
        (lambda: neighbours(X, [["a", "b", "c"]], 1), DataError, "real numbers"),
        (lambda: neighbours(X, X, 0), OptionError, "k must be at least 1"),
        (lambda: neighbours(X, X, 1, "cosin"), OptionError, "did you mean 'cosine'"),
        (lambda: neighbours(X, X, 1, chunk=(0, 4)), OptionError, "chunk"),
        (lambda: neighbours(X, X[:2], 1, exclude_self=True), DataError, "same samples"),
        (lambda: neighbours(X[:1], X[:1], 1, exclude_self=True), DataError, "at least 2"),
        (lambda: knn_predict(X, [1, 1, 1, 1], X), DataError, "two classes"),
        (lambda: knn_predict(X, [1, 2, 3], X), DataError, "one a sample, 4"),
        (lambda: knn_predict(X, [1, 2, 3, np.nan], X), DataError, "NaN"),
        (lambda: knn_predict(X, [1, 2, 3, 4], X, temperature=0), OptionError, "temperature"),
        (lambda: knn_predict(X, [1, 2, 3, 4], X, weighting="unifrom"), OptionError, "uniform"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
