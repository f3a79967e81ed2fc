"""Contrastive learning is spectral clustering (Tan et al. 2024): embeddings of a graph, and mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from torch import Tensor
from torch.nn import functional

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained, untrained
from tacit.objectives.learned import Exponential
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import Given

NODES, BLOCKS, WIDTH, INSIDE, BETWEEN, STEPS = 60, 3, 3, 0.5, 0.05, 400
OPTIONS = {
    "batch_size": 128, "epochs": 15, "lr": 3e-3, "encoder.width": 24, "hidden": 256, "out": 64, "views.flip": 0.0,
    "views.crop_scale": (0.4, 1.0),
}  # fmt: skip
PRACTICE, COMPARED = 3, ("gaussian (gamma=2)", "sum", "concatenation")
"""Seeds with which encoders are trained too, and the kernels for those after the first."""
KERNELS: dict[str, dict[str, object]] = {
    "gaussian (gamma=2)": {"mixture": "none", "gamma": 2.0},
    "laplacian (gamma=1)": {"mixture": "none", "gamma": 1.0},
    "sum": {"mixture": "sum"},
    "concatenation": {"mixture": "concatenation"},
    "spectral": {"mixture": "spectral"},
}


@experiment(
    name="kernel-infonce",
    statement="Free embeddings that minimise InfoNCE with a Gaussian kernel have the clusters of spectral clustering.",
    baseline="embeddings as drawn",
    method="embeddings that minimise InfoNCE of the graph",
    metric="adjusted Rand index with normalised spectral clustering",
    data="stochastic block graph of 60 nodes in 3 blocks (edges: 0.5 inside, 0.05 between), embeddings in 3 dimensions",
    seeds=(0, 1, 2, 3, 4),
    margin=0.8,
)
def kernel_infonce(trial: Trial) -> Result:
    rng = np.random.default_rng(trial.seed)
    block = np.arange(NODES) % BLOCKS
    chance = np.where(block[:, None] == block, INSIDE, BETWEEN)
    edges = np.triu(rng.random((NODES, NODES)) < chance, 1)
    graph = (edges | edges.T).astype(np.float64)
    spectral = SpectralClustering(BLOCKS, affinity="precomputed", random_state=trial.seed).fit_predict(graph)
    torch.manual_seed(trial.seed)
    z = torch.randn(NODES, WIDTH).requires_grad_()
    before = agreement(z, spectral, trial.seed)
    objective = Relation(Given(), Exponential(2.0, 1.0), "cross-entropy")
    optimiser = torch.optim.Adam([z], 0.05)
    for _ in range(STEPS):
        loss = objective(z, graph=torch.from_numpy(graph))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    notes: dict[str, Any] = {
        "agreement_with_the_blocks": adjusted_rand_score(block, clusters(z, trial.seed)),
        "cosines_of_principal_angles_with_bottom_eigenvectors": angles(z, graph),
    }
    if trial.seed < PRACTICE:
        notes["linear_probe_on_scattered_digits_%"] = practice(trial.seed)
    return Result(before, agreement(z, spectral, trial.seed), notes)


def practice(seed: int) -> dict[str, float]:
    """Linear-probe accuracies in percent of trainings with each kernel."""
    data = digits(seed, train=1000, test=2000, scale=(1.8, 2.6))
    linear: dict[str, float] = {
        name: trained(data.x, "kernel-infonce", probed(data), **OPTIONS, temperature=0.5, **options, seed=seed)
        for name, options in KERNELS.items()
        if seed == 0 or name in COMPARED
    }
    if seed == 0:
        linear |= trained(data.x, "kernel-infonce", untrained(data), **(OPTIONS | {"epochs": 1}))
    return linear


def clusters(z: Tensor, seed: int) -> np.ndarray:
    unit = functional.normalize(z.detach(), dim=1).numpy()
    return KMeans(BLOCKS, n_init=10, random_state=seed).fit_predict(unit)


def agreement(z: Tensor, labels: np.ndarray, seed: int) -> float:
    return float(adjusted_rand_score(labels, clusters(z, seed)))


def angles(z: Tensor, graph: np.ndarray) -> list[float]:
    """Between the span of the centred embeddings and that of the Laplacian's second and third eigenvectors."""
    degree = graph.sum(1)
    laplacian = np.eye(NODES) - graph / np.sqrt(degree[:, None] * degree)
    bottom = np.linalg.eigh(laplacian)[1][:, 1:BLOCKS]
    unit = functional.normalize(z.detach().double(), dim=1).numpy()
    span = np.linalg.svd(unit - unit.mean(0), full_matrices=False)[0]
    return [float(c) for c in np.linalg.svd(bottom.T @ span, compute_uv=False)]
