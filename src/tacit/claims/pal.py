"""PAL (Cabannes et al. 2023): a few answers to "are these two alike?" go a long way."""

from __future__ import annotations

from typing import Any

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained
from tacit.run import Run

OPTIONS = {"batch_size": 128, "epochs": 10, "lr": 2e-3, "hidden": 256, "views.flip": 0.0, "encoder.width": 16}
ARMS: dict[str, dict[str, Any]] = {
    "views alone": {"queries": 0.0},
    "passive, 3 a sample": {"queries": 3.0, "rule": "passive"},
    "star, 1 a sample": {"queries": 1.0, "rule": "star"},
    "active, 1 a sample": {"queries": 1.0, "rule": "active"},
    "active, 3 a sample": {"queries": 3.0, "rule": "active"},
    "all labels": {"queries": 0.0, "labels": True},
}


@experiment(
    name="pal",
    statement="Three answers a sample about who is alike, actively chosen, beat views alone.",
    baseline="pal with views alone (queries=0)",
    method="pal, rule active, three questions a sample",
    metric="linear probe accuracy, %",
    data="2,000 scattered digits at 24×24 without clutter, 1,000 of other writers to test; labels as oracle",
)
def pal(trial: Trial) -> Result:
    data = digits(trial.seed, train=2000)

    def measure(run: Run) -> dict[str, float]:
        group: Any = run.method.group
        same = float((group[:, None] == group).sum() - len(group)) / len(group)
        return {"linear": probed(data)(run), "alike_a_sample": same}

    labelled: Any = (data.x, data.y)
    arms = {
        name: trained(labelled, "pal", measure, **OPTIONS, **options, seed=trial.seed) for name, options in ARMS.items()
    }
    return Result(arms["views alone"]["linear"], arms["active, 3 a sample"]["linear"], {"arms": arms})
