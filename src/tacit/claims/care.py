"""CARE (Gupta et al. 2024): a change of all images acts on the embeddings as a rotation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, linear_r2, tinted, trained
from tacit.evaluation.knn import knn_accuracy
from tacit.evaluation.procrustes import residual, rotation
from tacit.methods.base import embed
from tacit.modalities import modality
from tacit.parts.draws import Draws
from tacit.run import Run

SHARED: dict[str, Any] = {
    "batch_size": 128, "lr": 2e-3, "encoder.width": 16, "hidden": 256, "out": 64,
    **GENTLE, "views.gray": 0.0, "views.hue": 0.2,
}  # fmt: skip
ARMS: dict[str, dict[str, Any]] = {"simclr": {"epochs": 12}, "care": {"epochs": 6, "weight": 0.05, "views.chunk": 16}}
"""CARE sees four views of a sample where SimCLR sees two: half the epochs are the same number of images."""


@experiment(
    name="care",
    statement="With the equivariance term, one change of all images is nearer to one rotation of their embeddings, and "
    "the embeddings keep what the changes change.",
    baseline="simclr, as many images",
    method="care (weight=0.05, chunks of 16)",
    metric="Procrustes residual of unseen images, share of their move",
    better="lower",
    data="1,500 scattered digits of 15 to 20 pixels at 20×20 in a random hue, 600 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
)
def care(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, test=600, size=20, scale=(1.9, 2.5))
    (x, _), (test, hue) = tinted(data.x, trial.seed), tinted(data.test, trial.seed + 1)

    def measure(run: Run) -> dict[str, float]:
        spaces = [run.embed(part) for part in (x, test)]
        left, turned = moves(run, test)
        return {
            "residual": left,
            "turned_degrees": turned,
            "hue_r2": linear_r2(seen(run, test), hue),
            "knn": 100 * knn_accuracy(spaces[0], data.y, spaces[1], data.y_test, k=10),
        }

    arms = {name: trained(x, name, measure, **SHARED, **own, seed=trial.seed) for name, own in ARMS.items()}
    return Result(arms["simclr"]["residual"], arms["care"]["residual"], arms)


@torch.no_grad()
def moves(run: Run, x: np.ndarray, changes: int = 12) -> tuple[float, float]:
    """How much of the move of the projections is no rotation, on images that the rotation was not fitted to, and the
    rotation's mean angle in degrees; means over changes."""
    own = {key.removeprefix("views."): value for key, value in SHARED.items() if key.startswith("views.")}
    views = modality("image").make_views("pair-and-shared", run.spec, **own, chunk=len(x))
    batch = run.open(x).batch(torch.arange(len(x)))
    half, rows = len(x) // 2, []
    for change in range(changes):
        z1, z2 = (projected(run, view) for view in views(batch, Draws.seeded(change))[2:])
        found = rotation(z1[:half], z2[:half])
        angle = torch.linalg.eigvals(found).angle().abs().mean().rad2deg()
        rows.append((residual(z1[half:], z2[half:], found), float(angle)))
    first, second = np.mean(rows, 0)
    return float(first), float(second)


@torch.no_grad()
def seen(run: Run, x: np.ndarray) -> Tensor:
    """Projections of the evaluation view."""
    return projected(run, run.evaluation_view()(run.open(x).batch(torch.arange(len(x))))[0])


def projected(run: Run, view: dict[str, Any]) -> Tensor:
    """Projections of a view at unit length."""
    assert run.method.projector is not None
    return torch.nn.functional.normalize(run.method.projector(embed(run.method.encoder, view)).float())
