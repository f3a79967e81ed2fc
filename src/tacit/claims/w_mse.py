"""W-MSE (Ermolov et al. 2021): whitening in the place of negatives."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained
from tacit.evaluation.geometry import spread
from tacit.evaluation.knn import knn_accuracy
from tacit.methods.redundancy.w_mse import WMSE
from tacit.run import Run

OPTIONS = {"batch_size": 128, "lr": 4e-3, "views.flip": 0.0}
TWO = {"epochs": 8}
FOUR = {"epochs": 4, "views.count": 4}
"""Half the epochs of twice the views: as many images seen."""


class Unwhitened(WMSE):
    """The distance of the views alone."""

    def compare(self, *projections: Tensor) -> Tensor:
        first, second = projections
        return functional.mse_loss(first, second)


@experiment(
    name="w-mse",
    statement="Whitening replaces negatives: with four views the probe is not more than 2 points below SimCLR's at as "
    "many images seen, while the same distance without whitening collapses.",
    baseline="simclr (2 views)",
    method="w-mse (4 views, out=32)",
    metric="linear probe accuracy, %",
    data="1,500 scattered digits of 14 to 19 pixels at 20×20 without clutter, 1,000 of other writers to test",
    margin=-2.0,
)
def w_mse(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, size=20, scale=(1.7, 2.4))
    shared = OPTIONS | {"seed": trial.seed}
    whitened = shared | {"out": 32, "size": 64}

    def measure(run: Run) -> dict[str, float]:
        spaces = run.embed(data.x), run.embed(data.test)
        knn = 100 * knn_accuracy(spaces[0], data.y, spaces[1], data.y_test, k=5)
        return {"linear": probed(data)(run), "knn": knn, "spread": spread(spaces[1])}

    arms: dict[str, Any] = {
        "simclr": trained(data.x, "simclr", measure, **shared, **TWO),
        "w_mse_4": trained(data.x, "w-mse", measure, **whitened, **FOUR),
    }
    if trial.seed == 0:
        arms["w_mse_2"] = trained(data.x, "w-mse", measure, **whitened, **TWO)
        arms["without_whitening"] = trained(data.x, Unwhitened, measure, **whitened, **TWO)
    return Result(arms["simclr"]["linear"], arms["w_mse_4"]["linear"], arms)
