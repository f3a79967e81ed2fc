"""MLS (Zhu et al. 2023): several labels for a scene of several objects, against one positive."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.modalities.image.synthetic import scattered_digits
from tacit.run import Run

OPTIONS = {
    "batch_size": 64, "epochs": 10, "lr": 2e-3, "queue": 1024, "hidden": 256, "views.flip": 0.0, "encoder.width": 16,
}  # fmt: skip
MOST = 4


@experiment(
    name="mls",
    statement="On scenes of two to four objects, several labels by nearness beat one positive.",
    baseline="moco-v2",
    method="mls, 5 labels",
    metric="mean average precision of a linear multi-label probe, %",
    data="2,000 scenes of 2 to 4 digits at 32×32, 1,000 of other writers to test",
)
def mls(trial: Trial) -> Result:
    train, test = scenes("train", 2000, trial.seed), scenes("test", 1000, trial.seed)
    shared = OPTIONS | {"seed": trial.seed}

    def measure(run: Run) -> float:
        return mean_precision(run.embed(train[0]), train[1], run.embed(test[0]), test[1])

    def observed(run: Run) -> dict[str, Any]:
        return {"map": measure(run), "jaccard": agreement(run, *train)}

    moco = trained(train[0], "moco-v2", measure, **shared)
    counts = (1, 5, 20) if trial.seed == 0 else (5,)
    arms = {str(k): trained(train[0], "mls", observed, **shared, labels=k) for k in counts}
    return Result(moco, arms["5"]["map"], {"moco-v2": moco, "mls_by_labels": arms})


def scenes(part: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 ``[N, 1, 32, 32]`` of 2 to 4 digits, and which digits: bool ``[N, 10]``."""
    x, y = scattered_digits(part, count * MOST, seed, size=32, clutter=0, scale=(1.0, 1.5))
    x, y = x.reshape(count, MOST, 1, 32, 32), y.reshape(count, MOST)
    there = np.arange(MOST) < np.random.default_rng(seed).integers(2, MOST + 1, (count, 1))
    labels = np.zeros((count, 10), dtype=bool)
    for i in range(MOST):
        labels[there[:, i], y[there[:, i], i]] = True
    return (x * there[:, :, None, None, None]).max(1), labels


def mean_precision(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the labels of the average precision of a ridge regression on standardised embeddings, in percent."""
    from sklearn.metrics import average_precision_score

    mean, spread = train.mean(0), train.std(0) + 1e-6
    a, b = ((rows - mean) / spread for rows in (train, test))
    weights = np.linalg.solve(a.T @ a + 0.01 * len(a) * np.eye(a.shape[1]), a.T @ (labels - labels.mean(0)))
    return 100 * float(np.mean([average_precision_score(truth[:, c], (b @ weights)[:, c]) for c in range(10)]))


def agreement(run: Run, x: np.ndarray, labels: np.ndarray, k: int = 5) -> dict[str, float]:
    """Mean Jaccard index of the objects of a scene and of its ``k`` nearest others, and of random pairs."""
    z = torch.nn.functional.normalize(torch.from_numpy(run.embed(x)), dim=1)
    near = (z @ z.T).fill_diagonal_(-2).topk(k).indices
    there = torch.from_numpy(labels)

    def jaccard(others: torch.Tensor) -> float:
        both, either = there[:, None] & there[others], there[:, None] | there[others]
        return float((both.sum(2) / either.sum(2)).mean())

    chance = torch.randint(len(z), near.shape, generator=torch.Generator().manual_seed(0))
    return {"nearest": jaccard(near), "random_pairs": jaccard(chance)}
