import math

import pytest
import torch

from tacit.objectives.local import LocalVICReg, matched
from tacit.objectives.redundancy import VICReg

WEIGHTS = {"invariance": 3.0, "variance": 2.0, "covariance": 0.5}


def numbers(*shape, seed=0, scale=0.4):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_matches(mine, other, near, far, count):
    """For each sample the token pairs, by looking at every pair."""
    a, b = [], []
    for i in range(len(mine)):
        rows = []
        for n in range(near.shape[1]):
            gaps = [float((near[i, n] - far[i, m]).norm()) for m in range(far.shape[1])]
            rows.append((min(gaps), n, gaps.index(min(gaps))))
        kept = sorted(sorted(rows)[:count], key=lambda row: row[1])
        a.append(torch.stack([mine[i, n] for _, n, _ in kept]))
        b.append(torch.stack([other[i, m] for _, _, m in kept]))
    return torch.stack(a), torch.stack(b)


def plain_value(a, b):
    """V(a, b), pair by pair."""
    _, pairs, width = a.shape
    value = WEIGHTS["invariance"] * float((a - b).square().sum()) / a.numel()
    for c in (a, b):
        for m in range(pairs):
            moment = torch.cov(c[:, m].T)
            for d in range(width):
                spread = max(0.0, 1 - (float(moment[d, d]) + 1e-4) ** 0.5)
                value += WEIGHTS["variance"] / 2 * spread / (pairs * width)
                for e in range(width):
                    if e != d:
                        value += WEIGHTS["covariance"] / 2 * float(moment[d, e]) ** 2 / (pairs * width)
    return value


def test_is_the_equation():
    maps1, maps2, place1, place2 = (numbers(5, 6, k, seed=s) for s, k in enumerate((3, 3, 2, 2)))
    wanted = 0.0
    for mine, other, here, there in ((maps1, maps2, place1, place2), (maps2, maps1, place2, place1)):
        for near, far in ((here, there), (mine, other)):
            wanted += plain_value(*plain_matches(mine, other, near, far, 4)) / 2
    found = LocalVICReg(4, **WEIGHTS)(maps1, maps2, place1, place2)
    assert found.item() == pytest.approx(wanted, rel=1e-10)


def test_matches_by_place():
    place = torch.tensor([[[0.0, 0], [1, 0], [5, 5]]])
    other = torch.tensor([[[0.9, 0], [0, 0.2], [9, 9]]])
    maps = torch.arange(3.0)[None, :, None]
    a, b = matched(maps, 10 + maps, place, other, 2)
    assert a.flatten().tolist() == [0, 1]
    assert b.flatten().tolist() == [11, 10]


def test_one_token_is_vicreg_twice():
    z1, z2 = numbers(2, 6, 4).unbind()
    place = torch.zeros(6, 1, 2, dtype=torch.float64)
    local = LocalVICReg(20, **WEIGHTS)(z1[:, None], z2[:, None], place, place)
    whole = VICReg(3.0, 2.0, 0.25)(z1, z2)
    torch.testing.assert_close(local, 2 * whole)


def test_equal_views_have_no_invariance_term():
    maps, place = numbers(4, 5, 3), numbers(4, 5, 2, seed=1)
    assert LocalVICReg().terms(maps, maps, place, place)["invariance"].item() == 0


def test_gradient():
    maps = [numbers(4, 5, 2, seed=s).requires_grad_() for s in (0, 1)]
    places = [numbers(4, 5, 2, seed=s) for s in (2, 3)]
    assert torch.autograd.gradcheck(lambda a, b: LocalVICReg(3)(a, b, *places), maps)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("rows", [2, 5])
def test_finite_in_half_precision(scale, rows):
    maps = numbers(2, rows, 4, 3, scale=scale).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = LocalVICReg()(*maps, *torch.rand(2, rows, 4, 2))
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert maps.grad.isfinite().all()


def test_bad_input():
    with pytest.raises(ValueError, match="at least 1"):
        LocalVICReg(0)
    with pytest.raises(ValueError, match="tokens, width"):
        LocalVICReg()(torch.ones(4, 3), torch.ones(4, 3), torch.ones(4, 3), torch.ones(4, 3))
    with pytest.raises(ValueError, match="at least 2"):
        LocalVICReg()(*torch.ones(2, 1, 3, 2), *torch.ones(2, 1, 3, 2))


def sine(*shape, rate):
    return torch.sin(rate * torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


def test_agrees_with_the_official_code():
    """Recorded from facebookresearch/VICRegL at 803ae4c8, local and global loss of two views, float64, 4 matches."""
    maps = [sine(5, 6, 3, rate=rate) for rate in (1.7, 2.3)]
    places = [sine(5, 6, 2, rate=rate) for rate in (3.1, 0.9)]
    local = LocalVICReg(4).terms(*maps, *places)
    whole = VICReg(25, 25, 0.5).terms(maps[0][:, 0], maps[1][:, 0])
    assert [v.item() for v in local.values()] == pytest.approx(
        [28.512396484068038, 14.208275464424277, 0.4009126328776025], rel=1e-12
    )
    assert [v.item() for v in whole.values()] == pytest.approx(
        [18.836778592068804, 7.509371656893225, 0.12211004255296845], rel=1e-12
    )
