import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.objectives import blocks, contrastive
from tacit.objectives.contrastive import NTXent


def projections(rows=6, width=4):
    i = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return torch.sin(1.7 * i), torch.sin(1.7 * i) + 0.5 * torch.cos(2.3 * i)


def plain(z1, z2, t):
    """The equation, one number at a time."""
    z = [row.tolist() for row in (*z1, *z2)]
    n, b = len(z), len(z1)

    def cosine(a, c):
        dot = sum(x * y for x, y in zip(a, c, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in c))

    loss = 0.0
    for i in range(n):
        others = sum(math.exp(cosine(z[i], z[j]) / t) for j in range(n) if j != i)
        loss -= math.log(math.exp(cosine(z[i], z[(i + b) % n]) / t) / others)
    return loss / n


@pytest.fixture(params=["whole", "blocks"])
def path(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(blocks, "BLOCK", 30)  # uneven: rows of the last block are fewer


@pytest.mark.parametrize("t", [0.05, 0.5, 2.0])
def test_is_the_equation(path, t):
    z1, z2 = projections()
    assert NTXent(t)(z1, z2).item() == pytest.approx(plain(z1, z2, t), rel=1e-12)


@pytest.mark.parametrize(("t", "value"), [(0.5, 1.670848946489259), (0.1, 1.1946839610334912)])
def test_agrees_with_lightly(t, value):
    """Recorded from lightly 1.6.0, NTXentLoss, float64."""
    assert NTXent(t)(*projections()).item() == pytest.approx(value, rel=1e-12)


def test_gradient(path):
    pair = [z.requires_grad_() for z in projections(5, 3)]
    assert torch.autograd.gradcheck(NTXent(0.3), pair)


@pytest.mark.parametrize("t", [0.005, 0.1, 1.0])
def test_blocks_change_nothing(monkeypatch, t):
    torch.manual_seed(0)
    pair = [torch.randn(33, 8, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    whole = NTXent(t)(*pair)
    expected = torch.autograd.grad(whole, pair)
    monkeypatch.setattr(blocks, "BLOCK", 500)
    parts = NTXent(t)(*pair)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(parts, pair), expected, rtol=1e-9, atol=1e-12)


def test_weighted_rows_in_blocks(monkeypatch):
    """Each row's sum may be weighted differently, as a loss other than the mean does."""
    u = projections(5, 3)[0].requires_grad_()
    monkeypatch.setattr(blocks, "BLOCK", 7)
    weights = torch.arange(1.0, 6.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda u: contrastive.log_sum_exp_others(u) * weights, [u])


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 9), scale=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_symmetries(seed, rows, scale):
    generator = torch.Generator().manual_seed(seed)
    z1, z2 = torch.randn(2, rows, 5, generator=generator, dtype=torch.float64)
    loss = NTXent(0.2)
    order = torch.randperm(rows, generator=generator)
    rescale = scale * torch.rand(rows, 1, generator=generator, dtype=torch.float64) + 0.1
    for other in (loss(z1[order], z2[order]), loss(z2, z1), loss(z1 * rescale, z2)):
        torch.testing.assert_close(other, loss(z1, z2), rtol=1e-10, atol=1e-10)


def test_limits():
    z = torch.ones(8, 4)
    assert NTXent(0.5)(z, z).item() == pytest.approx(math.log(15), rel=1e-6)  # all alike: chance
    apart = torch.eye(8)
    assert NTXent(0.01)(apart, apart).item() == pytest.approx(0.0, abs=1e-6)  # solved


MEASURE = """
import sys, torch
from tacit.objectives.contrastive import NTXent
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
NTXent()(*torch.randn(2, 64, 128, requires_grad=True).unbind()).backward()
z1, z2 = (torch.randn(int(sys.argv[1]), 128, requires_grad=True) for _ in range(2))
before = peak()
NTXent()(z1, z2).backward()
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("batch", "limit"),
    [
        (4096, 300e6),  # one matrix of similarities alone would be 268 MB, and the whole path holds three
        pytest.param(32768, 1e9, marks=pytest.mark.slow),  # would be 17 GB
    ],
)
def test_memory_forward_and_backward(batch, limit):
    found = subprocess.run([sys.executable, "-c", MEASURE, str(batch)], capture_output=True, text=True, check=True)
    assert 0 < int(found.stdout) < limit
