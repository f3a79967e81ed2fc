import numpy as np
import pytest
import torch
from tiny_encoders import TinyEncoder, images

import tacit
from tacit.errors import OptionError
from tacit.methods.redundancy.tldr import TLDR
from tacit.objectives.redundancy import BarlowTwins


def begun(rows=12, **options):
    torch.manual_seed(0)
    method = TLDR(TinyEncoder(), hidden=8, out=6, norm="layer", **options).double()
    batch = images(rows)
    batch["views"] = [{"x": batch["x"]}]
    method.sized(rows)
    halves = [{"views": [{"x": part}]} for part in batch["x"].split(rows // 2)]
    method.begin(lambda: iter(halves))
    return method, batch


def test_neighbours_of_the_data_set():
    method, batch = begun(neighbours=3)
    flat = batch["x"].flatten(1)
    order = torch.cdist(flat, flat).argsort(1)
    assert torch.equal(method.near, order[:, 1:4])
    assert torch.equal(method.bank, batch["x"])


def test_a_sample_meets_one_of_its_neighbours():
    method, batch = begun(neighbours=3)
    rows = torch.tensor([7, 2, 9, 4, 0])
    part = {"index": rows, "views": [{"x": batch["x"][rows]}]}
    torch.manual_seed(4)
    found = method(part)["loss"]
    torch.manual_seed(4)
    place = (torch.rand(5, 1) * 3).long()
    other = method.bank[method.near[rows].gather(1, place)[:, 0]]
    z = [method.projector(method.encoder(x)) for x in (batch["x"][rows], other)]
    torch.testing.assert_close(found, BarlowTwins(3.9e-3, 1 / 32)(*z), rtol=1e-10, atol=0)


def test_every_neighbour_is_drawn():
    method, batch = begun(neighbours=4)
    index = torch.arange(12)
    met = {(i, j) for _ in range(60) for i, j in enumerate(_whose(method, method._partner(batch["x"], index)))}
    assert met == {(i, int(j)) for i in range(12) for j in method.near[i]}


def _whose(method, x):
    return torch.cdist(x.flatten(1), method.bank.flatten(1)).argmin(1).tolist()


def test_pairs_with_noise_instead():
    method, batch = begun(pairs="noise", noise=0.5)
    noise = method._partner(batch["x"], torch.arange(12)) - batch["x"]
    assert noise.std() / batch["x"].std() == pytest.approx(0.5, rel=0.1)
    assert method(batch)["loss"].isfinite()
    assert not len(method.bank)


def test_what_it_has_seen_is_part_of_its_state():
    method, batch = begun()
    other = TLDR(TinyEncoder(), hidden=8, out=6, norm="layer").double()
    other.sized(12)
    with pytest.raises(OptionError, match="begin"):
        other(batch)
    other.load_state_dict(method.state_dict())
    torch.manual_seed(1)
    expected = method(batch)["loss"]
    torch.manual_seed(1)
    assert other(batch)["loss"] == expected


def test_too_few_samples():
    with pytest.raises(OptionError, match="neighbours"):
        TLDR(TinyEncoder(), neighbours=5).sized(5)
    with pytest.raises(ValueError, match="at least 1"):
        TLDR(TinyEncoder(), neighbours=0)


def test_a_run_keeps_and_resumes_it(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (24, 1, 16, 16), dtype=np.uint8)
    options = {"batch_size": 8, "quiet": True, "options": {"hidden": 16, "out": 16}}
    whole = tacit.pretrain(x, "tldr", steps=6, out=tmp_path / "whole", **options)
    tacit.pretrain(x, "tldr", steps=6, out=tmp_path / "part", **options)
    loaded = tacit.load(tmp_path / "whole").method
    assert torch.equal(loaded.near, whole.method.near)
    assert loaded.bank.shape == (24, 1, 16, 16)
    more = tacit.pretrain(x, "tldr", steps=9, out=tmp_path / "part", resume=True, quiet=True)
    assert torch.equal(more.method.near, loaded.near)
    assert len(more.metrics["step"]) > 0
