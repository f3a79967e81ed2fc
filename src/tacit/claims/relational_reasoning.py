"""Relational reasoning (Patacchiola & Storkey 2020): pairs of views as binary questions, against a pretext task."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained
from tacit.data import Batch
from tacit.evaluation.probe import linear_probe
from tacit.methods.base import Method
from tacit.run import Run

OPTIONS = {"batch_size": 64, "epochs": 8, "lr": 1e-3, "views.flip": 0.0, "encoder.width": 16}


class Rotation(Method):
    """Which of four quarter turns was a view given? As many passes as four views take."""

    recipe: ClassVar[str] = "quartet"

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__(encoder)
        self.classifier = nn.Linear(self.dim, 4)

    def loss(self, batch: Batch) -> Tensor:
        turned = [torch.rot90(view["x"], k, (2, 3)) for k, view in enumerate(batch["views"])]
        logits = self.classifier(self.encoder(torch.cat(turned)))
        target = torch.arange(4, device=logits.device).repeat_interleave(len(turned[0]))
        return functional.cross_entropy(logits, target)


@experiment(
    name="relational-reasoning",
    statement="Telling pairs of views of one image from pairs of two teaches more than telling rotations apart.",
    baseline="rotation pretext",
    method="relational-reasoning, four views",
    metric="linear probe accuracy, %",
    data="2,000 scattered digits at 24×24 without clutter, 1,000 of other writers to test",
)
def relational_reasoning(trial: Trial) -> Result:
    data = digits(trial.seed, train=2000)
    shared = OPTIONS | {"seed": trial.seed}

    def measure(run: Run) -> float:
        return probed(data)(run)

    def random(run: Run) -> float:
        spaces = [torch.cat(list(run.stream(run.open(x), run.random_encoder()))) for x in (data.x, data.test)]
        return 100 * linear_probe(spaces[0], data.y, spaces[1], data.y_test).accuracy

    rotation = trained(data.x, Rotation, measure, **shared)
    relation = trained(data.x, "relational-reasoning", measure, **shared)
    notes: dict[str, object] = {}
    if trial.seed == 0:
        notes["random_encoder"] = trained(data.x, Rotation, random, **(shared | {"epochs": 1}))
        counts = {k: shared | {"views.count": k} for k in (2, 8)}
        notes["linear_by_views_at_equal_steps"] = {"4": relation} | {
            str(k): trained(data.x, "relational-reasoning", measure, **options) for k, options in counts.items()
        }
    return Result(rotation, relation, notes)
