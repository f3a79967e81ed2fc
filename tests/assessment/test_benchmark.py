import json

import numpy as np
import pytest
import torch
from small_runs import data, run

import tacit
from tacit.assessment.benchmark import low_shot
from tacit.assessment.halves import halves
from tacit.assessment.heads import Head
from tacit.assessment.taps import tapped
from tacit.cli import main
from tacit.errors import DataError, OptionError
from tacit.evaluation.sgd_probe import Recipe, fitted_head, head_probe
from tacit.evaluation.splits import split
from tacit.evaluation.svm import average_precision, one_against_rest, svm_probe
from tacit.modalities.image.synthetic import image_folder

COSTS = (0.01, 1.0)
LAST = ["embedding"]


def test_two_tasks_and_their_mean():
    x, y = data()
    odd = (x, y % 2)
    found = tacit.benchmark(
        run(), [(x, y), odd], names=["digit", "odd"], costs=COSTS, shots=[1, 4], samples=2, limit=300
    )
    assert list(found["tasks"]) == ["digit", "odd"]
    task = found["tasks"]["digit"]
    assert task["classes"] == 10
    assert set(task["taps"]) == {"raw", "random", "trained"}
    train, test = halves(run(), (x, y))
    with (
        tapped(run(), run().encoder, train, limit=300) as rows,
        tapped(run(), run().encoder, test, limit=300) as others,
    ):
        targets, _ = one_against_rest(train.y, len(train))
        truth, _ = one_against_rest(test.y, len(test))
        svm = svm_probe(rows["stages.8"], targets, others["stages.8"], costs=COSTS)
    expected = float(np.nanmean(average_precision(svm.scores, truth)))
    assert task["taps"]["trained"]["stages.8"]["value"] == pytest.approx(expected, abs=1e-3)
    best = task["best"]["trained"]
    taps = task["taps"]["trained"]
    assert taps[best["tap"]]["validation"] == max(row["validation"] for row in taps.values())
    assert found["aggregate"]["trained"] == pytest.approx(
        np.mean([found["tasks"][name]["best"]["trained"]["value"] for name in ("digit", "odd")])
    )
    few = task["low_shot"]["trained"]
    assert few[1]["min"] <= few[1]["mean"] <= few[1]["max"]
    assert few[1]["mean"] < few[4]["mean"] < best["value"] + 0.05
    assert json.loads((run().folder / "benchmark.json").read_text())["aggregate"] == found["aggregate"]


def test_low_shot_samples_have_k_of_each_class():
    targets, _ = one_against_rest(torch.arange(40) % 4, 40)
    used = low_shot(targets, 3, np.random.default_rng(0))
    assert (used == used[:, :1]).all()
    assert ((targets == 1) & used).sum(0).tolist() == [3] * 4
    several = (np.random.default_rng(0).random((60, 3)) < 0.4).astype(np.int8)
    used = low_shot(several, 2, np.random.default_rng(0))
    assert ((several == 1) & used).sum(0).tolist() == [2] * 3
    assert ((several == 0) & used).sum(0).tolist() == [4] * 3


def test_several_classes_and_numbers_are_tasks_too(monkeypatch):
    x, y = data()
    source = run().open((x, y))
    bright = torch.from_numpy(x).float().mean((1, 2, 3))
    tasks = []
    for labels in (torch.stack((bright > bright.median(), torch.from_numpy(y) > 4), 1), bright):
        other = run().open((x, y))
        other.labels, other.classes = labels, None
        tasks.append(other)
    found = tacit.benchmark(run(), tasks, taps=["embedding"], costs=COSTS, shots=None, samples=1)
    several, numbers = found["tasks"].values()
    assert several["metric"] == "mean average precision"
    assert several["low_shot"]["trained"]
    assert numbers["metric"] == "R2"
    assert numbers["low_shot"] == {}
    assert source.labels is not None


def test_unknown_labels_neither_train_nor_count():
    x, y = data()
    truth = np.stack((y < 5, y % 2 == 0), 1).astype(int)
    hidden = np.random.default_rng(0).random(truth.shape) < 0.3
    wrong = np.where(hidden, 1 - truth, truth)
    ask = {"taps": LAST, "costs": COSTS, "shots": [3], "samples": 2}
    (found,) = tacit.benchmark(run(), [(x, np.where(hidden, -1, truth))], **ask)["tasks"].values()
    train, test = halves(run(), (x, truth))
    targets, seen = (np.where(hidden[part.rows], -1, wrong[part.rows]).astype(np.int8) for part in (train, test))
    with (
        tapped(run(), run().encoder, train, ["embedding"]) as a,
        tapped(run(), run().encoder, test, ["embedding"]) as b,
    ):
        svm = svm_probe(a["embedding"], targets, b["embedding"], costs=COSTS)
    expected = np.mean(average_precision(svm.scores, seen))
    assert found["taps"]["trained"]["embedding"]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["low_shot"]["trained"][3]["mean"] > 0.3
    with pytest.raises(DataError, match=f"{hidden.sum()} labels are unknown"):
        tacit.evaluate(run(), (x, np.where(hidden, -1, truth)))


def test_a_head_with_batch_norm_is_the_other_probe():
    x, y = data()
    quick = Recipe(lr=0.05, batch_size=64, epochs=6, nesterov=True, norm=True)
    truth = np.stack((y < 5, y % 2 == 0), 1).astype(int)
    truth[::7, 0] = -1
    ask = {"probe": "sgd", "recipe": quick, "taps": ["stages.11", "embedding"], "limit": 200, "shots": [2]}
    found = tacit.benchmark(run(), [(x, y), (x, truth)], names=["digit", "both"], samples=1, seed=3, **ask)["tasks"]
    assert [task["metric"] for task in found.values()] == ["accuracy", "mean average precision"]
    for name, labels in (("digit", y), ("both", truth)):
        train, test = halves(run(), (x, labels), seed=3)
        with (
            tapped(run(), run().encoder, train, LAST) as a,
            tapped(run(), run().encoder, test, LAST) as b,
        ):
            rows, others = a["embedding"], b["embedding"]
            row = found[name]["taps"]["trained"]["embedding"]
            if name == "digit":
                assert row["value"] == head_probe(rows, train.y, others, test.y, quick, 3).accuracy
                fit, held = split(train.y, 0.2, 3)
                small = head_probe(rows[fit], train.y[fit], rows[held], train.y[held], quick, 3)
                assert row["validation"] == small.accuracy
            else:
                scores = fitted_head(rows, train.y, quick, 3).scores(others)
                assert row["value"] == pytest.approx(np.mean(average_precision(scores, test.y.numpy())))
        taps = found[name]["taps"]["trained"]
        best = found[name]["best"]["trained"]
        assert taps[best["tap"]]["validation"] == max(row["validation"] for row in taps.values())
        assert found[name]["low_shot"]["trained"][2]["mean"] > 0


def test_the_head_learns_from_random_views():
    quick = Recipe(lr=0.05, batch_size=64, epochs=3, nesterov=True, norm=True)
    head, (train, test) = Head(quick, 2, 5), halves(run(), data(), seed=5)
    with (
        tapped(run(), run().encoder, train, LAST) as own,
        tapped(run(), run().encoder, test, LAST) as others,
        tapped(run(), run().encoder, train, LAST, shown=head.shown(run())) as drawn,
        tapped(run(), run().encoder, train, LAST, shown=head.shown(run())[1:]) as second,
    ):
        x, z, views = own["embedding"].copy(), others["embedding"].copy(), drawn["embedding"].copy()
        np.testing.assert_array_equal(views[len(train) :], second["embedding"])
    assert views.shape == (2 * len(train), x.shape[1])
    assert not np.allclose(views[: len(train)], x)
    assert not np.allclose(views[: len(train)], views[len(train) :])
    near = np.linalg.norm(views[: len(train)] - x, axis=1).mean()  # of one sample in one row
    assert near < np.linalg.norm(views[: len(train)] - np.roll(x, 1, 0), axis=1).mean()
    ask = {"probe": "sgd", "recipe": quick, "taps": LAST, "shots": [1], "samples": 1, "seed": 5}
    (found,) = tacit.benchmark(run(), [data()], crops=2, **ask)["tasks"].values()
    twice = np.concatenate([train.y, train.y])
    row = found["taps"]["trained"]["embedding"]
    assert row["value"] == head_probe(views, twice, z, test.y, quick, 5).accuracy
    fit, held = split(train.y, 0.2, 5)
    both = np.concatenate([fit, len(train) + fit])
    assert row["validation"] == head_probe(views[both], twice[both], x[held], train.y[held], quick, 5).accuracy
    with pytest.raises(OptionError, match="for the probe sgd"):
        tacit.benchmark(run(), [data()], crops=2)


def test_the_command(tmp_path, capsys):
    x, y = data()
    one = image_folder(tmp_path / "parity", x, y % 2, ["even", "odd"])
    args = ["benchmark", str(run().folder), str(one), "--taps", "embedding", "--shots", "2", "--samples", "2"]
    assert main([*args, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tasks"]["parity"]["low_shot"]["trained"]["2"]["mean"] > 0.4
    assert main([*args, "--probe", "tree"]) == 2
    assert "unknown probe 'tree'" in capsys.readouterr().err
    assert main([*args, "--probe", "sgd"]) == 0
    shown = capsys.readouterr().out
    assert "accuracy" in shown
    assert "parity: labels a class (mean average precision)" in shown
    assert main([*args[:3], "--shots", "x"]) == 2
    assert "--shots x should be whole numbers" in capsys.readouterr().err


def test_bad_input():
    x, y = data()
    with pytest.raises(OptionError, match="at least one labelled"):
        tacit.benchmark(run(), [])
    with pytest.raises(OptionError, match="1 data sets, 2 test sets"):
        tacit.benchmark(run(), [(x, y)], [(x, y), (x, y)])
    with pytest.raises(OptionError, match="400 shots need"):
        tacit.benchmark(run(), [(x, y)], shots=[400])
    with pytest.raises(OptionError, match="at least 1"):
        tacit.benchmark(run(), [(x, y)], shots=[0])
    with pytest.raises(DataError, match="two classes"):
        tacit.benchmark(run(), [(x, np.zeros(240, int))])
    with pytest.raises(DataError, match="labels"):
        tacit.benchmark(run(), [x])
