import math

import pytest
import torch

from tacit.objectives.distillation import CrossViews, HiddenTokens


def log_softmax(row, t):
    scaled = [v / t for v in row]
    top = max(scaled)
    return [v - top - math.log(sum(math.exp(w - top) for w in scaled)) for v in scaled]


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("views", "seen"), [(2, 2), (5, 2), (3, 1)])
def test_cross_views_is_the_equation(views, seen):
    scores, target = numbers(views, 4, 6), numbers(seen, 4, 6, seed=1).softmax(2)
    loss, pairs = 0.0, 0
    for g in range(seen):
        for v in range(views):
            if v != g:
                pairs += 1
                for b in range(4):
                    found = log_softmax(scores[v, b].tolist(), 0.3)
                    loss -= sum(p * q for p, q in zip(target[g, b].tolist(), found, strict=True)) / 4
    assert CrossViews(0.3)(scores, target).item() == pytest.approx(loss / pairs, rel=1e-12)


def test_a_view_does_not_teach_itself():
    scores = numbers(2, 4, 6)
    target = scores.softmax(2)
    other = torch.stack((scores[1], scores[0]))
    assert CrossViews(1.0)(other, target) < CrossViews(1.0)(scores, target)


def test_hidden_tokens_is_the_equation():
    scores, target = numbers(5, 6), numbers(5, 6, seed=1).softmax(1)
    sample, samples = torch.tensor([0, 0, 0, 2, 2]), 4
    loss = 0.0
    for b in (0, 2):
        rows = [i for i, s in enumerate(sample.tolist()) if s == b]
        for i in rows:
            found = log_softmax(scores[i].tolist(), 0.2)
            loss -= sum(p * q for p, q in zip(target[i].tolist(), found, strict=True)) / len(rows) / samples
    assert HiddenTokens(0.2)(scores, target, sample, samples).item() == pytest.approx(loss, rel=1e-12)


def test_nothing_hidden_is_zero_with_a_gradient():
    scores = torch.zeros(0, 6, requires_grad=True)
    value = HiddenTokens()(scores, torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64), 3)
    value.backward()
    assert value.item() == 0


def test_gradients():
    scores = numbers(3, 2, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: CrossViews(0.5)(s, numbers(2, 2, 4, seed=1).softmax(2)), [scores])
    scores = numbers(4, 5).requires_grad_()
    sample = torch.tensor([0, 1, 1, 1])
    assert torch.autograd.gradcheck(
        lambda s: HiddenTokens(0.5)(s, numbers(4, 5, seed=1).softmax(1), sample, 2), [scores]
    )


@pytest.mark.parametrize("factor", [0.0, 1.0, 1e4])
def test_finite_in_half_precision(factor):
    scores = (factor * numbers(3, 2, 6)).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = CrossViews()(scores, torch.full((2, 2, 6), 1 / 6))
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert scores.grad.isfinite().all()


def test_bad_input():
    for kind in (CrossViews, HiddenTokens):
        with pytest.raises(ValueError, match="positive"):
            kind(0.0)
    for scores, target in (((1, 2, 3), (1, 2, 3)), ((2, 2, 3), (3, 2, 3)), ((2, 2, 3), (2, 2, 4))):
        with pytest.raises(ValueError, match="two views or more"):
            CrossViews()(torch.ones(scores), torch.ones(target))
    with pytest.raises(ValueError, match="one shape"):
        HiddenTokens()(torch.ones(2, 3), torch.ones(2, 3), torch.zeros(3, dtype=torch.int64), 2)


def sine(*shape, rate=1.7):
    return torch.sin(rate * torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


def test_agrees_with_lightly():
    """Recorded from lightly 1.6.0, DINOLoss and IBOTPatchLoss, float64, teacher temperature 0.06, no centre.

    Both hold the teacher's temperature in float32, and IBOTPatchLoss its weights.
    """
    rounded = torch.tensor(0.06).item()
    views = CrossViews(0.1)(sine(4, 3, 5, rate=2.3), (sine(2, 3, 5) / rounded).softmax(2))
    assert views.item() == pytest.approx(9.154094794610693, rel=1e-12)
    sample = torch.tensor([0, 0, 2, 2, 2])
    tokens = HiddenTokens(0.1)(sine(5, 5, rate=2.3), (sine(5, 5) / rounded).softmax(1), sample, 3)
    assert tokens.item() == pytest.approx(5.131714078298482, rel=1e-7)
