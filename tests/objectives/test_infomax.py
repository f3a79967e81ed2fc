import math

import pytest
import torch

from tacit.objectives import blocks
from tacit.objectives.infomax import InfoMax


def rows(count=5, width=4):
    i = torch.arange(4 * count * width, dtype=torch.float64).reshape(4, count, width)
    return torch.sin(1.7 * i) + 0.3 * torch.cos(0.9 * i * i)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def plain(p1, p2, z1, z2, weight, t):
    p, z, b = [*p1.tolist(), *p2.tolist()], [*z1.tolist(), *z2.tolist()], len(z1)
    align = 1 - sum(cosine(p[i], z[(i + b) % (2 * b)]) for i in range(2 * b)) / (2 * b)
    mean = 0.0
    for i in range(2 * b):
        others = [j for j in range(2 * b) if j not in (i, (i + b) % (2 * b))]
        mean += sum(math.exp(cosine(z[i], z[j]) / t) for j in others) / (2 * b - 2) / (2 * b)
    return align + weight * math.log(mean)


@pytest.mark.parametrize("t", [0.2, 2.0])
def test_is_the_equation(t, monkeypatch):
    expected = pytest.approx(plain(*rows(), 0.4, t), rel=1e-10)
    assert InfoMax(0.4, t)(*rows()).item() == expected
    monkeypatch.setattr(blocks, "BLOCK", 23)
    assert InfoMax(0.4, t)(*rows()).item() == expected


@pytest.mark.parametrize(("t", "value"), [(2.0, 0.2591945121125671), (0.2, 0.5495763289105544)])
def test_agrees_with_the_official_code(t, value):
    """Recorded from bbbdylan/unisiam (5b29e15), pos and neg of UniSiam in float64; its value is smaller by 1."""
    assert InfoMax(0.1, t)(*rows()).item() - 1 == pytest.approx(value, rel=1e-9)


def test_only_alignment_stops_the_gradient():
    p1, p2, z1, z2 = (r.clone().requires_grad_() for r in rows())
    terms = InfoMax().terms(p1, p2, z1, z2)
    assert torch.autograd.grad(terms["alignment"], [z1, z2], retain_graph=True, allow_unused=True) == (None, None)
    grads = torch.autograd.grad(terms["uniformity"], [p1, z1, z2], allow_unused=True)
    assert grads[0] is None
    assert all(g.any() for g in grads[1:])


def test_gradient(monkeypatch):
    inputs = [r.clone().requires_grad_() for r in rows(4, 3)]
    fixed = [r.clone() for r in rows(4, 3)[2:]]

    def loss(p1, p2, z1, z2):  # what is stopped is held, so that finite differences do not see it
        held = InfoMax(0.0).terms(p1, p2, *fixed)["alignment"]
        return held + InfoMax(0.7, 0.5).terms(p1.detach(), p2.detach(), z1, z2)["uniformity"]

    assert torch.autograd.gradcheck(loss, inputs)
    whole = torch.autograd.grad(loss(*inputs), inputs)
    monkeypatch.setattr(blocks, "BLOCK", 20)
    torch.testing.assert_close(torch.autograd.grad(loss(*inputs), inputs), whole, rtol=1e-10, atol=1e-12)


def test_limits():
    one = torch.ones(3, 4)
    assert InfoMax(0.1, 2.0)(one, one, one, one).item() == pytest.approx(0.1 * 0.5, rel=1e-5)
    two = torch.tensor([[1.0, 0], [-1, 0]])
    assert InfoMax(1.0, 0.5)(two, two, two, two).item() == pytest.approx(-2, rel=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="positive"):
        InfoMax(temperature=0)
    with pytest.raises(ValueError, match="one shape"):
        InfoMax()(*torch.ones(3, 4, 2), torch.ones(4, 3))
