import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.objectives.whitening import WhitenedMSE, whiten


def projections(rows=12, width=3):
    i = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return torch.sin(1.7 * i * i), torch.sin(1.7 * i * i) + 0.5 * torch.cos(2.3 * i)


def plain_whitened(rows, eps):
    """One number at a time: covariance, its Cholesky factor, forward substitution."""
    n, d = len(rows), len(rows[0])
    mean = [sum(r[k] for r in rows) / n for k in range(d)]
    centred = [[r[k] - mean[k] for k in range(d)] for r in rows]
    s = [[sum(c[a] * c[b] for c in centred) / (n - 1) for b in range(d)] for a in range(d)]
    s = [[(1 - eps) * s[a][b] + eps * (a == b) for b in range(d)] for a in range(d)]
    low = [[0.0] * d for _ in range(d)]
    for a in range(d):
        for b in range(a + 1):
            rest = s[a][b] - sum(low[a][k] * low[b][k] for k in range(b))
            low[a][b] = math.sqrt(rest) if a == b else rest / low[b][b]
    out = []
    for c in centred:
        y = []
        for a in range(d):
            y.append((c[a] - sum(low[a][k] * y[k] for k in range(a))) / low[a][a])
        out.append(y)
    return out


def plain(views, orders, size, eps, normalise):
    total, pairs = 0.0, 0
    for order in orders:
        white = []
        for z in views:
            y = {}
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                for i, row in zip(chosen, plain_whitened([z[i].tolist() for i in chosen], eps), strict=True):
                    y[i] = row
            white.append(y)
        for k in range(len(views)):
            for m in range(k + 1, len(views)):
                pairs += 1
                for i in order:
                    a, b = white[k][i], white[m][i]
                    if normalise:
                        dot = sum(p * q for p, q in zip(a, b, strict=True))
                        total += (2 - 2 * dot / math.hypot(*a) / math.hypot(*b)) / len(order)
                    else:
                        total += sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) / len(a) / len(order)
    return total / pairs


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("count", [2, 3])
def test_is_the_equation(normalise, eps, count):
    views = [projections()[0] + v * projections()[1] for v in range(count)]
    orders = [[5, 3, 0, 7, 11, 1, 2, 10, 4, 9, 8, 6], list(range(12))]
    found = WhitenedMSE(6, eps, normalise)(*views, orders=torch.tensor(orders))
    assert found.item() == pytest.approx(plain(views, orders, 6, eps, normalise), rel=1e-10)


@pytest.mark.parametrize(("eps", "value"), [(0.0, 0.1497785559356306), (0.1, 0.15139487511340466)])
def test_agrees_with_lightly(eps, value):
    """Recorded from lightly 1.6.0, WMSELoss (one sub-batch, the whole batch), float64."""
    assert WhitenedMSE(12, eps)(*projections()).item() == pytest.approx(value, rel=1e-7)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_whitened_is_white(seed):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, 40, 6, generator=generator) @ torch.randn(6, 6, generator=generator) + 5
    y = whiten(z)
    covariance = y.mT @ y / 39
    torch.testing.assert_close(covariance, torch.eye(6).expand(2, 6, 6), rtol=0, atol=1e-4)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 6), rtol=0, atol=1e-5)


def test_cholesky_only_scales_the_first_dimension():
    z = torch.randn(30, 4, dtype=torch.float64)
    y = whiten(z)
    torch.testing.assert_close(y[:, 0], (z[:, 0] - z[:, 0].mean()) / z[:, 0].std())


def test_invariances():
    z1, z2 = projections()
    loss = WhitenedMSE(12, 0.0)
    torch.testing.assert_close(loss(3 * z1 + 2, z2), loss(z1, z2))  # scale and shift of a view
    torch.testing.assert_close(loss(z2, z1), loss(z1, z2))
    order = torch.randperm(12)[None]
    torch.testing.assert_close(loss(z1, z2, orders=order), loss(z1, z2))  # one sub-batch has no order


def test_limits():
    z = torch.randn(16, 3, dtype=torch.float64)
    assert WhitenedMSE(16)(z, z).item() == pytest.approx(0, abs=1e-6)
    assert WhitenedMSE(16)(z, -z).item() == pytest.approx(4, abs=1e-6)


def test_gradient():
    pair = [z.requires_grad_() for z in projections(10, 2)]
    loss = WhitenedMSE(5, 0.01)
    orders = torch.stack([torch.randperm(10) for _ in range(2)])
    assert torch.autograd.gradcheck(lambda *z: loss(*z, orders=orders), pair)


def test_leftover_samples_sit_out():
    z1, z2 = projections(11, 2)
    loss = WhitenedMSE(5, 0.0)
    assert loss(z1, z2) == WhitenedMSE(5, 0.0)(z1[:10], z2[:10])


def test_too_few_samples_to_whiten():
    z = torch.randn(4, 4)
    with pytest.raises(ValueError, match="eps > 0"):
        WhitenedMSE(4, 0.0)(z, z)
    with pytest.raises(ValueError, match="singular"):
        whiten(torch.ones(9, 2))
    assert WhitenedMSE(4, 1e-4)(z, z).isfinite()


def test_nan_goes_through_to_the_guard_of_the_loop():
    z = torch.full((8, 3), torch.nan)
    assert WhitenedMSE(8)(z, z).isnan()


@pytest.mark.parametrize("bad", [{"size": 1}, {"eps": 1.0}, {"eps": -0.1}])
def test_impossible_parameters(bad):
    with pytest.raises(ValueError):
        WhitenedMSE(**bad)


def test_bad_input():
    z = torch.randn(8, 3)
    with pytest.raises(ValueError, match="2 views"):
        WhitenedMSE()(z)
    with pytest.raises(ValueError, match="permute"):
        WhitenedMSE()(z, z, orders=torch.arange(7)[None])
