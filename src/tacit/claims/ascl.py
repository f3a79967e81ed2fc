"""ASCL (Feng & Patras 2022): soft, adaptive neighbours in the queue, against one positive and hard neighbours."""

from __future__ import annotations

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, knn_of, trained
from tacit.run import Run

OPTIONS = {
    "batch_size": 64, "epochs": 12, "lr": 2e-3, "queue": 1024, "neighbours": 5, "hidden": 256, "views.flip": 0.0,
    "encoder.width": 16,
}  # fmt: skip


@experiment(
    name="ascl",
    statement="Counting the key's neighbours in the queue as positives, by likeness and certainty, beats one positive.",
    baseline="ascl with weighting=normal (MoCo)",
    method="ascl",
    metric="k-NN accuracy, %",
    data="2,000 scattered digits at 24×24 without clutter, 1,000 of other writers to test",
)
def ascl(trial: Trial) -> Result:
    data = digits(trial.seed, train=2000)

    def measure(run: Run) -> float:
        return knn_of(run.encoder, run, data)

    arms = {
        weighting: trained(data.x, "ascl", measure, **OPTIONS, weighting=weighting, seed=trial.seed)
        for weighting in ("normal", "hard", "ahcl", "ascl")
    }
    return Result(arms["normal"], arms["ascl"], {"knn": arms})
