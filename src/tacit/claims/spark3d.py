"""Spark3D (Wald et al. 2024): hidden blocks restored before segmenting with few labels, against segmenting at once."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.methods.reconstruction.spark3d import Spark3D
from tacit.modalities.volume.synthetic import STRUCTURES, Phantoms, phantoms
from tacit.parts.visible import UNet
from tacit.run import Run

UNLABELLED, LABELLED, TEST, SIZE = 200, 6, 30, 16
OPTIONS: dict[str, Any] = {
    "steps": 120, "batch_size": 16, "lr": 2e-3, "precision": "32-true", "watch_every": 1000, "encoder.width": 8,
    "encoder.depth": 3, "encoder.norm": "instance", "views.crop.share": (0.7, 1.0),
}  # fmt: skip
STEPS, BATCH, SCRATCH, TUNED = 400, 3, 1e-2, 1e-2
"""Steps of training with labels, volumes in each, and peak learning rates without and with a training before. The paper
has a tenth after one; of 1e-3, 3e-3 and 1e-2 the highest was best for both on seeds that the claim is not run on."""


@experiment(
    name="spark3d",
    statement="A 3-D U-Net that first restored hidden blocks with sparse convolutions segments better after training "
    "with six labelled volumes than one trained on them alone.",
    baseline="trained from random weights",
    method="trained after Spark3D",
    metric="mean Dice of five structures, %",
    data=f"phantom heads of {SIZE}^3 voxels with exact labels: {UNLABELLED} without labels, {LABELLED} with, {TEST} to "
    "test on",
)
def spark3d(trial: Trial) -> Result:
    train, test = (phantoms(n, 2 * trial.seed + i, size=SIZE) for i, n in enumerate((UNLABELLED + LABELLED, TEST)))
    pool = train.volumes[LABELLED:]

    def after(run: Run) -> float:
        assert isinstance(run.method, Spark3D)
        return segmented(run.method.unet(len(STRUCTURES)), run, train, test, trial.seed, "warm-up", TUNED)

    def both(run: Run) -> tuple[float, float]:
        torch.manual_seed(trial.seed)
        fresh = UNet(run.random_encoder(), len(STRUCTURES))
        return segmented(fresh, run, train, test, trial.seed, "at once", SCRATCH), after(run)

    scratch, found = trained(pool, "spark3d", both, modality="volume", seed=trial.seed, **OPTIONS)
    dense = trained(pool, "spark3d", after, modality="volume", seed=trial.seed, **OPTIONS, sparse=False)
    return Result(scratch, found, {"after a dense masked autoencoder": dense})


def segmented(
    net: UNet, run: Run, train: Phantoms, test: Phantoms, seed: int, schedule: Literal["at once", "warm-up"], lr: float
) -> float:
    """Mean Dice, in percent, on test volumes after training with the first :data:`LABELLED` ones.

    ``warm-up``: as in the paper a fifth of the steps trains the decoder alone with a rising learning rate, a fifth all
    with a rising one, and the rest all with a falling one; ``at once``: a tenth rises, the rest falls.
    """
    view = run.evaluation_view()
    x, seen = (view(next(run.open(p.volumes).batches(10**6)))[0]["x"] for p in (train, test))
    y = torch.from_numpy(train.masks.astype(np.int64))
    random = np.random.default_rng([seed, 0x5E6])
    optimiser = torch.optim.AdamW(net.parameters(), lr)
    net.train()
    for step in range(STEPS):
        share, stages = step / STEPS, {"at once": (0.0, 0.1), "warm-up": (0.2, 0.4)}[schedule]
        net.encoder.requires_grad_(share >= stages[0])
        begun = stages[0] if share >= stages[0] else 0.0
        end = stages[1] if share >= stages[0] else stages[0]
        rise = (share - begun + 1 / STEPS) / (end - begun)
        for group in optimiser.param_groups:
            group["lr"] = lr * min(rise, ((1 - share) / (1 - stages[1])) ** 0.9)
        chosen = torch.from_numpy(random.choice(LABELLED, BATCH, replace=False))
        optimiser.zero_grad()
        loss(net(x[chosen]), y[chosen]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 12.0)
        optimiser.step()
    net.eval()
    with torch.no_grad():
        return 100 * dice(net(seen).argmax(1).numpy(), test.masks)


def loss(scores: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy and one minus the soft Dice over the batch, the usual loss for segmentation."""
    share = scores.softmax(1)
    truth = F.one_hot(y, scores.shape[1]).movedim(4, 1)
    axes = (0, 2, 3, 4)
    overlap = 2 * (share * truth).sum(axes) / ((share + truth).sum(axes) + 1e-5)
    return F.cross_entropy(scores, y) + 1 - overlap[1:].mean()


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean over volumes and structures, where there are any, of twice the common voxels over those of both."""
    rows = []
    for number in range(1, len(STRUCTURES)):
        a, b = ((part == number).reshape(len(part), -1) for part in (found, truth))
        both, total = (a & b).sum(1), a.sum(1) + b.sum(1)
        rows += (2 * both[b.any(1)] / total[b.any(1)]).tolist()
    return float(np.mean(rows))
