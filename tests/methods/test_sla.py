import numpy as np
import pytest
import torch
from tiny_encoders import TinyEncoder, images

import tacit
from tacit.errors import DataError, OptionError
from tacit.methods.supervised.sla import SLA
from tacit.objectives.labels import Distillation, JointLabels, Labels, aggregated


def build(**options):
    torch.manual_seed(0)
    method = SLA(TinyEncoder(), **options)
    method.labelled(3)
    return method.double()


def batch(rows=6):
    made = images(rows, views=1)
    return made, made["views"][0]["x"], made["y"]


def turned(x):
    return [torch.rot90(x, k, (2, 3)) for k in range(4)]


def test_distilled_is_its_three_terms():
    method = build(temperature=2.0)
    made, x, y = batch()
    joint = torch.stack([method.joint(method.encoder(v)) for v in turned(x)])
    u = method.label(method.encoder(x))
    terms = method.loss(made)
    torch.testing.assert_close(terms["joint"], JointLabels()(joint, y))
    torch.testing.assert_close(terms["label"], Labels()(u, y))
    torch.testing.assert_close(terms["distillation"], Distillation(2.0)(u, aggregated(joint)))


def test_the_baselines():
    made, x, y = batch()
    plain = build(mode="plain")
    torch.testing.assert_close(plain.loss(made)["label"], Labels()(plain.label(plain.encoder(x)), y))
    for mode in ("augment", "multi-task"):
        method = build(mode=mode)
        h = [method.encoder(v) for v in turned(x)]
        wanted = sum(Labels()(method.label(v), y) for v in h) / 4
        terms = method.loss(made)
        torch.testing.assert_close(terms["label"], wanted)
        if mode == "multi-task":
            which = sum(Labels()(method.transformation(v), torch.full_like(y, j)) for j, v in enumerate(h)) / 4
            torch.testing.assert_close(terms["transformation"], which)
        else:
            assert set(terms) == {"label"}


@pytest.mark.parametrize("mode", ["distilled", "joint", "multi-task", "augment", "plain"])
def test_every_parameter_learns_and_predicts(mode):
    method = build(mode=mode)
    made, x, _ = batch()
    sum(method.loss(made).values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in method.parameters())
    ways = method.predict({"x": x})
    assert all(rows.shape == (6, 3) for rows in ways.values())
    first = {"distilled": "distilled", "joint": "aggregated"}.get(mode, "single")
    assert next(iter(ways)) == first


def test_one_pass_for_all_copies():
    method = build()
    method.loss(batch(5)[0])
    assert method.encoder.largest == 20


def test_a_quarter_turn_of_what_is_not_square_is_refused():
    made, x, _ = batch()
    made["views"] = [{"x": x[:, :, :6]}]
    with pytest.raises(OptionError, match="rotation2"):
        build().loss(made)


def stripes(count, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    x = rng.integers(0, 120, (count, 1, 16, 16))
    x[y == 1, :, 4:12, 4:12] += 100
    return x.astype(np.uint8), y


def test_it_adapts_predicts_and_resumes(tmp_path):
    out = tmp_path / "run"
    options = {"batch_size": 16, "lr": 2e-3, "views.crop_scale": (0.8, 1.0), "checkpoint_every": 5}
    data, test = stripes(160, 0), stripes(80, 1)
    run = tacit.adapt(data, test=test, steps=20, out=out, quiet=True, options=options)
    found = run.predict(test[0])
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert (found.argmax(1) == test[1]).mean() > 0.8
    stored = tacit.load(out)
    np.testing.assert_array_equal(stored.predict(test[0]), found)
    page = tacit.report(stored).read_text(encoding="utf-8")
    assert "tacit adapt" in page
    assert "Self-supervised Label Augmentation" in page

    twice = tmp_path / "twice"
    tacit.adapt(data, steps=5, out=twice, quiet=True, options={**options, "schedule": "constant"})
    again = tacit.adapt(data, steps=10, out=twice, resume=True, quiet=True)
    whole = tacit.adapt(data, steps=10, out=tmp_path / "whole", quiet=True, options={**options, "schedule": "constant"})
    np.testing.assert_array_equal(again.predict(test[0]), whole.predict(test[0]))


def test_labels_are_needed_and_checked(tmp_path):
    x, y = stripes(32, 0)
    with pytest.raises(DataError, match="has none"):
        tacit.adapt(x, steps=1, out=tmp_path / "a", quiet=True)
    with pytest.raises(DataError, match="count from 0"):
        tacit.adapt((x, y - 1), steps=1, out=tmp_path / "b", quiet=True)
    with pytest.raises(DataError, match="from 0 to 1"):
        tacit.adapt((x, y), steps=1, out=tmp_path / "c", test=(x, y + 1), quiet=True)
    run = tacit.pretrain(x, steps=1, out=tmp_path / "d", quiet=True)
    with pytest.raises(OptionError, match="predicts no labels"):
        run.predict(x)
