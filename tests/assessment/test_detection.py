"""Detection on an encoder's maps: the boxes it is shown, what is trained, and that something is learned."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch
from PIL import Image

import tacit
from tacit.assessment import detection
from tacit.assessment.detection import detect, shown_boxes
from tacit.assessment.detector import Detector, Heads, _Pool
from tacit.assessment.finetune import Tuning
from tacit.assessment.joined import Joined
from tacit.cli import main
from tacit.errors import DataError, OptionError
from tacit.modalities.image.boxes import central_boxes
from tacit.modalities.image.read_boxes import box_rows
from tacit.modalities.image.scenes import THINGS, rendered_scenes

QUICK = Tuning(steps=2, batch_size=4, rates=(3e-3,))
SMALL = Heads(width=8, pool=3, hidden=16, sampled=16, proposals=10, most=5)
OPTIONS = {"encoder.width": 8, "steps": 2, "batch_size": 16, "quiet": True}


@functools.cache
def made():
    return rendered_scenes(count=32, size=24, things=2)


def rows():
    return box_rows(made().labelled_boxes(), 24)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tacit.pretrain(made().images, "simclr", "convnet", out=tmp_path_factory.mktemp("boxes") / "run", **OPTIONS)


def view_of(run, count=4):
    source = run.open(made().images)
    return run.evaluation_view()(source.batch(torch.arange(count)))[0]


def test_both_trunks_are_measured_and_repeat(run) -> None:
    ask = {"heads": SMALL, "tuning": QUICK}
    two = Tuning(steps=1, batch_size=4, rates=(1e-4, 3e-3))
    for trunk, tuning in (("frozen", two), ("trained", QUICK)):
        found = detect(run, (made().images, rows()), trunk=trunk, heads=SMALL, tuning=tuning)
        assert set(found) == {"random", "trained"}
        for row in found.values():
            assert row["rate"] in tuning.rates
            assert 0 <= row["value"] <= 1
            assert row["boxes"] == sum(one["boxes"] for one in row["classes"].values())
            assert set(row["classes"]) <= set(map(str, range(10)))
        assert json.loads(json.dumps(found)) == found
    before = {name: x.clone() for name, x in run.encoder.state_dict().items()}
    assert detect(run, (made().images, rows()), trunk="trained", **ask) == found
    assert all(torch.equal(before[name], x) for name, x in run.encoder.state_dict().items())


def test_a_frozen_trunk_stays_as_it_was_and_heads_learn(run, monkeypatch) -> None:
    kept = []

    def descend(network, loss, *rest):
        torch.manual_seed(0)
        before = {name: x.clone() for name, x in network.state_dict().items()}
        first = loss(0, torch.arange(8)).item()
        trained(network, loss, *rest)
        kept.append((before, {name: x.clone() for name, x in network.state_dict().items()}, first))
        assert all((p.grad is None) == name.startswith("encoder.") for name, p in network.named_parameters())

    trained = detection.descend
    monkeypatch.setattr(detection, "descend", descend)
    detect(run, (made().images, rows()), heads=SMALL, tuning=QUICK)
    assert len(kept) == 2
    for before, after, loss in kept:
        assert np.isfinite(loss)
        for name, x in after.items():
            same = torch.equal(x, before[name])
            assert same if name.startswith("encoder.") else not same or name.endswith("num_batches_tracked")
        for part in ("join.", "smooth.", "rpn.", "roi_heads."):
            assert any(name.startswith(part) for name in after)


def test_what_the_crop_leaves_of_boxes() -> None:
    # twice as wide as high, shown as a square: the middle half of the width
    theta = central_boxes(1, (20, 40), None, (20, 20)).theta((20, 40))
    boxes = np.array([[[0, 15, 5, 25, 15], [1, 5, 0, 16, 20], [2, 0, 0, 40, 20], [3, 0, 0, 9, 9], [-1] * 5]])
    found = shown_boxes(torch.from_numpy(box_rows(boxes, (20, 40))), theta, (40, 40))
    expected = [[0, 10, 10, 30, 30, 0], [1, 0, 0, 12, 40, 0], [2, 0, 0, 40, 40, 0], [-1] * 6, [-1] * 6]
    expected[1][5] = 0 if 6 / 11 >= 0.5 else 1
    np.testing.assert_allclose(found[0], expected, atol=1e-4)
    less = boxes.copy()
    less[0, 1, 3] = 15  # half of it is left, less than half of the next
    less[0, 2, 3] = 19
    hard = shown_boxes(torch.from_numpy(box_rows(less, (20, 40))), theta, (40, 40))[0, :, 5]
    assert hard.tolist() == [0, 0, 1, -1, -1]
    difficult = np.concatenate([boxes, boxes[..., :1] == 0], -1)
    assert shown_boxes(torch.from_numpy(box_rows(difficult, (20, 40))), theta, (40, 40))[0, 0, 5] == 1


def test_whole_images_keep_their_boxes(run) -> None:
    found = shown_boxes(torch.from_numpy(rows()), view_of(run, 32)["theta"], (24, 24))
    np.testing.assert_allclose(found, made().labelled_boxes(), atol=1e-4)


def test_regions_are_pooled_where_they_lie() -> None:
    # a map of 5 x 4 places over 20 x 24 pixels: each place has its own number, and is 4 pixels high and 6 wide
    maps = torch.arange(20.0).view(1, 1, 5, 4)
    pool = _Pool(1, (20, 24))
    boxes = [[6.0 * x, 4.0 * y, 6.0 * x + 6, 4.0 * y + 4] for y in range(5) for x in range(4)]
    np.testing.assert_allclose(pool({"0": maps}, [torch.tensor(boxes)], None).flatten(), np.arange(20.0), atol=1.0)
    inner = torch.tensor([[6.0, 4.0, 18.0, 16.0]])
    torch.testing.assert_close(pool({"0": maps}, [inner], None).item(), maps[0, 0, 1:4, 1:3].mean().item())


def test_images_without_boxes_train_too(run) -> None:
    network = Detector(run.random_encoder(), view_of(run), 3, SMALL, True).train()
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    one = {"boxes": torch.tensor([[2.0, 3, 15, 20]]), "labels": torch.tensor([3])}
    for targets in ([nothing] * 4, [one, nothing, one, one]):
        _, loss = network.run(view_of(run), targets)
        loss.backward()
        assert torch.isfinite(loss)
    found = network.eval()(view_of(run))
    assert found.shape == (4, 5, 6)
    real = found[found[..., 0] >= 0]
    assert ((real[:, 1:3] < real[:, 3:5]).all() & (real[:, 1:5] >= 0).all() & (real[:, 1:5] <= 24).all()).item()
    assert (real[:, 0] < 3).all()


def test_tokens_of_patches_are_maps() -> None:
    from tacit.modalities.image import Spec, make_encoder

    encoder = make_encoder("vit", Spec(3, (24, 32), (0.5,) * 3, (0.2,) * 3), width=16, depth=2).eval()
    x = torch.randn(2, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    joined = Joined(encoder, {"x": x}, 8, True, "this", (6, 8)).eval()
    assert joined.patches is not None
    other = x.clone()
    other[..., :8] = 0  # what is at the left changes the left most
    with torch.no_grad():
        change = (joined({"x": x}) - joined({"x": other})).abs().sum((0, 1, 2))
    assert change.shape == (8,)
    assert change.argmax() < 2


def test_the_command(run, tmp_path, capsys, monkeypatch) -> None:
    np.savez(tmp_path / "train.npz", x=made().images[:16], boxes=made().labelled_boxes()[:16])
    np.savez(tmp_path / "test.npz", x=made().images[16:], boxes=made().labelled_boxes()[16:, :1])
    np.savez(tmp_path / "depth.npz", x=made().images[:16], y=made().depth[:16].reshape(16, -1)[:, :5])
    monkeypatch.setattr(detection, "DEFAULT", QUICK)
    asked = ["evaluate", str(run.folder), str(tmp_path / "train.npz"), "--test", str(tmp_path / "test.npz")]
    assert main([*asked, "--metrics", "detection"]) == 0
    shown = capsys.readouterr().out
    assert "detection mAP at 0.5, heads on a frozen encoder" in shown
    assert "COCO" in shown
    assert main(["evaluate", str(run.folder), str(tmp_path / "depth.npz"), "--metrics", "detection-tuned"]) == 2
    assert "training labels of boxes must be [N, K * 6]" in capsys.readouterr().err


def test_a_folder_is_as_good_as_its_arrays(run, tmp_path) -> None:
    images, boxes = made().images[:12], made().labelled_boxes()[:12]
    entries = []
    for place, (image, things) in enumerate(zip(images, boxes, strict=True)):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{place:02}.png")
        for kind, x0, y0, x1, y1, hard in things[things[:, 0] >= 0].tolist():
            box = [x0, y0, x1 - x0, y1 - y0]
            entries.append({"image_id": place, "category_id": 1 + int(kind), "bbox": box, "iscrowd": int(hard)})
    whole = {
        "images": [{"id": i, "file_name": f"{i:02}.png", "width": 24, "height": 24} for i in range(12)],
        "annotations": entries,
        "categories": [{"id": 1 + i, "name": name} for i, name in enumerate(THINGS)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(whole))
    ask = {"heads": SMALL, "tuning": QUICK}
    read = detect(run, tmp_path, reading={"boxes": "annotations.json", "cache": tmp_path / ".cache"}, **ask)
    given = detect(run, (images, box_rows(boxes, 24)), **ask)
    for start, row in read.items():
        assert set(row["classes"]) <= set(THINGS)
        assert row["value"] == pytest.approx(given[start]["value"], abs=1e-6)
        assert row["boxes"] == given[start]["boxes"]


def test_bad_input(run) -> None:
    x, y = made().images, rows()
    with pytest.raises(OptionError, match="trunk 'frosen'; did you mean 'frozen'"):
        detect(run, (x, y), trunk="frosen")
    with pytest.raises(DataError, match="at least 4"):
        detect(run, (x[:4], y[:4]))
    with pytest.raises(DataError, match="training images have no box"):
        detect(run, (x, np.full_like(y, -1)))
    with pytest.raises(OptionError, match="layers give maps"):
        Detector(torch.nn.Sequential(torch.nn.Flatten()), {"x": torch.zeros(2, 3, 24, 24)}, 1, SMALL, True)
    for options in ({"width": 0}, {"sampled": 1}, {"anchors": ()}, {"ratios": (0.0,)}, {"least": 2.0}):
        with pytest.raises(OptionError, match=next(iter(options))):
            Heads(**options)


@pytest.mark.slow
def test_things_are_found(tmp_path) -> None:
    scenes = rendered_scenes(count=160, size=32, texture=False)
    labels = scenes.labelled_boxes()
    labels[..., 0] = 0  # whatever kind they are
    options = OPTIONS | {"encoder.width": 16, "steps": 30, "out": tmp_path / "run"}
    run = tacit.pretrain(scenes.images, "simclr", "convnet", **options)
    data, heads = (scenes.images, box_rows(labels, 32)), Heads(width=32)
    for trunk in ("frozen", "trained"):
        nothing = detect(run, data, trunk=trunk, heads=heads, tuning=Tuning(steps=1, batch_size=16, rates=(1e-6,)))
        found = detect(run, data, trunk=trunk, heads=heads, tuning=Tuning(steps=120, batch_size=16, rates=(3e-3,)))
        for start in ("random", "trained"):
            assert nothing[start]["value"] < 0.1
            assert found[start]["value"] > 0.3
