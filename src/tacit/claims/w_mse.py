"""W-MSE (Ermolov et al. 2021): whitening in the place of negatives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, probed, trained, untrained
from tacit.evaluation.geometry import spread
from tacit.evaluation.knn import knn_accuracy
from tacit.methods.redundancy.w_mse import WMSE
from tacit.run import Run

OPTIONS: dict[str, Any] = {"batch_size": 128, "lr": 4e-3, "encoder.width": 16, **GENTLE}
WHITENED: dict[str, Any] = {"out": 32, "size": 64}
TWO: dict[str, Any] = {"epochs": 16}
FOUR: dict[str, Any] = {"epochs": 8, "views.count": 4}
"""Half the epochs of twice the views: as many images seen."""


class Unwhitened(WMSE):
    """The distance of the views alone."""

    def compare(self, *projections: Tensor) -> Tensor:
        first, second = projections
        return functional.mse_loss(first, second)


@experiment(
    name="w-mse",
    statement="Whitening replaces negatives: with four views the probe is not more than 2 points below SimCLR's at as "
    "many images seen. (Without whitening the same distance shrinks the projections at once, but in a training as "
    "short as this one the embeddings do not collapse.)",
    baseline="simclr (2 views)",
    method="w-mse (4 views, out=32)",
    metric="linear probe accuracy, %",
    data="1,500 scattered digits of 15 to 20 pixels at 20×20 without clutter, 2,000 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
    margin=-2.0,
)
def w_mse(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, test=2000, size=20, scale=(1.9, 2.5))
    shared = OPTIONS | {"seed": trial.seed}
    whitened = shared | WHITENED

    def measure(run: Run) -> dict[str, float]:
        spaces = run.embed(data.x), run.embed(data.test)
        knn = 100 * knn_accuracy(spaces[0], data.y, spaces[1], data.y_test, k=5)
        assert run.method.projector is not None
        with torch.no_grad():
            z = run.method.projector(torch.from_numpy(spaces[1]))
        widths = {"spread": spread(spaces[1]), "projection_deviation": float(z.std(0).mean())}
        return {"linear": probed(data)(run), "knn": knn} | widths

    arms: dict[str, Any] = {
        "simclr": trained(data.x, "simclr", measure, **shared, **TWO),
        "w_mse_4": trained(data.x, "w-mse", measure, **whitened, **FOUR),
    }
    if trial.seed == 0:
        arms["w_mse_2"] = trained(data.x, "w-mse", measure, **whitened, **TWO)
        arms["without_whitening"] = trained(data.x, Unwhitened, measure, **whitened, **TWO)
        arms["untrained"] = trained(data.x, "simclr", untrained(data), **(shared | {"epochs": 1}))
    return Result(arms["simclr"]["linear"], arms["w_mse_4"]["linear"], arms)
