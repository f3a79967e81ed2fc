"""TriBYOL (Li et al. 2022): three views at small batches, against BYOL that sees as many views."""

from __future__ import annotations

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained

SHARED = {
    "batch_size": 16, "lr": 1e-3, "method.momentum": 0.99, "hidden": 256, "out": 128, "views.flip": 0.0,
    "encoder.width": 16,
}  # fmt: skip
EPOCHS = 8


@experiment(
    name="tribyol",
    statement="In batches of 16, three views at a time teach more than two views in half as many steps again.",
    baseline="byol, 1.5 times the steps",
    method="tribyol",
    metric="linear probe accuracy, %",
    data="1,500 scattered digits at 20×20 without clutter, 1,000 of other writers to test",
)
def tribyol(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, size=20)
    measure = probed(data)
    byol = trained(data.x, "byol", measure, views="pair", **SHARED, epochs=EPOCHS * 3 // 2, seed=trial.seed)
    three = trained(data.x, "tribyol", measure, **SHARED, epochs=EPOCHS, seed=trial.seed)
    same = trained(data.x, "byol", measure, views="pair", **SHARED, epochs=EPOCHS, seed=trial.seed)
    return Result(byol, three, {"byol_with_as_many_steps": same})
