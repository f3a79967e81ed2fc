"""PAL (Cabannes et al. 2023): a few answers to "are these two alike?" go a long way."""

from __future__ import annotations

from typing import Any

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained, untrained
from tacit.run import Run

OPTIONS = {
    "batch_size": 128, "epochs": 25, "lr": 3e-3, "encoder.width": 24, "hidden": 256, "views.flip": 0.0,
    "views.crop_scale": (0.4, 1.0),
}  # fmt: skip
ARMS: dict[str, dict[str, Any]] = {
    "views alone": {"queries": 0.0},
    "active, 3 a sample": {"queries": 3.0, "rule": "active"},
}
FIRST: dict[str, dict[str, Any]] = {
    "passive, 3 a sample": {"queries": 3.0, "rule": "passive"},
    "star, 1 a sample": {"queries": 1.0, "rule": "star"},
    "active, 1 a sample": {"queries": 1.0, "rule": "active"},
    "all labels": {"queries": 0.0, "labels": True},
}
"""More arms for the first seed alone."""


@experiment(
    name="pal",
    statement="Three answers a sample about who is alike, actively chosen, beat views alone.",
    baseline="pal with views alone (queries=0)",
    method="pal, rule active, three questions a sample",
    metric="linear probe accuracy, %",
    data="1,000 scattered digits of 14 to 21 pixels at 24×24 without clutter, 2,000 of other writers to test; labels "
    "as oracle",
    seeds=(0, 1, 2, 3, 4),
)
def pal(trial: Trial) -> Result:
    data = digits(trial.seed, train=1000, test=2000, scale=(1.8, 2.6))

    def measure(run: Run) -> dict[str, float]:
        group: Any = run.method.group
        same = float((group[:, None] == group).sum() - len(group)) / len(group)
        return {"linear": probed(data)(run), "alike_a_sample": same}

    labelled: Any = (data.x, data.y)
    chosen = ARMS | (FIRST if trial.seed == 0 else {})
    arms: dict[str, Any] = {
        name: trained(labelled, "pal", measure, **OPTIONS, **options, seed=trial.seed)
        for name, options in chosen.items()
    }
    notes = {"arms": arms}
    if trial.seed == 0:
        notes["untrained"] = trained(data.x, "pal", untrained(data), **(OPTIONS | {"epochs": 1, "queries": 0.0}))
    return Result(arms["views alone"]["linear"], arms["active, 3 a sample"]["linear"], notes)
