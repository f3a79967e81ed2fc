import numpy as np
import pytest
import torch

from tacit.errors import DataError
from tacit.evaluation import alignment, spread, uniformity


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


@pytest.mark.parametrize("alpha", [1, 2])
def test_alignment_equals_plain_loop(alpha):
    a, b = np.random.default_rng(0).normal(size=(2, 30, 7))
    expected = np.mean([np.linalg.norm(p - q) ** alpha for p, q in zip(unit(a), unit(b), strict=True)])
    assert alignment(a, b, alpha=alpha) == pytest.approx(expected)
    assert alignment(3 * a, torch.tensor(0.1 * b), alpha=alpha) == pytest.approx(expected)


def test_alignment_limits():
    a = torch.randn(9, 5)
    assert alignment(a, a) == 0
    assert alignment(a, -a) == pytest.approx(4, rel=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 1024])
@pytest.mark.parametrize("t", [2, 0.5])
def test_uniformity_equals_plain_loop(chunk, t):
    z = np.random.default_rng(1).normal(size=(40, 6))
    points = unit(z)
    terms = [np.exp(-t * ((points[i] - points[j]) ** 2).sum()) for i in range(40) for j in range(i)]
    assert uniformity(z, t, chunk=chunk) == pytest.approx(np.log(np.mean(terms)), rel=1e-9)


def test_uniformity_limits():
    assert uniformity(torch.ones(5, 3)) == pytest.approx(0, abs=1e-6)
    assert uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-8)


def test_spread_limits():
    z = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    assert spread(z) == pytest.approx(1, abs=0.01)
    assert spread(100 * z) == pytest.approx(spread(z), rel=1e-5)
    assert spread(torch.ones(50, 32)) == pytest.approx(0, abs=1e-6)
    points = unit(z.double().numpy())
    assert spread(z) == pytest.approx(points.std(0).mean() * 32**0.5, rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0, 1e30])
def test_constant_input_is_collapse_and_not_an_error(value):
    z = torch.full((20, 8), value, requires_grad=True)
    assert spread(z) == pytest.approx(0, abs=1e-5)
    assert uniformity(z) == pytest.approx(0, abs=1e-5)
    assert alignment(z, z) == 0


def test_nan_stays_nan():
    z = torch.full((4, 3), torch.nan)
    assert all(np.isnan(value) for value in (spread(z), uniformity(z), alignment(z, z)))


def test_geometry_bad_input():
    with pytest.raises(DataError, match="equal shapes"):
        alignment(torch.ones(3, 2), torch.ones(4, 2))
    with pytest.raises(DataError, match="at least 2"):
        uniformity(torch.ones(1, 2))
    with pytest.raises(DataError, match="matrix"):
        spread(torch.ones(3))
