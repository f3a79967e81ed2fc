"""GEDI (Sansone & Manhaeve 2023): the density keeps clusters from cutting through the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor, nn

from tacit.claims.harness import Result, Trial, experiment
from tacit.methods.clustering.gedi import GEDI
from tacit.parts.draws import Draws

STEPS, BATCH, SIGMA = 1000, 200, 0.03
LANGEVIN: dict[str, Any] = {"langevin_steps": 12, "langevin_step": 0.01, "langevin_noise": 0.02**0.5}
"""The noise's variance is twice the step: samples are those of the density itself, not of a power of it."""


class Net(nn.Sequential):
    """A plain network on points of the plane."""

    dim = 100

    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 100), nn.LeakyReLU(), nn.Linear(100, 100), nn.LeakyReLU())


@experiment(
    name="gedi",
    statement="Two moons are found as clusters when the clusters are also a density of the data, not by invariance and "
    "equal use alone.",
    baseline="invariance and prior alone (generative=0)",
    method="gedi",
    metric="normalised mutual information, %",
    data="1,000 points of two moons, standardised; the view adds noise of 0.03",
)
def gedi(trial: Trial) -> Result:
    points, labels = make_moons(1000, noise=0.05, random_state=trial.seed)
    points = (points - points.mean(0)) / points.std(0)
    x = torch.from_numpy(points).float()
    found = {name: clusters(x, weight, trial.seed) for name, weight in (("alone", 0.0), ("gedi", 1.0))}
    found["k-means"] = KMeans(2, n_init=5, random_state=trial.seed).fit_predict(points)
    scores = {name: 100 * float(normalized_mutual_info_score(labels, y)) for name, y in found.items()}
    return Result(scores["alone"], scores["gedi"], {"k_means": scores["k-means"]})


def clusters(x: Tensor, generative: float, seed: int) -> np.ndarray:
    """Which of two clusters each point is in after a training."""
    torch.manual_seed(seed)
    method = GEDI(Net(), clusters=2, generative=generative, hidden=100, **LANGEVIN)
    optimiser = torch.optim.Adam(method.parameters(), 1e-3)
    for step in range(STEPS):
        draws = Draws.seeded(seed, step)
        rows = draws.permutation(len(x))[:BATCH]
        points = x[rows]
        views = [{"x": points}, {"x": points + SIGMA * draws.normal(*points.shape)}]
        optimiser.zero_grad()
        method({"x": points, "index": rows, "views": views})["loss"].backward()
        optimiser.step()
    with torch.no_grad():
        return method.logits(method.encoder(x)).argmax(1).numpy()
