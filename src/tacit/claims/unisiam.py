"""UniSiam (Lu et al. 2022): pretraining without labels for few-shot classification of new classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, trained
from tacit.data import Batch
from tacit.evaluation.few_shot import few_shot
from tacit.evaluation.geometry import spread
from tacit.methods.base import Method
from tacit.run import Run

OPTIONS: dict[str, Any] = {"batch_size": 64, "epochs": 15, "lr": 2e-3, "encoder.width": 16, **GENTLE}
EPISODES = 300
BASE = 5
"""Digits below are trained on; the others are new."""


class Supervised(Method):
    """Cross-entropy on the labels of the base classes."""

    recipe: ClassVar[str] = "pair"
    uses_labels: ClassVar[bool] = True

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(self.dim, BASE)

    def loss(self, batch: Batch) -> Tensor:
        logits = self.head(torch.cat(self.encode(*batch["views"])))
        return nn.functional.cross_entropy(logits.float(), batch["y"].repeat(2))


@experiment(
    name="unisiam",
    statement="Uniformity beside alignment makes an encoder that never saw a label better at new classes from few "
    "samples than SimSiam's.",
    baseline="simsiam",
    method="unisiam",
    metric="5-way 5-shot accuracy on new classes, %",
    data="scattered digits 0 to 4, 15 to 20 pixels at 20×20, to train on without labels (about 1,250); 5 to 9 of other "
    "writers in 300 episodes",
    seeds=(0, 1, 2, 3, 4),
)
def unisiam(trial: Trial) -> Result:
    data = digits(trial.seed, train=2500, test=2000, size=20, scale=(1.9, 2.5))
    base, novel = data.y < BASE, data.y_test >= BASE
    x, y = data.x[base], data.y[base]
    shared = OPTIONS | {"seed": trial.seed}

    def shots(embeddings: np.ndarray) -> dict[str, float]:
        rows = {}
        for count in (1, 5):
            found = few_shot(embeddings, data.y_test[novel], shots=count, episodes=EPISODES, seen=y, seed=trial.seed)
            rows[f"{count}_shot"] = 100 * found.accuracy
            rows[f"{count}_shot_interval"] = 100 * (found.high - found.accuracy)
        return rows | {"spread": spread(embeddings)}

    def measure(run: Run) -> dict[str, float]:
        return shots(run.embed(data.test[novel]))

    def blank(run: Run) -> dict[str, float]:
        return shots(torch.cat(list(run.stream(run.open(data.test[novel]), run.random_encoder()))).numpy())

    heads = {"hidden": 256}
    arms: dict[str, dict[str, float]] = {
        "simsiam": trained(x, "simsiam", measure, **shared, **heads, out=256, bottleneck=64),
        "unisiam": trained(x, "unisiam", measure, **shared, **heads),
        "random": trained(x, "simsiam", blank, **(shared | {"epochs": 1})),
    }
    others: dict[str, Callable[[], dict[str, float]]] = {
        "unisiam_temperature_0.2": lambda: trained(x, "unisiam", measure, **shared, **heads, temperature=0.2),
        "supervised": lambda: trained((x, y), Supervised, measure, **shared),
    }
    if trial.seed == 0:
        arms |= {name: run() for name, run in others.items()}
    return Result(arms["simsiam"]["5_shot"], arms["unisiam"]["5_shot"], arms)
