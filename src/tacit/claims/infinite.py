"""The infinite learning-rate schedule (2025): continual pretraining without re-warming."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tacit import api
from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import Digits, digits
from tacit.evaluation.continual import average_accuracy_and_forgetting
from tacit.evaluation.probe import linear_probe
from tacit.run import Run, completed

STEPS = 90
OPTIONS = {
    "batch_size": 64,
    "lr": 1e-3,
    "encoder.width": 96,
    "encoder.depth": 4,
    "encoder.heads": 3,
    "encoder.patch": 4,
}


@experiment(
    name="infinite",
    statement="Over a stream of data sets, a rate that stays constant keeps more than one that is warmed up each time.",
    baseline="repeated warm-up and cosine decay",
    method="infinite schedule, annealed before each test",
    metric="average linear-probe accuracy over all tasks at the end, %",
    data="masked autoencoder, three tasks of scattered digits at 24×24: plain 0-3, inverted 4-6, cluttered 7-9",
)
def infinite(trial: Trial) -> Result:
    stream = tasks(trial.seed)
    matrices = {}
    for schedule in ("cosine", "infinite"):
        matrix = np.full((len(stream), len(stream)), np.nan)
        with tempfile.TemporaryDirectory() as folder:
            earlier: Run | None = None
            for t, task in enumerate(stream):
                earlier = completed(api.pretrain(
                    task.x, "masked-autoencoder", "vit", steps=STEPS, out=Path(folder, str(t)), seed=trial.seed,
                    continue_from=earlier, quiet=True, options=OPTIONS | {"schedule": schedule},
                ))  # fmt: skip
                for i, seen in enumerate(stream[: t + 1]):
                    matrix[t, i] = accuracy(earlier, seen)
        matrices[schedule] = matrix
    found = {name: average_accuracy_and_forgetting(matrix) for name, matrix in matrices.items()}
    notes = {
        name: {"average": row.average, "forgetting": [float(f) for f in row.forgetting], "accuracy_after_task": [
            [None if np.isnan(v) else float(v) for v in line] for line in matrices[name]
        ]}
        for name, row in found.items()
    }  # fmt: skip
    return Result(float(found["cosine"].average), float(found["infinite"].average), notes)


def tasks(seed: int) -> list[Digits]:
    """Three data sets that differ in classes and in looks."""
    rows = []
    for classes, clutter, inverted in (((0, 4), 0, False), ((4, 7), 0, True), ((7, 10), 2, False)):
        drawn = digits(seed, train=2400, test=1000, clutter=clutter, scale=(1.8, 2.6))
        keep, test = (np.isin(y, range(*classes)) for y in (drawn.y, drawn.y_test))
        x, x_test = drawn.x[keep], drawn.test[test]
        rows.append(
            Digits(255 - x if inverted else x, drawn.y[keep], 255 - x_test if inverted else x_test, drawn.y_test[test])
        )
    return rows


def accuracy(run: Run, task: Digits) -> float:
    """Linear-probe accuracy in percent."""
    return 100 * linear_probe(run.embed(task.x), task.y, run.embed(task.test), task.y_test).accuracy
