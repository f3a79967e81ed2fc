"""Relational reasoning (Patacchiola & Storkey 2020): pairs of views as binary questions, against a pretext task."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained, untrained
from tacit.data import Batch
from tacit.methods.base import Method

OPTIONS = {
    "batch_size": 64, "epochs": 15, "lr": 2e-3, "encoder.width": 16, "views.flip": 0.0, "views.crop_scale": (0.4, 1.0),
}  # fmt: skip
BEFORE = (
    "8 epochs on 2,000 digits of 12 to 16 pixels, lr 1e-3, seeds 0 to 2: 32.3 against 31.7, difference -0.5 "
    "[-5.1, +4.1]: neither had learned"
)


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
    data="1,000 scattered digits of 14 to 21 pixels at 24×24 without clutter, 2,000 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
)
def relational_reasoning(trial: Trial) -> Result:
    data = digits(trial.seed, train=1000, test=2000, scale=(1.8, 2.6))
    shared = OPTIONS | {"seed": trial.seed}
    rotation = trained(data.x, Rotation, probed(data), **shared)
    relation = trained(data.x, "relational-reasoning", probed(data), **shared)
    notes: dict[str, object] = {}
    if trial.seed == 0:
        notes["tried_before"] = BEFORE
        notes["untrained"] = trained(data.x, Rotation, untrained(data), **(shared | {"epochs": 1}))
        counts = {k: shared | {"views.count": k} for k in (2, 8)}
        notes["linear_by_views_at_equal_steps"] = {"4": relation} | {
            str(k): trained(data.x, "relational-reasoning", probed(data), **options) for k, options in counts.items()
        }
    return Result(rotation, relation, notes)
