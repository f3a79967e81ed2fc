import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.objectives.rotation import GramMatching


def pair(rows=7, width=4, seed=0):
    return torch.randn(2, rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(width, seed=0, turned=False):
    q, _ = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(seed)).double())
    return q if (torch.linalg.det(q) > 0) == turned else q * torch.tensor([-1.0] + [1.0] * (width - 1))


def plain(z1, z2, chunk):
    """The equation, one number at a time."""

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    a, b = z1.tolist(), z2.tolist()
    full = len(a) // chunk * chunk
    loss = 0.0
    for i in range(full):
        start = i // chunk * chunk
        for j in range(start, start + chunk):
            if j != i:
                loss += 2 * (cosine(a[i], a[j]) - cosine(b[i], b[j])) ** 2
    return loss / full


@pytest.mark.parametrize(("rows", "chunk"), [(6, 3), (6, 2), (7, 3), (5, 5), (9, 4)])
def test_is_the_equation(rows, chunk):
    z1, z2 = pair(rows)
    assert GramMatching(chunk)(z1, z2).item() == pytest.approx(plain(z1, z2, chunk), rel=1e-12)


def test_a_batch_smaller_than_a_chunk_is_one_chunk():
    z1, z2 = pair(5)
    assert GramMatching(16)(z1, z2).item() == pytest.approx(plain(z1, z2, 5), rel=1e-12)


@pytest.mark.parametrize("turned", [True, False])
def test_zero_for_every_orthogonal_map_and_for_one_a_chunk(turned):
    z1, _ = pair(8)
    first, second = orthogonal(4, 1, turned), orthogonal(4, 2, turned)
    moved = torch.cat((z1[:4] @ first.T, 3 * z1[4:] @ second.T))
    assert GramMatching(4)(z1, moved).item() == pytest.approx(0, abs=1e-24)
    assert GramMatching(8)(z1, moved).item() > 0.01


def test_positive_for_what_is_no_isometry():
    z1, _ = pair(6)
    assert GramMatching(6)(z1, z1 * torch.tensor([2.0, 1, 1, 1])).item() > 0.01


def test_gradient():
    z = [t.clone().requires_grad_() for t in pair(6, 3)]
    assert torch.autograd.gradcheck(GramMatching(3), z)


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_symmetries(seed, rows):
    z1, z2 = pair(rows, 5, seed)
    loss = GramMatching(rows)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    turned = z1 @ orthogonal(5, seed).T
    for other in (loss(z2, z1), loss(z1[order], z2[order]), loss(turned, z2), loss(2 * z1, z2 / 3)):
        torch.testing.assert_close(other, loss(z1, z2), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("z", [torch.zeros(2, 4, 3), torch.ones(2, 4, 3), 1e4 * torch.randn(2, 4, 3)])
def test_finite_on_hard_inputs(z):
    z = z.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = GramMatching(2)(*z)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert z.grad.isfinite().all()


def test_bad_input():
    with pytest.raises(ValueError, match="at least 2 samples"):
        GramMatching(1)
    with pytest.raises(ValueError, match="at least 2 samples"):
        GramMatching(4)(torch.ones(1, 3), torch.ones(1, 3))
    with pytest.raises(ValueError, match="one shape"):
        GramMatching(2)(torch.ones(4, 3), torch.ones(4, 2))


@pytest.mark.parametrize(("chunk", "value"), [(3, 9.233351143700709), (6, 14.558011334703282)])
def test_agrees_with_the_official_code(chunk, value):
    """Recorded from Sharut/CARE at 7090100f, equivariance_loss of unit vectors, float64."""
    z = [torch.sin(rate * torch.arange(24, dtype=torch.float64)).reshape(6, 4) for rate in (1.7, 2.3)]
    assert GramMatching(chunk)(*z).item() == pytest.approx(value, rel=1e-12)
