"""Methods whose views are different parts of one sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tacit
from tacit.errors import OptionError
from tacit.methods.contrastive.collossl import ColloSSL, _others
from tacit.methods.contrastive.isogclr import ISogCLR
from tacit.methods.contrastive.simclr import SimCLR
from tacit.modalities import modality, open_source
from tacit.modalities.several.synthetic import body, sample, wheels
from tacit.objectives.individual import RobustAcross
from tacit.parts.discrepancy import squared_mmd
from tacit.parts.draws import Draws

several = modality("several")
DEVICES = ("chest", "waist", "arm", "thigh", "shin")
pytestmark = pytest.mark.filterwarnings("ignore:rho")


def paired(count: int = 8, encoder: str = "separate") -> tuple[Any, dict[str, Any]]:
    """An encoder of images and series, and a batch whose views are the one and the other."""
    source = open_source(sample(16), "several")
    spec = several.spec_of(source)
    torch.manual_seed(0)
    made = several.make_encoder(encoder, spec, width=8, dim=12)
    batch = source.batch(torch.arange(count))
    return made, batch | {"views": several.make_views("across", spec)(batch, Draws.seeded(0))}


def worn(count: int = 8, **options: Any) -> tuple[ColloSSL, dict[str, Any]]:
    source = open_source(body(count, 0, length=32).devices, "several", parts=dict.fromkeys(DEVICES, "series"))
    spec = several.spec_of(source)
    torch.manual_seed(0)
    method = ColloSSL(several.make_encoder("shared", spec, width=8, depth=2), **options)
    batch = source.batch(torch.arange(count))
    return method, batch | {"views": several.make_views("parts", spec)(batch, Draws.seeded(0))}


def test_simclr_across_parts_contrasts_what_two_encoders_give() -> None:
    encoder, batch = paired()
    method = SimCLR(encoder, hidden=16, out=8, norm="none").eval()
    found = method(batch)["loss"]
    each = encoder.each(several_view(batch))
    wanted = method.objective(method.projector(each["image"]), method.projector(each["series"]))
    torch.testing.assert_close(found, wanted)
    found.backward()
    assert all(value.grad is not None and value.grad.any() for value in encoder.encoders.parameters())


def several_view(batch: dict[str, Any]) -> Any:
    """Both parts as one view, from the views of one part each."""
    first, second = (view["x"] for view in batch["views"])
    return type(first)({**first.parts, **second.parts})


@pytest.mark.parametrize("count", [2, 8])
def test_isogclr_has_temperatures_for_both_sides(count: int) -> None:
    encoder, batch = paired(count)
    method = ISogCLR(encoder, hidden=16, out=8, tau=0.2, beta=0.9)
    method.sized(12)
    batch["index"] = torch.arange(count) + 3
    z1, z2 = method.project(*batch["views"])
    wanted = RobustAcross(0.8, 0.4).individual(z1, z2, torch.full((2, count), 0.2), torch.full((2, count), torch.inf))
    found = method(batch)["loss"]
    torch.testing.assert_close(found, wanted.loss.sum(0).mean())
    for side, prefix in enumerate(("", "other_")):
        kept, slope, temperature = (getattr(method, prefix + name) for name in ("log_s", "slope", "temperature"))
        torch.testing.assert_close(kept[batch["index"]], wanted.log_s[side])
        torch.testing.assert_close(slope[batch["index"]], 0.9 * wanted.slope[side])
        moved = (0.2 - 0.03 * 0.9 * wanted.slope[side]).clamp(0.05, 1.0)
        torch.testing.assert_close(temperature[batch["index"]], moved)
        assert kept[:3].isinf().all()
        assert (temperature[:3] == 0.2).all()
    assert count == 2 or not torch.equal(method.temperature, method.other_temperature)
    found.backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in method.parameters())


def test_isogclr_of_views_of_all_parts_is_the_other_form() -> None:
    encoder, batch = paired()
    method = ISogCLR(encoder, hidden=16, out=8)
    method.sized(8)
    x = several_view(batch)
    method(batch | {"views": [{"x": x}, {"x": x}]})
    assert method.log_s.isfinite().all()
    assert method.other_log_s.isinf().all()


def test_isogclr_learns_across_parts_and_resumes(tmp_path: Path) -> None:
    made = wheels(256, 0, classes=3)
    options = {
        "batch_size": 32, "lr": 3e-3, "encoder.width": 16, "hidden": 64, "out": 32, "tau": 0.1, "rho": 0.5,
        "log_every": 1, "precision": "32-true",
    }  # fmt: skip
    run = tacit.pretrain(
        made.parts, "isogclr", views="across", steps=40, out=tmp_path / "run", quiet=True, options=options
    )
    method = run.method
    assert isinstance(method, ISogCLR)
    assert method.other_temperature.std() > 0
    half = tacit.pretrain(
        made.parts, "isogclr", views="across", steps=20, out=tmp_path / "half", quiet=True, options=options
    )
    whole = tacit.pretrain(made.parts, steps=40, out=half.folder, resume=True, quiet=True)
    del half
    assert set(whole.method.state_dict()) == set(method.state_dict())


def test_collossl_is_its_loss_of_the_chosen_devices() -> None:
    method, batch = worn(16, channels=3, negatives=2)
    views = batch["views"]
    strength = {name: view["x"][name]["x"][:, :3].norm(dim=1) for name, view in zip(DEVICES, views, strict=True)}
    distance = [float(squared_mmd(strength["chest"], strength[name])) for name in DEVICES]
    nearest = min(range(1, 5), key=distance.__getitem__)
    positive, negative, found = method.chosen(views, 0, Draws())
    assert positive == [nearest]
    assert negative == [1, 2, 3, 4, 0]
    assert found.tolist() == pytest.approx([distance[nearest] / 2, *distance[1:]], rel=1e-4)
    torch.manual_seed(4)
    loss = method(batch)["loss"]
    torch.manual_seed(4)
    draws = Draws()
    h = {i: method.encoder(view["x"]) for i, view in enumerate(views)}
    others, weights = [], []
    for i in negative:
        for _ in range(2):
            others.append(h[i][_others(16, draws)])
            weights.append(1 / (found[i] + 1e-6))
    wanted = method.objective(h[0], h[nearest][None], torch.stack(others), torch.ones(1), torch.stack(weights))
    torch.testing.assert_close(loss, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_another_sample_for_each_and_each_once(count: int) -> None:
    for seed in range(5):
        other = _others(count, Draws.seeded(seed))
        assert sorted(other.tolist()) == list(range(count))
        assert (other != torch.arange(count)).all()


@pytest.mark.parametrize(
    ("selection", "positives", "negatives"),
    [
        ("closest", "n", "all"),
        ("closest-only", "n", "n"),
        ("hard", "n", "23"),
        ("closest-random", "n", "r"),
        ("random", "r", "r"),
    ],
)
def test_selections_choose_by_distance(selection: Any, positives: str, negatives: str) -> None:
    method, batch = worn(16, selection=selection, anchor="arm")
    distance = method.distances(batch["views"], 2).tolist()
    order = sorted((i for i in range(5) if i != 2), key=distance.__getitem__)
    seen: list[set[int]] = [set(), set()]
    for seed in range(60):
        torch.manual_seed(seed)
        for found, chosen in zip(seen, method.chosen(batch["views"], 2, Draws())[:2], strict=True):
            found |= set(chosen)
    meant = {"n": set(order[:1]), "all": set(range(5)), "23": set(order[1:3]), "r": set(order)}
    assert seen == [meant[positives], meant[negatives]]


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("selection", ["closest", "random"])
def test_collossl_reaches_every_parameter(count: int, selection: Any) -> None:
    method, batch = worn(count, selection=selection, out=6)
    method(batch)["loss"].backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in method.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert method(batch)["loss"].isfinite()


def test_devices_that_measure_the_same_are_no_division_by_zero() -> None:
    x = np.random.default_rng(0).normal(0, 1, (6, 3, 16)).astype(np.float32)
    source = open_source({"a": x, "b": x.copy()}, "several", parts={"a": "series", "b": "series"})
    spec = several.spec_of(source)
    method = ColloSSL(several.make_encoder("shared", spec, width=8, depth=1))
    batch = source.batch(torch.arange(6))
    loss = method(batch | {"views": several.make_views("parts", spec)(batch)})["loss"]
    assert loss.isfinite()


def test_distances_may_be_measured_once(tmp_path: Path) -> None:
    made = body(40, 0, length=32)
    options = {
        "data.parts": dict.fromkeys(DEVICES, "series"), "batch_size": 8, "encoder.width": 8, "encoder.depth": 1,
        "dynamic": False, "log_every": 1,
    }  # fmt: skip
    run = tacit.pretrain(
        made.devices, "collossl", steps=3, modality="several", out=tmp_path / "run", quiet=True, options=options
    )
    assert run.config["encoder"]["name"] == "shared"
    assert run.config["views"]["recipe"] == "parts"
    method = run.method
    assert isinstance(method, ColloSSL)
    assert method.whole[0] == 0
    assert (method.whole[1:] > 0).all()
    alone = run.embed(run.open({"chest": made.devices["chest"]}, only="chest"))
    assert alone.shape == (40, run.encoder.dim)


def test_what_collossl_refuses() -> None:
    method, batch = worn(8, anchor="head")
    with pytest.raises(OptionError, match="no device 'head'; there are chest, waist"):
        method(batch)
    method, batch = worn(8)
    with pytest.raises(OptionError, match="at least two devices"):
        method(batch | {"views": batch["views"][:1]})
    with pytest.raises(OptionError, match="at least two devices"):
        method(batch | {"views": [{"x": torch.zeros(8, 6, 32)}] * 2})
    encoder, mixed = paired()
    with pytest.raises(OptionError, match="windows of one length"):
        ColloSSL(encoder)(mixed)
    for wrong in ({"negatives": 0}, {"channels": -1}):
        with pytest.raises(OptionError):
            worn(8, **wrong)
