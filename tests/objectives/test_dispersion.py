import math

import pytest
import torch

from tacit.objectives import blocks
from tacit.objectives.dispersion import DispersiveLoss

KINDS = ["l2", "cosine", "hinge", "covariance"]
each = pytest.mark.parametrize("kind", KINDS)


def features(rows=6):
    i = torch.arange(rows * 6, dtype=torch.float64).reshape(rows, 2, 3)
    return torch.sin(1.7 * i)


def plain(z, kind, t, margin):
    rows = z.flatten(1).tolist()
    n, d = len(rows), len(rows[0])

    def apart(a, b):
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / d

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    if kind == "l2":
        return math.log(sum(math.exp(-apart(a, b) / t) for a in rows for b in rows) / n**2)
    if kind == "cosine":
        return math.log(sum(math.exp(cosine(a, b) / t) for a in rows for b in rows) / n**2)
    if kind == "hinge":
        pairs = [(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]
        return sum(max(0, margin - apart(a, b)) ** 2 for a, b in pairs) / len(pairs)
    mean = [sum(r[k] for r in rows) / n for k in range(d)]
    total = 0.0
    for a in range(d):
        for b in range(d):
            if a != b:
                total += (sum((r[a] - mean[a]) * (r[b] - mean[b]) for r in rows) / (n - 1)) ** 2
    return total


@each
@pytest.mark.parametrize("t", [0.2, 1.0])
def test_is_the_equation(kind, t, monkeypatch):
    z = features()
    expected = plain(z, kind, t, 1.3)
    assert DispersiveLoss(kind, t, 1.3)(z).item() == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(blocks, "BLOCK", 13)  # two rows at a time, of which the last block has fewer
    assert DispersiveLoss(kind, t, 1.3)(z[:5]).item() == pytest.approx(plain(z[:5], kind, t, 1.3), rel=1e-9)


@each
def test_gradient(kind, monkeypatch):
    z = features(5).requires_grad_()
    loss = DispersiveLoss(kind, 0.5, 1.5)
    assert torch.autograd.gradcheck(loss, [z])
    whole = torch.autograd.grad(loss(z), z)
    monkeypatch.setattr(blocks, "BLOCK", 7)
    torch.testing.assert_close(torch.autograd.grad(loss(z), z), whole, rtol=1e-10, atol=1e-12)


@each
def test_descent_moves_points_apart(kind):
    z = features(8).requires_grad_()
    before = plain(z.detach(), kind, 0.5, 2.0)
    optimiser = torch.optim.SGD([z], 0.5)
    for _ in range(20):
        optimiser.zero_grad()
        DispersiveLoss(kind, 0.5, 2.0)(z).backward()
        optimiser.step()
    assert plain(z.detach(), kind, 0.5, 2.0) < before


def test_limits():
    one = torch.ones(4, 7)
    assert DispersiveLoss("l2")(one).item() == pytest.approx(0, abs=1e-6)
    assert DispersiveLoss("cosine", 0.5)(one).item() == pytest.approx(2, rel=1e-6)
    assert DispersiveLoss("hinge", margin=1.5)(one).item() == pytest.approx(2.25, rel=1e-6)
    assert DispersiveLoss("covariance")(one).item() == pytest.approx(0, abs=1e-9)
    far = 1e4 * torch.eye(4)
    assert DispersiveLoss("l2")(far).item() == pytest.approx(-math.log(4), rel=1e-6)
    assert DispersiveLoss("hinge")(far).item() == 0


@each
def test_symmetries(kind):
    z = features()
    loss = DispersiveLoss(kind)
    torch.testing.assert_close(loss(z[[3, 1, 5, 0, 2, 4]]), loss(z), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(loss(z.flatten(1)), loss(z), rtol=0, atol=0)
    if kind == "cosine":
        torch.testing.assert_close(loss(7 * z), loss(z), rtol=1e-10, atol=1e-12)
    else:
        torch.testing.assert_close(loss(z + 7), loss(z), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("bad", [{"kind": "l1"}, {"temperature": 0.0}, {"temperature": float("nan")}])
def test_impossible_parameters(bad):
    with pytest.raises(ValueError):
        DispersiveLoss(**bad)


def test_bad_input():
    with pytest.raises(ValueError, match="at least 2"):
        DispersiveLoss()(torch.ones(1, 3))
    with pytest.raises(ValueError, match="features must be"):
        DispersiveLoss()(torch.ones(4))


@each
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_finite_on_hard_input(kind, scale):
    for z in (scale * features().float(), scale * features().float()[[0, 0, 1, 1]], scale + features(2).float()):
        z = z.clone().requires_grad_()
        value = DispersiveLoss(kind)(z)
        value.backward()
        assert value.isfinite()
        assert z.grad.isfinite().all()


@each
def test_half_precision_is_widened(kind):
    z = features().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert DispersiveLoss(kind)(z) == DispersiveLoss(kind)(z.float())
