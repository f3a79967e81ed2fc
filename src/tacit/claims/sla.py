"""SLA (Lee et al. 2020): what was done to the image as part of the label, against the label alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tacit import adaptation
from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits

OPTIONS: dict[str, Any] = {
    "batch_size": 64, "epochs": 24, "lr": 2e-3, "encoder.width": 16, "views.flip": 0.0, "views.crop_scale": (0.7, 1.0),
}  # fmt: skip
MODES = ("plain", "augment", "joint")
MORE = ("multi-task", "distilled")
"""Tried with the first seed alone."""


@experiment(
    name="sla",
    statement="Predicting label and rotation together and aggregating over rotated copies beats the label alone, while "
    "asking for the same label from every copy does not.",
    baseline="cross entropy on labels (mode=plain)",
    method="sla, aggregated (mode=joint)",
    metric="accuracy, %",
    data="600 labelled scattered digits of 15 to 20 pixels at 20×20 without clutter, 2,000 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
)
def sla(trial: Trial) -> Result:
    data = digits(trial.seed, train=600, test=2000, size=20, scale=(1.9, 2.5))
    accuracy: dict[str, float] = {}
    for mode in MODES if trial.seed else MODES + MORE:
        with tempfile.TemporaryDirectory() as folder:
            run = adaptation.adapt(
                (data.x, data.y), out=Path(folder, "run"), seed=trial.seed, quiet=True, options=OPTIONS | {"mode": mode}
            )
            found = adaptation.test_accuracy(run, (data.test, data.y_test))["accuracy"]
        accuracy |= {f"{mode}: {way}": 100 * row["accuracy"] for way, row in found.items()}
    return Result(accuracy["plain: single"], accuracy["joint: aggregated"], accuracy)
