import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.objectives.redundancy import BarlowTwins, MixedBarlowTwins, VICReg


def projections(rows=6, width=4):
    i = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return torch.sin(1.7 * i), torch.sin(1.7 * i) + 0.5 * torch.cos(2.3 * i)


def third(rows=6, width=4):
    i = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return torch.cos(0.9 * i)


def columns(z):
    return z.T.tolist()


def standard(z):
    """Columns with zero mean and unit (biased) variance."""
    out = []
    for column in columns(z):
        mean = sum(column) / len(column)
        variance = sum((v - mean) ** 2 for v in column) / len(column)
        out.append([(v - mean) / math.sqrt(variance + 1e-5) for v in column])
    return out


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def plain_barlow(z1, z2, lambda_):
    h1, h2, b = standard(z1), standard(z2), len(z1)
    loss = 0.0
    for i, a in enumerate(h1):
        for j, c in enumerate(h2):
            value = dot(a, c) / b
            loss += (value - 1) ** 2 if i == j else lambda_ * value**2
    return loss


def plain_mixing(z1, z2, zm, a, perm):
    """The paper's form: cross-correlations of the mixture, and what they should be."""
    h1, h2, hm, b = standard(z1), standard(z2), standard(zm), len(z1)
    h2_perm = [[column[k] for k in perm] for column in h2]
    loss = 0.0
    for h in (h1, h2):
        for i in range(len(h1)):
            for column in h:
                wanted = a * dot(h1[i], column) / b + (1 - a) * dot(h2_perm[i], column) / b
                loss += (dot(hm[i], column) / b - wanted) ** 2
    return loss


def plain_vicreg(z1, z2, weights):
    b, d = z1.shape
    close = sum((x - y) ** 2 for x, y in zip(z1.flatten().tolist(), z2.flatten().tolist(), strict=True)) / (b * d)
    spread = shared = 0.0
    for z in (z1, z2):
        centred = [[v - sum(c) / b for v in c] for c in columns(z)]
        for i in range(d):
            for j in range(d):
                moment = dot(centred[i], centred[j]) / (b - 1)
                if i == j:
                    spread += max(0.0, 1 - math.sqrt(moment + 1e-4)) / d / 2
                else:
                    shared += moment**2 / d
    return dot(weights, (close, spread, shared))


@pytest.mark.parametrize("lambda_", [0.0, 0.0051, 1.0])
def test_barlow_twins_is_the_equation(lambda_):
    z1, z2 = projections()
    value = BarlowTwins(lambda_, scale=0.5)(z1, z2).item()
    assert value == pytest.approx(0.5 * plain_barlow(z1, z2, lambda_), rel=1e-12)


def test_mixed_barlow_twins_is_the_equation():
    (z1, z2), zm, perm = projections(), third(), [3, 1, 5, 0, 2, 4]
    terms = MixedBarlowTwins(0.01, mix_scale=3.0, scale=2.0).terms(z1, z2, zm, 0.3, torch.tensor(perm))
    mixing = 2 * 3.0 * 0.01 * plain_mixing(z1, z2, zm, 0.3, perm)
    assert terms["mixing"].item() == pytest.approx(mixing, rel=1e-12)
    total = MixedBarlowTwins(0.01, mix_scale=3.0, scale=2.0)(z1, z2, zm, 0.3, torch.tensor(perm)).item()
    assert total == pytest.approx(2 * plain_barlow(z1, z2, 0.01) + mixing, rel=1e-12)


def test_mixed_without_mixing_is_barlow_twins():
    (z1, z2), perm = projections(), torch.arange(6)
    mixed = MixedBarlowTwins(0.02, mix_scale=0.0)(z1, z2, third(), torch.tensor(0.3), perm)
    torch.testing.assert_close(mixed, BarlowTwins(0.02)(z1, z2), rtol=1e-14, atol=0)


def test_an_unmixed_mixture_costs_nothing():
    """With weight 1 the mixture is the first view itself."""
    z1, z2 = projections()
    terms = MixedBarlowTwins().terms(z1, z2, z1, torch.tensor(1.0), torch.randperm(6))
    assert terms["mixing"].item() == pytest.approx(0.0, abs=1e-20)


@pytest.mark.parametrize("shrink", [1.0, 0.1])
def test_vicreg_is_the_equation(shrink):
    z1, z2 = (z * shrink for z in projections())
    assert VICReg(3.0, 5.0, 7.0)(z1, z2).item() == pytest.approx(plain_vicreg(z1, z2, (3, 5, 7)), rel=1e-12)


def test_agrees_with_lightly():
    """Recorded from lightly 1.6.0, float64: BarlowTwinsLoss(lambda_param=0.0051), VICRegLoss."""
    z1, z2 = projections()
    assert BarlowTwins()(z1, z2).item() == pytest.approx(0.33848901221130745, rel=1e-12)
    assert VICReg()(z1, z2).item() == pytest.approx(13.54147116618339, rel=1e-12)
    assert VICReg(1.0, 2.0, 3.0)(z1, z2).item() == pytest.approx(2.1846748322887466, rel=1e-12)
    assert VICReg()(z1 / 10, z2 / 10).item() == pytest.approx(23.494584018718456, rel=1e-12)


def test_barlow_twins_limits():
    width = 3
    orthogonal = torch.tensor(
        [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64
    )  # zero means, uncorrelated columns of unit variance
    assert BarlowTwins()(orthogonal, orthogonal).item() == pytest.approx(0, abs=1e-9)
    constant = torch.ones(4, width, dtype=torch.float64)
    assert BarlowTwins()(constant, constant).item() == pytest.approx(width)  # collapse: C = 0
    same = orthogonal[:, :1].expand(4, width)
    redundant = BarlowTwins(lambda_=0.5)(same, same).item()
    assert redundant == pytest.approx(0.5 * width * (width - 1), rel=1e-4)


def test_vicreg_limits():
    z = torch.full((8, 5), 3.0)
    assert VICReg()(z, z).item() == pytest.approx(25 * (1 - 0.01), rel=1e-6)  # collapse: no spread
    wide = 10 * torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    terms = VICReg().terms(wide, wide)
    assert terms["variance"].item() == 0
    assert terms["invariance"].item() == 0
    assert terms["covariance"].item() > 0


@pytest.mark.parametrize("objective", [BarlowTwins(0.1), VICReg()], ids=["barlow", "vicreg"])
def test_gradient(objective):
    pair = [0.5 * z.requires_grad_() for z in projections(5, 3)]
    assert torch.autograd.gradcheck(objective, pair)


def test_gradient_of_mixed():
    inputs = [z.requires_grad_() for z in (*projections(5, 3), third(5, 3))]
    perm = torch.tensor([1, 2, 0, 4, 3])
    assert torch.autograd.gradcheck(lambda *z: MixedBarlowTwins(0.1)(*z, 0.4, perm), inputs)


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_symmetries(seed, rows):
    generator = torch.Generator().manual_seed(seed)
    z1, z2, zm = torch.randn(3, rows, 5, generator=generator, dtype=torch.float64)
    order = torch.randperm(rows, generator=generator)
    dims = torch.randperm(5, generator=generator)
    for loss in (BarlowTwins(0.1), VICReg()):
        for a, b in ((z1[order], z2[order]), (z2, z1), (z1[:, dims], z2[:, dims]), (z1 + 3, z2 + 3)):
            torch.testing.assert_close(loss(a, b), loss(z1, z2), rtol=1e-8, atol=1e-8)
    partner = torch.randperm(rows, generator=generator)
    mixed = MixedBarlowTwins(0.1)
    place = order.argsort()  # where each sample went
    moved = mixed(z1[order], z2[order], zm[order], 0.3, place[partner[order]])
    torch.testing.assert_close(moved, mixed(z1, z2, zm, 0.3, partner), rtol=1e-8, atol=1e-8)


@given(scale=st.floats(1, 1e4))
@settings(max_examples=10, deadline=None)
def test_barlow_twins_ignores_scale_and_shift(scale):
    torch.manual_seed(0)
    z1, z2 = torch.randn(2, 50, 4, dtype=torch.float64)
    # Exact but for the 1e-5 in the standardisation.
    other = BarlowTwins()(scale * z1 - 7, z2)
    torch.testing.assert_close(other, BarlowTwins()(z1, z2), rtol=1e-4, atol=1e-5)


def test_partner_of_another_batch():
    with pytest.raises(ValueError, match="6 samples"):
        MixedBarlowTwins()(*projections(), third(), 0.5, torch.arange(5))
