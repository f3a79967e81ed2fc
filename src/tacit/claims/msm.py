"""Masked scene modelling (Hermosilla et al. 2025): deep features of hidden places predicted, against input restored."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.data import Batch
from tacit.evaluation.probe import linear_probe
from tacit.methods.predictive.msm import MSM
from tacit.modalities.points.synthetic import SURFACES, Rooms, rooms
from tacit.parts.draws import Draws
from tacit.run import Run
from tacit.views.base import join

TRAIN, LABELLED, TEST, POINTS = 120, 10, 20, 1200
FITTED = 6000
"""Points that the probe is fitted to, of the labelled rooms."""
OPTIONS: dict[str, Any] = {
    "steps": 55, "batch_size": 8, "lr": 2e-3, "data.scaling": "all", "data.points": POINTS, "encoder.cell": 0.1,
    "precision": "32-true", "watch_every": 1000, "checkpoint_every": 1000,
}  # fmt: skip


class Restored(MSM):
    """The same network, views and hidden cells; what is predicted is what the finest hidden cells held: where in the
    cell their points lie, their normal and their colour."""

    def __init__(self, encoder: nn.Module, *, ratio: float = 0.4) -> None:
        super().__init__(encoder, ratio=ratio)
        del self.predictors, self.teacher
        self.restorer = nn.Linear(self.encoder.widths[0], self.encoder.target_dim)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        view = join(batch["views"][:2])
        _, levels, hidden = self.hidden_pass(view, Draws())
        _, entry = self.encoder.entry(view["x"], view["length"])
        return {"restored": nn.functional.mse_loss(self.restorer(levels[0][hidden[0]]), entry[hidden[0]])}

    def after_step(self, progress: float) -> None:
        pass


def features(run: Run, encoder: Any, part: Rooms) -> tuple[np.ndarray, np.ndarray]:
    """Features of every point, those of all levels in one row, and what each is of."""
    source = run.open(part.clouds)
    rows = []
    with torch.inference_mode():
        for batch in source.batches(4):
            (view,) = run.evaluation_view()(batch)
            rows.append(encoder.points(view["x"], view["length"]).flatten(0, 1))
    return torch.cat(rows).numpy(), np.concatenate(part.labels)


def overlap(rows: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray, seed: int) -> float:
    """Mean intersection over union of a linear probe's classes, in percent."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:FITTED]
    found = linear_probe(rows[chosen], y[chosen], test, y_test, grid=(1e-3,), max_steps=100, seed=seed).predictions
    shares = []
    for k in range(len(SURFACES)):
        said, true = found == k, y_test == k
        shares.append((said & true).sum() / max((said | true).sum(), 1))
    return 100 * float(np.mean(shares))


@experiment(
    name="msm",
    statement="Predicting a slow copy's features of hidden places across views gives better features of points than "
    "restoring the input that was hidden.",
    baseline="input of hidden cells restored, same network, views and masks",
    method="msm",
    metric="mean intersection over union of a linear probe on points, %",
    data=f"{TRAIN} made-up rooms of {POINTS:,} points with normals and colours that say nothing; {FITTED:,} points of "
    f"{LABELLED} rooms to fit the probe, {TEST} rooms to test",
)
def msm(trial: Trial) -> Result:
    train, labelled, test = (
        rooms(count, 3 * trial.seed + i, points=POINTS, normals=True) for i, count in enumerate((TRAIN, LABELLED, TEST))
    )
    notes: dict[str, Any] = {}

    def score(run: Run, encoder: Any, what: str) -> float:
        parts = [features(run, encoder, part) for part in (labelled, test)]
        finest = encoder.widths[0]
        notes[f"{what}, finest level alone"] = overlap(
            parts[0][0][:, :finest], parts[0][1], parts[1][0][:, :finest], parts[1][1], trial.seed
        )
        return overlap(*parts[0], *parts[1], trial.seed)

    def measured(what: str) -> Any:
        def measure(run: Run) -> float:
            if what == "msm":
                notes["random encoder"] = score(run, run.random_encoder(), "random encoder")
            return score(run, run.encoder, what)

        return measure

    arms = [
        trained(
            train.clouds, method, measured(what), encoder="voxels", seed=trial.seed, modality="points", **OPTIONS,
        )
        for method, what in ((Restored, "input restored"), ("msm", "msm"))
    ]  # fmt: skip
    return Result(arms[0], arms[1], notes)
