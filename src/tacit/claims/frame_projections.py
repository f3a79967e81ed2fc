"""Frame projections (2025): three bases of a series as views, against augmented views."""

from __future__ import annotations

from typing import Any

import numpy as np

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.evaluation.probe import linear_probe
from tacit.modalities.series.synthetic import bursts
from tacit.run import Run

TRAIN, TEST, LENGTH = 1200, 800, 96
NOISE = 0.2
COMMON: dict[str, Any] = {
    "epochs": 24, "batch_size": 64, "lr": 2e-3, "precision": "32-true", "watch_every": 1000, "modality": "series",
    "encoder.width": 24, "encoder.depth": 6, "encoder.dim": 64,
}  # fmt: skip
BASES: dict[str, Any] = {"scales": 16, "width": 2, "out": 64}
JITTER: dict[str, Any] = {
    "views.crop": 0.0, "views.time-mask": 0.0, "views.jitter.sigma": 0.3, "views.jitter": 1.0, "views.scaling": 1.0,
    "temperature": 0.15,
}  # fmt: skip


@experiment(
    name="frame-projections",
    statement="An encoder that learned from three bases of unchanged series, with what it maps to the other two, is "
    "better than one that learned from noisy and scaled series.",
    baseline="simclr on jitter and scaling, same encoder",
    method="frame projections, three bases, mapped features",
    metric="linear-probe accuracy, %",
    data="1,200 made-up windows of eight classes (frequency, length of a burst, its direction), each standardised by "
    "itself; 800 others to test",
)
def frame_projections(trial: Trial) -> Result:
    (x, y), (test, y_test) = (_windows(n, 2 * trial.seed + i) for i, n in enumerate((TRAIN, TEST)))

    def accuracy(one: Any, other: Any) -> float:
        return 100 * linear_probe(one, y, other, y_test, seed=trial.seed).accuracy

    def probed(run: Run) -> float:
        return accuracy(run.embed(x), run.embed(test))

    def parted(run: Run) -> dict[str, float]:
        one, other = run.embed(x), run.embed(test)
        middle = slice(64, 128)
        return {"all": accuracy(one, other), "series alone": accuracy(one[:, middle], other[:, middle])}

    common = COMMON | {"seed": trial.seed}
    plain = trained(x, "simclr", probed, encoder="tcn", **common | JITTER)
    three = trained(x, "frame-projections", parted, **common | BASES)
    raw = accuracy(x.reshape(len(x), -1), test.reshape(len(test), -1))
    return Result(plain, three["all"], {"without mapped features": three["series alone"], "raw": raw})


def _windows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = bursts(count, seed, length=LENGTH, noise=NOISE)
    return (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True), y
