import math

import pytest
import torch
from torch.nn.functional import normalize

from tacit.objectives.entropy import EffectiveEntropy, spacing_entropy


def projections(rows=9, width=4):
    i = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return torch.sin(1.7 * i), torch.sin(1.7 * i) + 0.5 * torch.cos(2.3 * i)


def plain_entropy(column):
    n = len(column)
    m = round(math.sqrt(n))
    x = sorted(column)
    return sum(math.log((n + 1) / m * (x[i + m] - x[i]) + 1e-7) for i in range(n - m)) / (n - m)


def plain(views, beta, gamma, space):
    loss = 0.0
    for z in views:
        rows = z.tolist()
        n, d = len(rows), len(rows[0])
        if space == "cube":
            x = [[1 / (1 + math.exp(-v)) for v in r] for r in rows]
        else:
            x = [[0.5 * (1 + math.erf(math.sqrt(d) * v / math.hypot(*r) / math.sqrt(2))) for v in r] for r in rows]
        columns = list(zip(*x, strict=True))
        loss -= beta * sum(plain_entropy(c) for c in columns) / d
        mean = [sum(c) / n for c in columns]
        for a in range(d):
            for b in range(d):
                if a != b:
                    s = sum((r[a] - mean[a]) * (r[b] - mean[b]) for r in x) / (n - 1)
                    loss += gamma * s * s / d
    return loss


@pytest.mark.parametrize("space", ["cube", "sphere"])
@pytest.mark.parametrize("rows", [2, 3, 9, 30])
def test_is_the_equation(space, rows):
    views = projections(rows)
    found = EffectiveEntropy(2.0, 30.0, space)(*views).item()
    assert found == pytest.approx(plain(views, 2.0, 30.0, space), rel=1e-10)


@pytest.mark.parametrize(
    ("space", "entropy", "covariance"),
    [("cube", -0.6983156145448003, 0.0008223447342915646), ("sphere", -0.19097005539792358, 0.011020226218891696)],
)
def test_agrees_with_the_papers_pseudo_code(space, entropy, covariance):
    """Recorded from a public copy of the paper's appendix code, float64, on points of radius sqrt(D)."""
    z = projections(30)[0]
    if space == "sphere":
        z = 2 * normalize(z)
    terms = EffectiveEntropy(1.0, 1.0, space).terms(z, z)
    assert terms["entropy"].item() == pytest.approx(-2 * entropy, rel=1e-9)
    assert terms["decorrelation"].item() == pytest.approx(2 * covariance, rel=1e-9)


def test_known_entropies():
    generator = torch.Generator().manual_seed(0)
    uniform = spacing_entropy(torch.rand(4096, 4, generator=generator)).mean().item()
    assert uniform == pytest.approx(-0.01, abs=0.01)
    small = spacing_entropy(torch.rand(256, 64, generator=generator)).mean().item()
    assert small == pytest.approx(-0.03, abs=0.02)
    torch.manual_seed(0)
    beta = torch.distributions.Beta(5.0, 5.0)
    assert spacing_entropy(beta.sample((4096, 4))).mean().item() == pytest.approx(beta.entropy().item(), abs=0.1)


def test_scale_and_shift():
    x = torch.rand(200, 3, dtype=torch.float64)
    torch.testing.assert_close(spacing_entropy(3 * x + 7), spacing_entropy(x) + math.log(3), rtol=1e-5, atol=1e-5)


def test_a_uniform_point_of_the_sphere_is_uniform_in_the_cube():
    z = torch.randn(4096, 64, generator=torch.Generator().manual_seed(0))
    x = EffectiveEntropy(space="sphere").mapped(z)
    assert spacing_entropy(x).mean().item() == pytest.approx(-0.01, abs=0.02)


def test_ascent_makes_marginals_uniform():
    z = (0.1 * torch.randn(256, 2, generator=torch.Generator().manual_seed(0))).requires_grad_()
    objective = EffectiveEntropy(1.0, 0.0)
    optimiser = torch.optim.Adam([z], 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        objective(z, z).backward()
        optimiser.step()
    x = z.detach().sigmoid().sort(0).values
    uniform = (torch.arange(256) + 0.5) / 256
    assert (x - uniform[:, None]).abs().max() < 0.06


def test_gradient():
    pair = [z.requires_grad_() for z in projections(12, 3)]
    assert torch.autograd.gradcheck(EffectiveEntropy(1.0, 10.0, "sphere"), pair)


def test_unknown_space():
    with pytest.raises(ValueError, match="cube or sphere"):
        EffectiveEntropy(space="ball")
