"""From labels that are numbers, or several classes at once, to evaluation, command and report; groups stay together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tacit
from tacit.cli import main
from tacit.demos import show
from tacit.modalities.demo import Demo
from tacit.modalities.series import raw
from tacit.modalities.series.synthetic import motions
from tacit.reporting.pictures import shrunk

SMALL = {"encoder.width": 8, "encoder.depth": 2}


def series(kind: str, count: int = 80) -> tuple[np.ndarray, np.ndarray]:
    x, y = motions(count, length=32, channels=2)
    numbers = np.stack([x.mean((1, 2)), x.std((1, 2))], 1)
    return x, {"numbers": numbers, "several": numbers > numbers.mean(0), "classes": y}[kind]


@pytest.mark.parametrize(("kind", "metric"), [("numbers", "R2"), ("several", "mean average precision")])
def test_evaluation_and_report(kind: str, metric: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = series(kind)
    run = tacit.pretrain(data, steps=2, batch_size=8, modality="series", out=tmp_path / "run", quiet=True, **SMALL)
    np.savez(tmp_path / "data.npz", x=data[0], y=data[1])
    assert main(["evaluate", str(run.folder), str(tmp_path / "data.npz"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == metric
    assert result["targets"] == 2
    assert set(result["score"]) == {"raw", "random", "trained"}
    assert "knn" not in result
    assert main(["evaluate", str(run.folder), str(tmp_path / "data.npz")]) == 0
    assert f"{metric} of a linear probe" in capsys.readouterr().out
    page = run.report().read_text(encoding="utf-8")
    assert f"{metric} of a linear probe" in page
    assert f"reaches {metric} {result['score']['trained']['value']:.3f}" in page


def test_methods_that_learn_classes_refuse_numbers(tmp_path: Path) -> None:
    with pytest.raises(tacit.TacitError, match="learns from classes"):
        tacit.pretrain(series("numbers"), "supcon", steps=1, modality="series", out=tmp_path / "run", quiet=True)


def test_no_group_is_learned_from_and_tested_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = series("classes")
    group = np.arange(80) % 8
    run = tacit.pretrain(x, steps=1, batch_size=8, modality="series", out=tmp_path / "run", quiet=True, **SMALL)
    seen: dict[str, torch.Tensor] = {}

    def remember(train: dict[str, torch.Tensor], test: dict[str, torch.Tensor], *_: object, **__: object) -> object:
        seen.update(train=train["raw"], test=test["raw"])
        return {"rankme": {"projection": 1.0}, "warnings": []}

    monkeypatch.setattr("tacit.evaluation.suite.evaluate", remember)
    run.evaluate((x, y, group))
    source = run.open(x)
    rows = raw(run.evaluation_view()(source.batch(torch.arange(80)))[0])
    of = [{int(group[(rows - row).abs().sum(1).argmin()]) for row in seen[part]} for part in ("train", "test")]
    assert not of[0] & of[1]
    assert len(seen["test"]) == 20


@pytest.mark.parametrize("method", ["gedi", "tldr", "dispersive", "ibot", "i-jepa"])
def test_methods_for_samples_of_one_shape_say_so(method: str, tmp_path: Path) -> None:
    x, _ = motions(20, length=32, channels=2, ragged=True)
    with pytest.raises(tacit.TacitError, match=f"{method} needs samples that are tensors of one shape"):
        tacit.pretrain(x, method, steps=1, batch_size=8, modality="series", out=tmp_path / "run", quiet=True)


def test_a_demo_of_numbers_tells_score_and_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = series("numbers"), series("numbers", 40)
    declared = Demo("Made up.", lambda seed: parts, epochs=1, batch_size=16, options=SMALL)
    monkeypatch.setattr("tacit.modalities.series.demo.DEMO", declared)
    assert main(["demo", "--modality", "series", "--json", "--out", str(tmp_path / "run")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == "R2"
    assert set(result["score"]) == {"raw", "random", "trained"}
    assert (result["modality"], result["seed"]) == ("series", 0)
    assert Path(result["report"]).is_file()
    show(result)
    out = capsys.readouterr().out
    assert "Made up." in out
    assert "R2" in out


def test_pictures_shrink_by_whole_blocks() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (3, 9, 8, 3), dtype=np.uint8)
    assert shrunk(stored, 9) is stored
    small = shrunk(stored, 4)
    assert small.shape == (3, 3, 3, 3)
    np.testing.assert_allclose(small[1, 0, 0], stored[1, :3, :3].mean((0, 1)), atol=0.5)
