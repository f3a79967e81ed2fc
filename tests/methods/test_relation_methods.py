"""The contrastive methods that are settings of the relation objective, and those with state per sample."""

import copy

import numpy as np
import pytest
import torch
from tiny_encoders import TinyEncoder, batch_for, images
from torch.nn.functional import normalize

import tacit
from tacit.errors import DataError, OptionError, RunError
from tacit.objectives.contrastive import NTXent
from tacit.registry import find

NAMES = ["i-con", "supcon", "debiased", "dcl", "kernel-infonce", "isogclr"]
each = pytest.mark.parametrize("name", NAMES)


def build(name, dtype=torch.float64, rows=8, **options):
    torch.manual_seed(0)
    method = find(name, "method")(TinyEncoder(), **({"norm": "layer", "hidden": 16, "out": 8} | options))
    method.sized(rows)
    return method.to(dtype)


def projections(method, batch):
    return [method.projector(method.encoder(view["x"])) for view in batch["views"]]


@each
def test_learns_its_own_task(name):
    method = build(name, torch.float32, 32)
    batch = batch_for(method, 32, dtype=torch.float32)
    optimiser = torch.optim.Adam(method.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = method(batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[:5]) - np.mean(losses[-5:]) > 0.2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("i-con", {"sigma": 0.5}),
        ("kernel-infonce", {"mixture": "none", "gamma": 2.0, "temperature": 1.0}),
    ],
)
def test_settings_that_are_simclr(name, options):
    method, batch = build(name, **options), images(8)
    torch.testing.assert_close(method(batch)["loss"], NTXent(0.5)(*projections(method, batch)))


def test_supcon_of_labels_of_their_own_is_simclr():
    method, batch = build("supcon", temperature=0.5), images(8)
    simclr = NTXent(0.5)(*projections(method, batch))
    assert method(batch)["loss"] > simclr + 0.01
    torch.testing.assert_close(method(batch | {"y": torch.arange(8)})["loss"], simclr)


def test_supcon_with_a_queue_is_supcon_over_key_and_filled_rows():
    method = build("supcon-moco", queue=8, out=4, temperature=0.3)
    for step in range(3):
        batch = images(3, seed=10 * step) | {"y": torch.tensor([0, 1, 0])}
        rows, labels = method.queue.read()
        filled = 3 * step
        loss = method(copy.deepcopy(batch))["loss"]
        first, second = batch["views"]
        q = normalize(method.projector(method.encoder(first["x"])))
        k = normalize(method.teacher_projector(method.teacher_encoder(second["x"])))
        expected = 0.0
        for i in range(3):
            scores = torch.cat([(q[i] * k[i]).sum()[None], rows @ q[i]]) / 0.3
            positive = [0, *(1 + j for j in range(min(filled, 8)) if int(labels[j]) == int(batch["y"][i]))]
            expected -= sum(scores.log_softmax(0)[p] for p in positive) / len(positive) / 3
        torch.testing.assert_close(loss, expected)
    assert method.queue.filled.all()


def test_supcon_needs_labels(tmp_path):
    x = np.zeros((20, 1, 16, 16), dtype=np.uint8)
    with pytest.raises(DataError, match="the data has none"):
        tacit.pretrain(x, "supcon", steps=1, batch_size=4, out=tmp_path / "run", quiet=True)
    with pytest.raises(DataError, match="labels"):
        tacit.pretrain(x, "supcon-moco", steps=1, batch_size=4, out=tmp_path / "other", quiet=True)


PAIRS = [
    {"supervisory": s, "learned": q, "alpha": a}
    for s in ("augmentation", "neighbours", "gaussian", "augmentation+neighbours", "augmentation+neighbours+walk")
    for q, a in (("cosine", 0.0), ("euclidean", 0.2), ("dot", 0.0), ("student", 0.0), ("cluster", 0.3))
]


@pytest.mark.parametrize("options", PAIRS, ids=lambda o: " ; ".join(map(str, o.values())))
def test_every_pair_of_kernels_trains(options):
    for more in ({}, {"space": "in", "hidden": 0, "perplexity": 3.0, "divergence": "js"}):
        method = build("i-con", torch.float32, **options, **more)
        loss = method(images(8, dtype=torch.float32))["loss"]
        loss.backward()
        assert loss.isfinite()
        assert method.projector[-1].weight.grad.abs().max() > 0


def test_i_con_takes_neighbours_where_it_is_told():
    batch = images(8)
    options = {"supervisory": "neighbours", "k": 2}
    seen = {space: build("i-con", **options, space=space)(batch)["loss"] for space in ("embedding", "in")}
    method = build("i-con", **options)
    views = [view["x"] for view in batch["views"]]
    for space, features in (("in", [x.flatten(1) for x in views]), ("embedding", [method.encoder(x) for x in views])):
        wanted = method.objective(*projections(method, batch), features=torch.stack(features, 1).detach())
        torch.testing.assert_close(seen[space], wanted)


def test_debiased_takes_more_views():
    method, batch = build("debiased"), images(8, views=3)
    torch.testing.assert_close(method(batch)["loss"], method.objective(*projections(method, batch)))


def test_concatenation_doubles_the_projection():
    assert build("kernel-infonce", mixture="concatenation").projector[-1].out_features == 16
    assert set(build("kernel-infonce", mixture="spectral")(images(8))) == {"loss", "uniformity", "alignment"}


def test_isogclr_remembers_each_sample():
    method = build("isogclr", rows=12)
    batch = images(6) | {"index": torch.tensor([7, 2, 9, 0, 4, 5])}
    method(batch)
    seen = torch.zeros(12, dtype=torch.bool)
    seen[batch["index"]] = True
    assert torch.equal(method.log_s.isfinite(), seen)
    assert torch.equal(method.slope != 0, seen)
    assert torch.equal(method.temperature != torch.tensor(0.1).double(), seen)
    expected = method.objective.individual(
        *projections(method, batch), method.temperature[batch["index"]], method.log_s[batch["index"]]
    )
    slope, temperature = method.slope[batch["index"]], method.temperature[batch["index"]]
    method(batch)
    slope = 0.5 * slope + 0.5 * expected.slope
    torch.testing.assert_close(method.slope[batch["index"]], slope)
    torch.testing.assert_close(method.temperature[batch["index"]], (temperature - 0.03 * slope).clamp(0.05, 1.0))
    torch.testing.assert_close(method.log_s[batch["index"]], expected.log_s)


def test_isogclr_without_step_is_sogclr():
    method, batch = build("isogclr", eta=0.0, tau=0.2), images(8)
    for _ in range(3):
        method(batch)
    assert torch.equal(method.temperature, torch.full((8,), 0.2).double())
    assert method.log_s.isfinite().all()


def test_isogclr_state_stays_as_it_is_in_evaluation():
    method = build("isogclr").eval()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    method(images(8))
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())


def test_isogclr_keeps_temperatures_between_their_bounds():
    method, batch = build("isogclr", eta=1.0, tau_max=0.3, rho=0.01), images(8)
    for _ in range(5):
        method(batch)
    assert method.temperature.min() >= 0.05
    assert method.temperature.max() <= 0.3 + 1e-12


def test_isogclr_refuses_samples_it_was_not_told_of():
    with pytest.raises(RunError, match="sample 7 is outside the 4"):
        build("isogclr", rows=4)(images(8))
    for options in ({"tau": 0.01}, {"eta": -1.0}, {"beta": 0.0}):
        with pytest.raises(OptionError):
            build("isogclr", **options)
    with pytest.raises(ValueError, match="gamma"):
        build("isogclr", gamma=0.0)


def test_isogclr_resumes_with_its_state(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 16, 16), dtype=np.uint8)
    options = {"batch_size": 8, "quiet": True, "schedule": "constant"}
    whole = tacit.pretrain(x, "isogclr", steps=7, out=tmp_path / "whole", **options).method.state_dict()
    tacit.pretrain(x, "isogclr", steps=3, out=tmp_path / "parts", **options)
    parts = tacit.pretrain(x, "isogclr", steps=7, out=tmp_path / "parts", resume=True, quiet=True).method.state_dict()
    for key in ("log_s", "slope", "temperature"):
        assert torch.equal(whole[key], parts[key]), key


def test_methods_of_projections_alone_train_in_chunks():
    assert {name: build(name).in_chunks for name in NAMES} == {
        "i-con": False, "supcon": False, "debiased": True, "dcl": True, "kernel-infonce": True, "isogclr": False,
    }  # fmt: skip
