import cmath
import math

import pytest
import torch

from tacit.objectives.isotropy import LeJEPA, SIGReg


def projections(rows=6, width=4):
    i = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return torch.sin(1.7 * i), torch.sin(1.7 * i) + 0.5 * torch.cos(2.3 * i)


def directions(width=4, count=5):
    i = torch.arange(width * count, dtype=torch.float64).reshape(width, count)
    return torch.cos(1.1 * i * i + 0.3)


def plain(z, a, knots, reach):
    """The integral over both signs of t, by the trapezoidal rule, with complex numbers."""
    rows, total = z.tolist(), 0.0
    for column in zip(*a.tolist(), strict=True):
        size = math.hypot(*column)
        p = [sum(x * y for x, y in zip(r, column, strict=True)) / size for r in rows]
        h = reach / (knots - 1)
        values = []
        for k in range(-(knots - 1), knots):
            t = k * h
            ecf = sum(cmath.exp(1j * t * v) for v in p) / len(p)
            values.append(abs(ecf - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2))
        total += len(p) * h * (sum(values) - (values[0] + values[-1]) / 2)
    return total / a.shape[1]


@pytest.mark.parametrize(("knots", "reach"), [(17, 3.0), (5, 1.5)])
def test_is_the_equation(knots, reach):
    z, a = projections()[0], directions()
    assert SIGReg(knots, reach)(z, a).item() == pytest.approx(plain(z, a, knots, reach), rel=1e-12)


def test_lejepa_is_the_equation():
    views = [*projections(), projections()[0].flip(0)]
    a = directions()
    mean = [
        [(x + y) / 2 for x, y in zip(p, q, strict=True)]
        for p, q in zip(*map(torch.Tensor.tolist, views[:2]), strict=True)
    ]
    apart = sum(
        (m - v) ** 2 for z in views for p, q in zip(mean, z.tolist(), strict=True) for m, v in zip(p, q, strict=True)
    )
    expected = 0.9 * apart / (3 * 6 * 4) + 0.1 * sum(plain(z, a, 17, 3.0) for z in views) / 3
    assert LeJEPA(0.1)(*views, directions=a).item() == pytest.approx(expected, rel=1e-12)


def test_agrees_with_lightly():
    """Recorded from lightly 1.6.0, SIGReg() with its directions replaced by ours, float64."""
    assert SIGReg()(projections()[0], directions()).item() == pytest.approx(2.6516601928858874, rel=1e-6)


def test_a_gaussian_scores_low_and_others_high():
    generator = torch.Generator().manual_seed(0)
    gauss = torch.randn(2000, 8, generator=generator)
    a = torch.randn(8, 64, generator=generator)
    low = SIGReg()(gauss, a)
    assert low < 1.5
    flat = gauss * torch.tensor([1.0, 1, 1, 1, 1, 1, 1, 0.05])
    for other in (2 * gauss, gauss + 1, torch.zeros(2000, 8), flat):
        assert SIGReg()(other, a) > 5 * low


def test_descent_makes_moments_those_of_a_gaussian():
    generator = torch.Generator().manual_seed(0)
    z = (1 + 0.5 * torch.rand(128, 3, generator=generator)).requires_grad_()
    optimiser = torch.optim.Adam([z], 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        SIGReg()(z, torch.randn(3, 32, generator=generator)).backward()
        optimiser.step()
    z = z.detach()
    torch.testing.assert_close(z.mean(0), torch.zeros(3), rtol=0, atol=0.15)
    torch.testing.assert_close(z.T.cov(), torch.eye(3), rtol=0, atol=0.25)


def test_gradient():
    z = [p.requires_grad_() for p in projections(4, 4)]
    assert torch.autograd.gradcheck(lambda *p: LeJEPA(0.3)(*p, directions=directions()), z)


def test_symmetries():
    z, a = projections()[0], directions()
    loss = SIGReg()
    torch.testing.assert_close(loss(z.flip(0), a), loss(z, a), rtol=1e-12, atol=0)
    torch.testing.assert_close(loss(z, -3 * a), loss(z, a), rtol=1e-12, atol=0)


def test_bad_input():
    z = torch.ones(4, 3)
    with pytest.raises(ValueError, match="directions"):
        SIGReg()(z, torch.ones(4, 5))
    with pytest.raises(ValueError, match="knots"):
        SIGReg(1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        LeJEPA(1.5)
    with pytest.raises(ValueError, match="global_views"):
        LeJEPA(global_views=0)
