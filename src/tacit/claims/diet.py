"""DIET (Ibrahim et al. 2024): on little data a class a sample learns about as much as contrast."""

from __future__ import annotations

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained

SHARED = {"batch_size": 64, "lr": 2e-3, "views.flip": 0.0, "encoder.width": 16}
EPOCHS = 60


@experiment(
    name="diet",
    statement="On little data telling samples apart by a linear classifier is within 3 points of contrasting views, or "
    "above, at as many views seen.",
    baseline="simclr",
    method="diet (smoothing=0.8)",
    metric="linear probe accuracy, %",
    data="1,000 scattered digits at 20×20 without clutter, 1,000 of other writers to test",
    margin=-3.0,
)
def diet(trial: Trial) -> Result:
    data = digits(trial.seed, train=1000, size=20)
    measure = probed(data)
    # SimCLR sees two views of a sample at a time.
    simclr = trained(data.x, "simclr", measure, **SHARED, epochs=EPOCHS // 2, seed=trial.seed)
    smooth, plain = (
        trained(data.x, "diet", measure, **SHARED, epochs=EPOCHS, smoothing=a, seed=trial.seed) for a in (0.8, 0.0)
    )
    notes = {"without_smoothing": plain, "weights_of_the_classifier": len(data.x) * 8 * SHARED["encoder.width"]}
    return Result(simclr, smooth, notes)
