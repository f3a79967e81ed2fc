import math

import pytest
import torch

from tacit.objectives.reconstruction import MaskedError, ScaledCosine


def example():
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    hidden = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]]).bool()
    return prediction, target, hidden


@pytest.mark.parametrize("normalise", [False, True])
def test_is_the_equation(normalise):
    prediction, target, hidden = example()
    total, count = 0.0, 0
    for b in range(3):
        for n in range(4):
            if hidden[b, n]:
                t = target[b, n].tolist()
                if normalise:
                    mean = sum(t) / 5
                    variance = sum((v - mean) ** 2 for v in t) / 4
                    t = [(v - mean) / math.sqrt(variance + 1e-6) for v in t]
                total += sum((p - v) ** 2 for p, v in zip(prediction[b, n].tolist(), t, strict=True)) / 5
                count += 1
    assert MaskedError(normalise)(prediction, target, hidden).item() == pytest.approx(total / count, rel=1e-12)


def test_visible_tokens_do_not_matter():
    prediction, target, hidden = example()
    loss = MaskedError()
    other = torch.where(hidden[..., None], prediction, 1e3)
    assert loss(other, target, hidden) == loss(prediction, target, hidden)
    p = prediction.requires_grad_()
    loss(p, target, hidden).backward()
    assert (p.grad[~hidden] == 0).all()
    assert (p.grad[hidden] != 0).any(1).all()


def test_gradient():
    prediction, target, hidden = example()
    assert torch.autograd.gradcheck(lambda p: MaskedError()(p, target, hidden), [prediction.requires_grad_()])


def test_normalised_targets_ignore_scale_and_shift():
    prediction, target, hidden = example()
    other = MaskedError()(prediction, 100 * target + 5, hidden)
    torch.testing.assert_close(other, MaskedError()(prediction, target, hidden), rtol=1e-5, atol=0)


def test_nothing_hidden_and_constant_targets():
    prediction, target, hidden = example()
    p = prediction.requires_grad_()
    loss = MaskedError()(p, target, torch.zeros_like(hidden))
    loss.backward()
    assert loss == 0
    assert (p.grad == 0).all()
    constant = MaskedError()(p, torch.ones_like(target), hidden)  # normalised targets are zero
    torch.testing.assert_close(constant, p[hidden].square().mean(), rtol=1e-12, atol=0)


def test_one_sample_suffices():
    prediction, target, hidden = (t[:1] for t in example())
    assert MaskedError()(prediction, target, hidden).isfinite()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, t, h: (p[:, :2], t, h), "one shape"),
        (lambda p, t, h: (p[0], t[0], h), "one shape"),
        (lambda p, t, h: (p, t, h[:, :2]), "hidden must be bool"),
        (lambda p, t, h: (p, t, h.float()), "hidden must be bool"),
        (lambda p, t, h: (p[..., :1], t[..., :1], h), "normalise=False"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        MaskedError()(*change(*example()))


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.0])
def test_scaled_cosine_is_the_equation(gamma):
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 7, 5, generator=generator, dtype=torch.float64)
    target[2] = 0  # has no direction, and does not count
    total = 0.0
    for v in (0, 1, 3, 4, 5, 6):
        p, t = prediction[v].tolist(), target[v].tolist()
        dot = sum(a * b for a, b in zip(p, t, strict=True))
        total += (1 - dot / math.sqrt(sum(a * a for a in p) * sum(b * b for b in t))) ** gamma
    assert ScaledCosine(gamma)(prediction, target).item() == pytest.approx(total / 6, rel=1e-9)


def test_scaled_cosine_limits():
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert ScaledCosine(2)(x, 3 * x).item() == pytest.approx(0, abs=1e-12)
    assert ScaledCosine(3)(-x, x).item() == pytest.approx(8)
    assert ScaledCosine()(x, torch.zeros_like(x)) == 0
    p = torch.zeros(6, 4, requires_grad=True)
    ScaledCosine()(p, x.float()).backward()
    assert p.grad.isfinite().all()
    q = x.clone().requires_grad_()
    ScaledCosine()(q, x).backward()
    assert q.grad.isfinite().all()
    assert torch.autograd.gradcheck(lambda z: ScaledCosine(2)(z, x), [(x.flip(0) + 0.1).requires_grad_()])
    for wrong in (
        lambda: ScaledCosine(0.5),
        lambda: ScaledCosine()(x, x[:3]),
        lambda: ScaledCosine()(x[None], x[None]),
    ):
        with pytest.raises(ValueError):
            wrong()
