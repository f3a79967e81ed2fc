"""DIET (Ibrahim et al. 2024): on little data a class a sample learns about as much as contrast."""

from __future__ import annotations

from typing import Any

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, probed, trained, untrained

WIDTH = 16
SHARED: dict[str, Any] = {"batch_size": 64, "lr": 2e-3, "encoder.width": WIDTH, **GENTLE}
EPOCHS = 36


@experiment(
    name="diet",
    statement="On little data telling samples apart by a linear classifier is within 3 points of contrasting views, or "
    "above, at as many views seen.",
    baseline="simclr",
    method="diet (smoothing=0.8)",
    metric="linear probe accuracy, %",
    data="1,000 scattered digits of 15 to 20 pixels at 20×20 without clutter, 2,000 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
    margin=-3.0,
)
def diet(trial: Trial) -> Result:
    data = digits(trial.seed, train=1000, test=2000, size=20, scale=(1.9, 2.5))
    measure = probed(data)
    # SimCLR sees two views of a sample at a time.
    simclr = trained(data.x, "simclr", measure, **SHARED, epochs=EPOCHS // 2, seed=trial.seed)
    smooth = trained(data.x, "diet", measure, **SHARED, epochs=EPOCHS, smoothing=0.8, seed=trial.seed)
    notes: dict[str, Any] = {"weights_of_the_classifier": len(data.x) * 8 * WIDTH}
    if trial.seed == 0:
        notes["without_smoothing"] = trained(data.x, "diet", measure, **SHARED, epochs=EPOCHS, smoothing=0.0)
        notes["untrained"] = trained(data.x, "simclr", untrained(data), **SHARED, epochs=1)
    return Result(simclr, smooth, notes)
