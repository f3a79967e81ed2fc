import functools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tacit
from tacit.assessment.finetune import Tuning
from tacit.assessment.halves import halves
from tacit.assessment.maps import Mapper, _Goal, map_curve
from tacit.cli import main
from tacit.errors import DataError, OptionError
from tacit.evaluation.utility import utility
from tacit.modalities.image.scenes import rendered_scenes

QUICK = Tuning(steps=3, batch_size=8, rates=(3e-3,))
OPTIONS = {"encoder.width": 8, "steps": 3, "batch_size": 16, "quiet": True}


@functools.cache
def made():
    return rendered_scenes(count=80, size=24)


def flat(maps):
    return maps.reshape(len(maps), -1).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tacit.pretrain(made().images, "simclr", "convnet", out=tmp_path_factory.mktemp("maps") / "run", **OPTIONS)


def test_each_kind_of_map_is_predicted_and_repeats(run):
    for kind in ("classes", "normals"):
        found = map_curve(run, (made().images, flat(getattr(made(), kind))), kind=kind, sizes=[12], tuning=QUICK)
        assert all(0 <= found[start][0] <= 1 for start in ("trained", "scratch", "frozen"))
    ask = {"kind": "depth", "sizes": [12, 20], "tuning": QUICK}
    found = map_curve(run, (made().images, flat(made().depth)), **ask)
    assert found["sizes"] == [12, 20]
    assert found["pool"] == 48
    assert [row["frozen"]["within_1.1"] for row in found["figures"]] == found["frozen"]
    assert found["utility"] == utility([12, 20], found["scratch"], found["trained"]).values.tolist()
    assert found == map_curve(run, (made().images, flat(made().depth)), **ask)


def test_depth_is_learned(run):
    ask = {"sizes": [40], "tuning": Tuning(steps=40, batch_size=8, rates=(5e-3,))}
    found = map_curve(run, (made().images, flat(made().depth)), kind="depth", **ask)
    still = (made().depth == 5).mean()  # that much is right where the wall is all that was learned
    assert found["trained"][0] > 0.8 * still
    nothing = map_curve(run, (made().images, flat(made().depth)), kind="depth", sizes=[40], tuning=QUICK)
    assert found["figures"][0]["trained"]["error"] < 0.5 * nothing["figures"][0]["trained"]["error"]


def test_losses_leave_out_what_was_not_measured():
    random = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (4, 16), generator=random).float()
    y[0, :5] = -1
    goal, scores = _Goal("classes", y, y), torch.randn(4, 3, 4, 4, generator=random)
    maps = goal.maps(y).long()
    assert goal.outputs == 3
    torch.testing.assert_close(goal.loss(scores, y), F.cross_entropy(scores, maps, ignore_index=-1))
    depth = torch.rand(4, 16, generator=random) + 0.5
    depth[1, 2:9] = 0
    goal, scores = _Goal("depth", depth, depth), torch.randn(4, 1, 4, 4, generator=random)
    known = depth > 0
    expected = (scores.flatten(1) - depth / depth.max())[known].abs().mean()
    torch.testing.assert_close(goal.loss(scores, depth), expected)
    normals = torch.randn(4, 48, generator=random)
    normals.view(4, 3, 16)[2, :, :7] = 0
    goal, scores = _Goal("normals", normals, normals), torch.randn(4, 3, 4, 4, generator=random)
    a, b = (x.view(4, 3, 16).movedim(1, 2).flatten(0, 1) for x in (scores, normals))
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    torch.testing.assert_close(goal.loss(scores, normals), (1 - cosine[b.norm(dim=1) > 0]).mean())


def test_a_frozen_encoder_stays_as_it_was_and_maps_have_the_side_of_the_labels(run):
    train, _ = halves(run, (made().images, flat(made().depth)))
    view = run.evaluation_view()(train.source.batch(train.rows[:4]))[0]
    before = {name: x.clone() for name, x in run.random_encoder().state_dict().items()}
    for frozen in (True, False):
        network = Mapper(run.random_encoder(), view, 2, 24, frozen).train()
        assert network.finest == (12, 12)
        scores = network(view)
        assert scores.shape == (4, 2, 24, 24)
        scores.sum().backward()
        assert all((p.grad is None) == frozen for p in network.encoder.parameters())
        same = all(torch.equal(before[name], x) for name, x in network.encoder.state_dict().items())
        assert same == frozen  # batch norm counts, where it is trained


def test_the_command(run, tmp_path, capsys):
    np.savez(tmp_path / "maps.npz", x=made().images[:16], y=flat(made().depth)[:16])
    from tacit.assessment import measures

    assert main(["evaluate", str(run.folder), str(tmp_path / "maps.npz"), "--metrics", "few-maps-normals"]) == 2
    assert "3 x H x H numbers" in capsys.readouterr().err
    assert measures.MEASURES["few-maps-depth"].tasks == ("numbers",)


def test_bad_input(run):
    x, depth = made().images, flat(made().depth)
    with pytest.raises(OptionError, match="kind of map 'dept'; did you mean 'depth'"):
        map_curve(run, (x, depth), kind="dept")
    with pytest.raises(DataError, match="H x H numbers"):
        map_curve(run, (x, depth[:, :-1]), kind="depth")
    with pytest.raises(DataError, match="one size"):
        map_curve(run, (x, depth), (x[:20], depth[:20, :400]), kind="depth")
    with pytest.raises(DataError, match="whole numbers"):
        map_curve(run, (x, depth), kind="classes")
    with pytest.raises(DataError, match="two classes"):
        map_curve(run, (x, np.ones_like(depth)), kind="classes")
    with pytest.raises(DataError, match="above 0"):
        map_curve(run, (x, 0 * depth), kind="depth")
    with pytest.raises(OptionError, match="there are 48 labels"):
        map_curve(run, (x, depth), kind="depth", sizes=[100])
    with pytest.raises(DataError, match="at least 8"):
        map_curve(run, (x[:6], depth[:6]), kind="depth")
    flatten = torch.nn.Sequential(torch.nn.Flatten())
    with pytest.raises(OptionError, match="layers give maps"):
        Mapper(flatten, {"x": torch.zeros(2, 3, 24, 24)}, 1, 24, True)
