"""CARE (Gupta et al. 2024): a change of all images acts on the embeddings as a rotation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, trained
from tacit.evaluation.knn import knn_accuracy
from tacit.evaluation.procrustes import residual, rotation
from tacit.methods.base import embed
from tacit.modalities import modality
from tacit.parts.draws import Draws
from tacit.run import Run

SHARED: dict[str, Any] = {
    "batch_size": 128, "lr": 2e-3, "hidden": 256, "out": 64, "views.flip": 0.0, "views.gray": 0.0, "views.hue": 0.2,
}  # fmt: skip
ARMS: dict[str, dict[str, Any]] = {"simclr": {"epochs": 12}, "care": {"epochs": 6, "weight": 0.05, "views.chunk": 16}}
"""CARE sees four views of a sample where SimCLR sees two: half the epochs are the same number of images."""


def tinted(images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey images in a random hue: uint8 ``[N, 3, H, W]``, and the hue as a point on the circle, ``[N, 2]``."""
    hue = np.random.default_rng(seed).uniform(0, 1, len(images))
    distance = np.abs((hue[:, None] * 6 - np.array([0.0, 2.0, 4.0]) + 3) % 6 - 3)
    colour = np.clip(2 - distance, 0, 1)[:, :, None, None]
    return (images * (0.25 + 0.75 * colour)).astype(np.uint8), np.stack(
        [np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)], 1
    )


@experiment(
    name="care",
    statement="With the equivariance term, one change of all images is nearer to one rotation of their embeddings, and "
    "the embeddings keep what the changes change.",
    baseline="simclr, as many images",
    method="care (weight=0.05, chunks of 16)",
    metric="Procrustes residual of unseen images, share of their move",
    better="lower",
    data="2,000 scattered digits at 20×20 in a random hue, 600 of other writers to test",
)
def care(trial: Trial) -> Result:
    data = digits(trial.seed, train=2000, test=600, size=20)
    (x, _), (test, hue) = tinted(data.x, trial.seed), tinted(data.test, trial.seed + 1)

    def measure(run: Run) -> dict[str, float]:
        spaces = [run.embed(part) for part in (x, test)]
        return {
            "residual": moves(run, test)[0],
            "turned_degrees": moves(run, test)[1],
            "hue_r2": hue_from(run, test, hue),
            "knn": 100 * knn_accuracy(spaces[0], data.y, spaces[1], data.y_test, k=10),
        }

    arms = {name: trained(x, name, measure, **SHARED, **own, seed=trial.seed) for name, own in ARMS.items()}
    return Result(arms["simclr"]["residual"], arms["care"]["residual"], arms)


@torch.no_grad()
def moves(run: Run, x: np.ndarray, changes: int = 12) -> tuple[float, float]:
    """How much of the move of the projections is no rotation, on images that the rotation was not fitted to, and the
    rotation's mean angle in degrees; means over changes."""
    views = modality("image").make_views("pair-and-shared", run.spec, flip=0.0, gray=0.0, hue=0.2, chunk=len(x))
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
def hue_from(run: Run, x: np.ndarray, hue: np.ndarray) -> float:
    """R² of a ridge regression of the hue from projections, on the half of the images that it was not fitted to."""
    batch = run.open(x).batch(torch.arange(len(x)))
    z = projected(run, run.evaluation_view()(batch)[0]).double()
    z = torch.cat([z, torch.ones(len(z), 1, dtype=z.dtype)], 1)
    wanted, half = torch.from_numpy(hue), len(z) // 2
    ridge = 1e-3 * half * torch.eye(z.shape[1], dtype=z.dtype)
    weights = torch.linalg.solve(z[:half].T @ z[:half] + ridge, z[:half].T @ wanted[:half])
    error = (z[half:] @ weights - wanted[half:]).square().sum()
    return float(1 - error / (wanted[half:] - wanted[half:].mean(0)).square().sum())


def projected(run: Run, view: dict[str, Any]) -> Tensor:
    """Projections of a view at unit length."""
    assert run.method.projector is not None
    return torch.nn.functional.normalize(run.method.projector(embed(run.method.encoder, view)).float())
