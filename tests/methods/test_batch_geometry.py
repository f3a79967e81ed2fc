"""Whitening, spanning trees, entropy and isotropy as methods."""

import copy

import numpy as np
import pytest
import torch
from tiny_encoders import TinyEncoder, images

import tacit
from tacit.errors import RunError
from tacit.methods.predictive.simsiam import SimSiam
from tacit.methods.redundancy.barlow_twins import BarlowTwins
from tacit.methods.redundancy.e2mc import BASES, E2MC
from tacit.methods.redundancy.lejepa import LeJEPA
from tacit.methods.redundancy.t_regs import TRegs
from tacit.methods.redundancy.vicreg import VICReg
from tacit.methods.redundancy.w_mse import WMSE
from tacit.objectives.entropy import EffectiveEntropy
from tacit.objectives.whitening import WhitenedMSE
from tacit.parts.draws import Draws

SMALL = {"hidden": 8, "out": 6, "norm": "layer"}


def projected(method, batch):
    return [method.projector(method.encoder(view["x"])) for view in batch["views"]]


def test_w_mse_whitens_random_sub_batches_of_all_views():
    method = WMSE(TinyEncoder(), **SMALL, size=8, permutations=2).double()
    batch = images(16, views=3)
    torch.manual_seed(3)
    found = method(batch)["loss"]
    torch.manual_seed(3)
    orders = torch.stack([torch.randperm(16) for _ in range(2)])
    z = projected(method, batch)
    torch.testing.assert_close(found, WhitenedMSE(8)(*z, orders=orders), rtol=1e-10, atol=0)
    assert not torch.isclose(found, WhitenedMSE(8)(*z))


def test_w_mse_learns_from_any_number_of_views():
    assert WMSE(TinyEncoder())(images(8, dtype=torch.float32, views=4))["loss"].isfinite()
    with pytest.raises(ValueError, match="permutations"):
        WMSE(TinyEncoder(), permutations=0)


def test_without_whitening_views_collapse_and_with_it_they_do_not():
    """Plain distance of views has a trivial optimum, which a few steps approach."""

    def spread(loss, method):
        batch = images(32, dtype=torch.float32)
        optimiser = torch.optim.Adam(method.parameters(), 1e-2)
        first = None
        for _ in range(200):
            z = projected(method, batch)
            first = z[0].std(0).mean().item() if first is None else first
            optimiser.zero_grad()
            loss(z).backward()
            optimiser.step()
        return projected(method, batch)[0].std(0).mean().item() / first

    torch.manual_seed(0)
    method = WMSE(TinyEncoder(), **SMALL | {"norm": "none"})
    twin = copy.deepcopy(method)
    assert spread(lambda z: (z[0] - z[1]).square().mean(), twin) < 0.1
    assert spread(lambda z: WhitenedMSE(32)(*z), method) > 0.3


def test_t_regs_terms():
    method = TRegs(TinyEncoder(), **SMALL, beta=2.0).double()
    batch = images(9)
    terms = method(batch)
    z1, z2 = projected(method, batch)
    torch.testing.assert_close(terms["invariance"], 2 * (z1 - z2).square().sum(1).mean())
    assert set(terms) == {"loss", "invariance", "tree", "sphere"}


def test_lejepa_draws_its_directions_anew_and_takes_many_views():
    method = LeJEPA(TinyEncoder(), **SMALL, directions=5, lambda_=0.3).double()
    batch = images(9, views=4)
    torch.manual_seed(1)
    terms = method(batch)
    torch.manual_seed(1)
    directions = Draws().shared_normal(6, 5)
    z = projected(method, batch)
    expected = method.objective(*z, directions=directions)
    torch.testing.assert_close(terms["loss"], expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(terms["prediction"], 0.7 * (torch.stack(z) - (z[0] + z[1]) / 2).square().mean())
    assert method(batch)["isotropy"] != terms["isotropy"]
    with pytest.raises(ValueError, match="directions"):
        LeJEPA(TinyEncoder(), directions=0)


KINDS = {"vicreg": VICReg, "barlow-twins": BarlowTwins, "simsiam": SimSiam}


@pytest.mark.parametrize("base", BASES)
def test_e2mc_goes_on_from_a_run_of_its_base(base):
    """The same names and order of parameters, so that weights and optimiser state fit; and the base's loss."""
    earlier = KINDS[base](TinyEncoder(), **SMALL).double()
    method = E2MC(TinyEncoder(), base=base, **SMALL, beta=0.5, gamma=2.0).double()
    assert [n for n, _ in method.named_parameters()] == [n for n, _ in earlier.named_parameters()]
    method.load_state_dict(earlier.state_dict())
    terms = method(images(9))
    expected = earlier(images(9))["loss"]
    added = EffectiveEntropy(0.5, 2.0, BASES[base][1]).terms(*projected(method, images(9)))
    for name, value in added.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(terms["loss"], expected + sum(added.values()), rtol=1e-9, atol=0)
    assert method.in_chunks == earlier.in_chunks


def test_e2mc_owns_its_heads():
    method = E2MC(TinyEncoder(), **SMALL)
    before = [p.clone() for p in method.projector.parameters()]
    method(images(9, dtype=torch.float32))["loss"].backward()
    torch.optim.SGD(method.parameters(), 0.1).step()
    assert any((a != b).any() for a, b in zip(before, method.projector.parameters(), strict=True))


def test_e2mc_continues_a_finished_run(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (24, 1, 16, 16), dtype=np.uint8)
    heads = {"batch_size": 8, "quiet": True, "options": {"hidden": 16, "out": 12}}
    first = tacit.pretrain(x, "vicreg", steps=3, out=tmp_path / "first", **heads)
    more = tacit.pretrain(x, "e2mc", steps=1, lr=0.0, out=tmp_path / "more", continue_from=first, **heads)
    for before, after in zip(first.encoder.parameters(), more.encoder.parameters(), strict=True):
        assert torch.equal(before, after)
    assert {"invariance", "variance", "covariance", "entropy", "decorrelation"} <= set(more.metrics)
    with pytest.raises(RunError, match="do not fit"):
        tacit.pretrain(x, "e2mc", steps=1, out=tmp_path / "other", continue_from=first, batch_size=8, quiet=True)
