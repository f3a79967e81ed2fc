"""GroCo (Shvetsova et al. 2023): ordering groups by differentiable sorting, against a softmax over pairs."""

from __future__ import annotations

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, knn_of, probed, trained
from tacit.run import Run

OPTIONS = {"batch_size": 128, "epochs": 12, "lr": 2e-3, "hidden": 256, "views.flip": 0.0, "encoder.width": 16}


@experiment(
    name="groco",
    statement="Ranking views above the ten nearest other samples gives better nearest neighbours than NT-Xent.",
    baseline="simclr, two views",
    method="groco, two views",
    metric="k-NN accuracy (k=20), %",
    data="2,500 scattered digits at 24×24 without clutter, 1,000 of other writers to test",
)
def groco(trial: Trial) -> Result:
    data = digits(trial.seed, train=2500)

    def measure(run: Run) -> dict[str, float]:
        return {"knn": knn_of(run.encoder, run, data, k=20), "linear": probed(data)(run)}

    shared = OPTIONS | {"seed": trial.seed}
    arms = {name: trained(data.x, name, measure, **shared) for name in ("simclr", "groco")}
    four = shared | {"epochs": 6, "views.count": 4}
    arms["groco, four views, as many passes"] = trained(data.x, "groco", measure, **four)
    return Result(arms["simclr"]["knn"], arms["groco"]["knn"], {"arms": arms})
