"""Cross-entropy with given classes and swapped prediction, against plain loops over the equations."""

import math

import pytest
import torch

from tacit.objectives.clustering import ClassCrossEntropy, SwappedPrediction


def log_softmax(row):
    top = max(row)
    total = top + math.log(sum(math.exp(v - top) for v in row))
    return [v - total for v in row]


def cross_entropy(logits, labels, smoothing):
    """Of one row a sample and head: lists of floats and labels."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        for k, value in enumerate(log_softmax(row)):
            total -= ((1 - smoothing) * (k == label) + smoothing / len(row)) * value
    return total / len(logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.8, 1.0])
def test_cross_entropy_is_the_equation(smoothing):
    logits, labels = torch.randn(5, 3, 7, dtype=torch.float64), torch.randint(0, 7, (5, 3))
    expected = cross_entropy(logits.flatten(0, 1).tolist(), labels.flatten().tolist(), smoothing)
    assert ClassCrossEntropy(smoothing)(logits, labels).item() == pytest.approx(expected, rel=1e-12)
    one = ClassCrossEntropy(smoothing)(logits[:, 0], labels[:, 0]).item()
    assert one == pytest.approx(cross_entropy(logits[:, 0].tolist(), labels[:, 0].tolist(), smoothing), rel=1e-12)


def test_several_heads_are_the_mean_of_each():
    logits, labels = torch.randn(5, 3, 7), torch.randint(0, 7, (5, 3))
    each = [ClassCrossEntropy(0.3)(logits[:, h], labels[:, h]) for h in range(3)]
    torch.testing.assert_close(ClassCrossEntropy(0.3)(logits, labels), torch.stack(each).mean())


def test_cross_entropy_limits():
    labels = torch.arange(6) % 4
    sure = 200.0 * torch.nn.functional.one_hot(labels, 4)
    assert ClassCrossEntropy()(sure, labels).item() == pytest.approx(0, abs=1e-6)
    assert ClassCrossEntropy(0.8)(torch.zeros(6, 4), labels).item() == pytest.approx(math.log(4))
    # With smoothing the best logits are not the surest: the target's own entropy is the least.
    target = torch.full((6, 4), 0.2) + 0.2 * torch.nn.functional.one_hot(labels, 4)
    entropy = -(target * target.log()).sum(1).mean().item()
    assert ClassCrossEntropy(0.8)(target.log(), labels).item() == pytest.approx(entropy, rel=1e-5)
    assert ClassCrossEntropy(0.8)(sure, labels) > 10 * entropy


def swapped(scores, codes, temperature):
    total, given, views = 0.0, len(codes), len(scores)
    for a in range(given):
        for v in range(views):
            if v != a:
                for code, row in zip(codes[a], scores[v], strict=True):
                    found = log_softmax([s / temperature for s in row])
                    total -= sum(q * f for q, f in zip(code, found, strict=True)) / len(codes[a])
    return total / (given * (views - 1))


@pytest.mark.parametrize(("views", "given"), [(2, 2), (5, 2), (3, 1), (2, 1), (3, 3)])
def test_swapped_prediction_is_the_equation(views, given):
    scores = torch.randn(views, 4, 6, dtype=torch.float64)
    codes = torch.rand(given, 4, 6, dtype=torch.float64).softmax(2)
    expected = swapped(scores.tolist(), codes.tolist(), 0.3)
    assert SwappedPrediction(0.3)(scores, codes).item() == pytest.approx(expected, rel=1e-12)


def test_swapped_prediction_asks_nothing_of_a_view_about_itself_and_nothing_of_the_codes():
    scores = torch.randn(2, 4, 6, requires_grad=True)
    codes = torch.rand(1, 4, 6).softmax(2).requires_grad_()
    SwappedPrediction()(scores, codes).backward()
    assert not scores.grad[0].any()
    assert scores.grad[1].any()
    assert codes.grad is None


@pytest.mark.parametrize("kind", ["zero", "huge", "equal", "batch of 2"])
def test_finite_on_hard_inputs(kind):
    scores = {"zero": torch.zeros(3, 4, 5), "huge": 1e4 * torch.randn(3, 4, 5), "equal": torch.ones(3, 4, 5)}
    given = scores.get(kind, torch.randn(3, 2, 5)).requires_grad_()
    codes = torch.full((2, given.shape[1], 5), 0.2)
    labels = torch.zeros(given.shape[:2], dtype=torch.int64)
    for value in (SwappedPrediction(0.1)(given, codes), ClassCrossEntropy(0.8)(given, labels)):
        given.grad = None
        value.backward()
        assert value.isfinite()
        assert given.grad.isfinite().all()


def test_half_precision_is_widened():
    scores, codes = torch.randn(3, 4, 5).bfloat16(), torch.rand(2, 4, 5).softmax(2)
    labels = torch.randint(0, 5, (3, 4))
    for objective, other in ((SwappedPrediction(), codes), (ClassCrossEntropy(0.8), labels)):
        expected = objective(scores.float(), other)
        with torch.autocast("cpu", torch.bfloat16):
            found = objective(scores, other)
        assert found.dtype == torch.float32
        assert found == expected


def test_errors():
    with pytest.raises(ValueError, match="smoothing"):
        ClassCrossEntropy(1.5)
    with pytest.raises(ValueError, match="labels"):
        ClassCrossEntropy()(torch.zeros(4, 3), torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match="temperature"):
        SwappedPrediction(0.0)
    for views, given in ((1, 1), (2, 3)):
        with pytest.raises(ValueError, match="at least 2 views"):
            SwappedPrediction()(torch.zeros(views, 4, 3), torch.zeros(given, 4, 3))
