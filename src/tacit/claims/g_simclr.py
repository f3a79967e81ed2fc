"""G-SimCLR (Chakraborty et al. 2020): batches of different clusters, against random ones."""

from __future__ import annotations

import torch

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained
from tacit.data import order
from tacit.methods.base import Samples
from tacit.methods.contrastive.g_simclr import GSimCLR
from tacit.run import Run

BATCH = 64
OPTIONS = {
    "batch_size": BATCH, "epochs": 20, "lr": 2e-3, "autoencoder_epochs": 5, "encoder.width": 24, "views.flip": 0.0,
    "views.crop_scale": (0.4, 1.0),
}  # fmt: skip
NOTE = (
    "ten classes in batches of 64 collide whatever the clusters: only near duplicates are avoided, and the latents of "
    "five epochs of the autoencoder hardly follow classes (pairs of one class: 9.9% of all, guided 9.8%)"
)


class Unguided(GSimCLR):
    """The same network and loss with random batches."""

    def begin(self, samples: Samples) -> None:
        """No clusters."""


@experiment(
    name="g-simclr",
    statement="Batches without two samples of one cluster make better negatives than random batches.",
    baseline="random batches",
    method="g-simclr, 64 clusters",
    metric="linear probe accuracy, %",
    data="1,000 scattered digits of 14 to 21 pixels at 24×24 without clutter, 2,000 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
)
def g_simclr(trial: Trial) -> Result:
    data = digits(trial.seed, train=1000, test=2000, scale=(1.8, 2.6))
    labels = torch.from_numpy(data.y)

    def measure(run: Run) -> dict[str, float]:
        rows = [order(len(labels), trial.seed, epoch) for epoch in range(5)]
        batches = torch.cat([torch.stack(run.method.arrange(r, BATCH).split(BATCH)[:-1]) for r in rows])
        same = labels[batches][:, :, None] == labels[batches][:, None]
        collisions = float((same.sum((1, 2)) - BATCH).double().mean() / (BATCH * (BATCH - 1)))
        return {"linear": probed(data)(run), "pairs_of_one_class_percent": 100 * collisions}

    shared = OPTIONS | {"seed": trial.seed}
    arms = {kind.__name__: trained(data.x, kind, measure, **shared) for kind in (Unguided, GSimCLR)}
    return Result(arms["Unguided"]["linear"], arms["GSimCLR"]["linear"], {"arms": arms, "note": NOTE})
