"""TERA (Liu et al. 2020): frames restored after alteration, against the frames themselves."""

from __future__ import annotations

from typing import Any

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.spoken import DATA, heard, probed, spoken_digits, surface
from tacit.run import Run

OPTIONS: dict[str, Any] = {
    "encoder.width": 64, "encoder.depth": 2, "encoder.heads": 2, "batch_size": 64, "lr": 1e-3, "precision": "32-true",
}  # fmt: skip
STEPS = 250


@experiment(
    name="tera",
    statement="Frozen features of an encoder that restores altered frames tell digits better than the spectrum does.",
    baseline="mean and deviation of the log spectrum over time",
    method="TERA, mean over frames (all three alterations)",
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
    alone = {**OPTIONS, "method.frequency": 0.0, "method.magnitude": 0.0}
    found["time alone"] = heard(
        data, "tera", "frames", lambda run: probed(data, run, trial.seed), seed=trial.seed, steps=STEPS, **alone
    )
    return Result(found.pop("surface"), everything, found)
