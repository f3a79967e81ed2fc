"""Sy-CON (Cha et al. 2023): both losses contrast with negatives of the present and the earlier model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tacit import api
from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import Digits, digits, trained, untrained
from tacit.evaluation.probe import linear_probe
from tacit.methods.base import Method, Samples
from tacit.methods.contrastive.sy_con import SyCON
from tacit.run import Run, completed

TASKS = tuple((2 * t, 2 * t + 1) for t in range(5))
STEPS = 80
OPTIONS = {
    "batch_size": 64, "lr": 2e-3, "queue": 384, "hidden": 256, "encoder.width": 16, "schedule": "constant",
    "teacher_momentum": 0.95, "final_teacher_momentum": 0.99, "views.flip": 0.0, "views.crop_scale": (0.4, 1.0),
}  # fmt: skip
"""The teacher is quick enough for tasks of few steps."""
SEEN = (
    "on another seed fine-tuning ended 0.7 below joint training, and at rates of 2e-3 and 6e-3 the first task's own "
    "probe rose over the later tasks: what two digits teach serves the others, and nothing is forgotten"
)


class FineTune(SyCON):
    """MoCo v2+ on one task after the other: no earlier model is kept."""

    def begin(self, samples: Samples) -> None:
        self.queue.warn_if_capped()


@experiment(
    name="sy-con",
    statement="On a stream of tasks, contrast with the earlier model and its negatives beats training on regardless.",
    baseline="MoCo v2+, task after task",
    method="sy-con",
    metric="linear probe accuracy over all ten digits after the last task, %",
    data="2,000 scattered digits of 14 to 21 pixels at 24×24 without clutter in five tasks of two digits; 2,000 of "
    "other writers to test",
)
def sy_con(trial: Trial) -> Result:
    data = digits(trial.seed, train=2000, test=2000, scale=(1.8, 2.6))
    arms: dict[str, dict[str, float]] = {}
    streams: dict[str, tuple[type[Method], dict[str, Any]]] = {
        "fine-tune": (FineTune, {}),
        "sy-con": (SyCON, {}),
    }
    if trial.seed == 0:
        streams["own negatives only"] = SyCON, {"earlier_in_plasticity": False, "present_in_stability": False}
    for name, (method, options) in streams.items():
        arms[name] = stream(data, method, trial.seed, options)
    notes: dict[str, Any] = {"arms": arms}
    if trial.seed == 0:
        joint = OPTIONS | {"steps": 5 * STEPS}
        notes["looked_at"] = SEEN
        notes["joint"] = trained(data.x, FineTune, lambda run: accuracy(run, data), **joint, seed=trial.seed)
        notes["untrained"] = trained(data.x, FineTune, untrained(data), **(OPTIONS | {"steps": 1}))
    return Result(arms["fine-tune"]["final"], arms["sy-con"]["final"], notes)


def stream(data: Digits, method: type[Method], seed: int, options: dict[str, Any]) -> dict[str, float]:
    """Probes after the last of the tasks, and what the first task's own probe lost since it was trained."""
    with tempfile.TemporaryDirectory() as folder:
        run: Run | None = None
        first = 0.0
        for t, classes in enumerate(TASKS):
            run = completed(api.pretrain(
                data.x[np.isin(data.y, classes)], method, steps=STEPS, out=Path(folder, str(t)), seed=seed,
                continue_from=run, quiet=True, options=OPTIONS | options,
            ))  # fmt: skip
            run = Run(run.folder, method=method)
            if t == 0:
                first = accuracy(run, data, classes)
        assert run is not None
        return {
            "final": accuracy(run, data),
            "first_task_then": first,
            "first_task_now": accuracy(run, data, TASKS[0]),
        }


def accuracy(run: Run, data: Digits, classes: tuple[int, ...] = tuple(range(10))) -> float:
    """Linear-probe accuracy in percent among some digits."""
    train, test = np.isin(data.y, classes), np.isin(data.y_test, classes)
    spaces = run.embed(data.x[train]), run.embed(data.test[test])
    return 100 * linear_probe(spaces[0], data.y[train], spaces[1], data.y_test[test]).accuracy
