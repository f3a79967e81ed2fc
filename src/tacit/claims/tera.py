"""TERA (Liu et al. 2020): frames restored after alteration, against the frames themselves."""

from __future__ import annotations

from typing import Any

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.spoken import DATA, heard, probed, spoken_digits, surface
from tacit.run import Run

OPTIONS: dict[str, Any] = {
    "encoder.width": 64, "encoder.depth": 2, "encoder.heads": 2, "batch_size": 16, "lr": 2e-3, "precision": "32-true",
    "watch_every": 1000,
}  # fmt: skip
STEPS = 600


@experiment(
    name="tera",
    statement="Frames of an encoder that restores altered ones, averaged over time, tell digits better than the mean "
    "spectrum.",
    baseline="log spectrum, mean over time",
    method="TERA (all three alterations), mean over time",
    metric="linear-probe accuracy for the digit, %",
    data=DATA,
)
def tera(trial: Trial) -> Result:
    data = spoken_digits(trial)
    found: dict[str, float] = {}

    def measure(run: Run) -> float:
        found["surface"] = surface(data, run, trial.seed)
        found["random encoder"] = probed(data, run, trial.seed, random=True)
        return probed(data, run, trial.seed)

    everything = heard(data, "tera", "frames", measure, seed=trial.seed, steps=STEPS, **OPTIONS)
    return Result(found.pop("surface"), everything, found)
