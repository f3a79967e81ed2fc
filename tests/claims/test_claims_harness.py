import json
import signal
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel

from tacit import registry
from tacit.claims import harness
from tacit.claims.harness import Claim, NeedsData, Result, Trial
from tacit.claims.show import difference_of, mean_of, places, show, show_table, values_of
from tacit.claims.small import trained
from tacit.errors import DataError, OptionError
from tacit.methods.contrastive.simclr import SimCLR

NAME = "simclr"
FIELDS = {
    "name", "title", "statement", "data", "scale", "hardware", "seeds", "metric", "better", "margin", "baseline",
    "method", "difference", "interval", "verdict", "seconds", "cpu_seconds", "notes",
}  # fmt: skip
STORED = sorted(Path(harness.HERE.parents[2], "claims", "results").glob("*.json"))
ROWS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in STORED}


def declare(monkeypatch, run, **more):
    words = {"statement": "s", "baseline": "one", "method": "two", "metric": "accuracy, %", "data": "d"}
    monkeypatch.setitem(harness._claims, NAME, Claim(NAME, **words, run=run, **more))


def pairs(*rows):
    return lambda trial: Result(*rows[trial.seed], {"seed": trial.seed})


@pytest.mark.parametrize(
    ("rows", "more", "verdict"),
    [
        ([(50, 60), (51, 60), (52, 63)], {}, "holds"),
        ([(50, 60), (51, 60), (52, 63)], {"margin": 9.0}, "does not hold at this scale"),
        ([(50, 60), (51, 49), (52, 63)], {}, "does not hold at this scale"),
        ([(50, 60), (51, 60), (52, 63)], {"better": "lower"}, "does not hold at this scale"),
        ([(3.1, 2.0), (3.0, 2.1), (3.3, 2.2)], {"better": "lower", "margin": 0.5}, "holds"),
        ([(50, 49.9), (51, 51.1), (52, 51.9)], {"margin": -1.0}, "holds"),
    ],
)
def test_the_verdict_is_that_of_the_paired_interval(rows, more, verdict, monkeypatch, tmp_path):
    declare(monkeypatch, pairs(*rows), **more)
    found = harness.claim(NAME, out=tmp_path)
    assert set(found) == FIELDS
    assert found["verdict"] == verdict
    assert json.loads((tmp_path / f"{NAME}.json").read_text()) == found
    one, two = np.array(rows, dtype=float).T * (-1 if more.get("better") == "lower" else 1)
    wanted = ttest_rel(two, one).confidence_interval()
    assert found["interval"] == pytest.approx([wanted.low, wanted.high])
    assert found["difference"] == pytest.approx((two - one).mean())
    assert found["notes"] == {str(seed): {"seed": seed} for seed in range(3)}


def test_data_that_are_not_here_are_a_verdict(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("TACIT_DATA", raising=False)
    declare(monkeypatch, lambda trial: trial.data_file("cifar10/train.npz"))
    found = harness.claim(NAME, out=tmp_path)
    assert found["verdict"] == "needs DATA"
    assert found["difference"] is None
    assert found["interval"] is None
    assert "cifar10/train.npz" in found["notes"]["why"]
    show(found)
    assert "needs DATA" in capsys.readouterr().out
    assert [mean_of(found, "method"), difference_of(found), values_of(found, "method")] == ["–", "–", []]


def test_data_are_looked_for_in_the_named_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TACIT_DATA", str(tmp_path))
    with pytest.raises(NeedsData, match=r"x\.npz"):
        Trial(0).data_file("x.npz")
    (tmp_path / "x.npz").touch()
    assert Trial(0).data_file("x.npz") == tmp_path / "x.npz"


def test_other_seeds_and_the_larger_variant(monkeypatch, tmp_path):
    seen = []

    def run(trial):
        seen.append((trial.seed, trial.gpu))
        return Result(1.0, 2.0 + trial.seed)

    declare(monkeypatch, run, gpu=True)
    harness.claim(NAME, "gpu", out=tmp_path, seeds=(7, 9))
    assert seen == [(7, True), (9, True)]
    assert (tmp_path / f"{NAME}-gpu.json").exists()
    declare(monkeypatch, run)
    with pytest.raises(OptionError, match="no larger variant"):
        harness.claim(NAME, "gpu", out=tmp_path)


def test_a_claim_may_fail_loudly(monkeypatch, tmp_path):
    declare(monkeypatch, pairs((1.0, float("nan")), (1.0, 2.0), (1.0, 2.0)))
    with pytest.raises(DataError, match="finite"):
        harness.claim(NAME, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_claim_names_an_entry_and_three_seeds():
    for found in harness.declared():
        assert len(found.seeds) >= 3, found.name
        assert found.better in ("higher", "lower"), found.name
        assert registry.entry(found.name).title


@pytest.mark.parametrize("name", ROWS)
def test_a_stored_result_is_its_declaration_and_its_figures(name):
    row, declared = ROWS[name], {found.name: found for found in harness.declared()}
    found = declared[row["name"]]
    assert set(row) >= FIELDS - {"cpu_seconds"}
    for key in ("statement", "metric", "better", "margin", "data"):
        assert row[key] == getattr(found, key), key
    assert row["seeds"] == list(found.seeds)
    assert [row["baseline"]["name"], row["method"]["name"]] == [found.baseline, found.method]
    sign = -1 if row["better"] == "lower" else 1
    method, baseline = (sign * np.array(row[arm]["values"]) for arm in ("method", "baseline"))
    assert len(method) == len(baseline) == len(row["seeds"])
    wanted = ttest_rel(method, baseline).confidence_interval()
    assert row["interval"] == pytest.approx([wanted.low, wanted.high])
    assert row["verdict"] == ("holds" if wanted.low > row["margin"] else "does not hold at this scale")


@pytest.mark.parametrize(
    ("interval", "decimals"), [([-37.4, 88.2], 2), ([0.1, 0.4], 2), ([0.9988, 1.0330], 3), ([-1.6e-3, 2.9e-4], 4)]
)
def test_figures_have_the_digits_that_the_interval_tells(interval, decimals):
    row = {"difference": sum(interval) / 2, "interval": interval, "method": {"values": [1 / 3]}}
    assert places(row) == decimals
    assert values_of(row, "method") == [f"{1 / 3:.{decimals}f}"]
    assert difference_of(row).count(".") == 3


def test_results_are_shown_a_line_each(capsys):
    rows = list(ROWS.values())
    show_table(rows)
    shown = capsys.readouterr().out
    assert all(row["name"] in shown for row in rows)


class Interrupted(SimCLR):
    """Somebody presses Ctrl-C in the second step."""

    def after_step(self, progress):
        super().after_step(progress)
        if progress == 0.25:  # of eight steps the second; a further one would act as usual
            signal.raise_signal(signal.SIGINT)


def test_nothing_is_measured_of_a_training_that_was_interrupted():
    x = np.zeros((16, 1, 8, 8), np.uint8)
    with pytest.raises(KeyboardInterrupt):
        trained(x, Interrupted, lambda run: pytest.fail("measured"), steps=8, batch_size=8)
