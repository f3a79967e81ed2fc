import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.objectives.predictive import NegativeCosine


def test_is_the_equation():
    torch.manual_seed(0)
    p, t = torch.randn(2, 5, 3, dtype=torch.float64)
    loss = 0.0
    for a, b in zip(p.tolist(), t.tolist(), strict=True):
        na, nb = math.hypot(*a), math.hypot(*b)
        loss += sum((x / na - y / nb) ** 2 for x, y in zip(a, b, strict=True)) / 5
    assert NegativeCosine()(p, t).item() == pytest.approx(loss, rel=1e-12)


def test_limits():
    p = torch.eye(4)
    assert NegativeCosine()(p, 3 * p).item() == pytest.approx(0, abs=1e-7)
    assert NegativeCosine()(p, -p).item() == pytest.approx(4)
    assert NegativeCosine()(p, p.roll(1, 0)).item() == pytest.approx(2)


def test_gradient():
    torch.manual_seed(0)
    pair = [torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(NegativeCosine(), pair)


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_symmetries(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    p, t = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    order = torch.randperm(6, generator=generator)
    loss = NegativeCosine()
    for other in (loss(p[order], t[order]), loss(t, p), loss(scale * p, t)):
        torch.testing.assert_close(other, loss(p, t), rtol=1e-10, atol=1e-10)
