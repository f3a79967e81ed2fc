"""CoLES (Babaev et al. 2022): slices of a history as positives, against random subsets of its events."""

from __future__ import annotations

from typing import Any

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.modalities.events.synthetic import habits
from tacit.run import Run

TRAIN, TEST = 800, 500
OPTIONS = {
    "encoder": "gru", "batch_size": 64, "epochs": 12, "lr": 2e-3, "encoder.width": 64, "views.low": 15,
    "views.high": 60, "precision": "32-true", "modality": "events",
}  # fmt: skip


@experiment(
    name="coles",
    statement="Slices of a history as positives beat random subsets of its events where order matters.",
    baseline="coles on random subsets",
    method="coles on slices",
    metric="linear probe accuracy %",
    data="made-up logs of 800 persons with 5 habits, 500 others to test; counts and averages do not tell the habit",
    seeds=(0, 1, 2),
)
def coles(trial: Trial) -> Result:
    train = habits(TRAIN, 2 * trial.seed, order=0.5, week=0.6)
    test = habits(TEST, 2 * trial.seed + 1, order=0.5, week=0.6, first=TRAIN)

    def measure(run: Run) -> dict[str, Any]:
        found = run.evaluate(train, test, seed=trial.seed)
        return {arm: 100 * found["linear"][arm]["accuracy"] for arm in ("raw", "random", "trained")}

    arms = {views: trained(train, "coles", measure, views=views, seed=trial.seed, **OPTIONS) for views in ARMS}
    subsets, slices = (arms[views]["trained"] for views in ARMS)
    return Result(subsets, slices, {"counts": arms["slices"]["raw"], "random_encoder": arms["slices"]["random"]})


ARMS = ("subsets", "slices")
