"""TimeDRL (Chang et al. 2024): forecasts from patches that no augmentation has touched, against augmented ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.evaluation.ridge import ridge_probe
from tacit.run import Run

WINDOW, HORIZON, STRIDE = 96, 24, 16
HOURS = (8640, 2880, 2880)
"""A year to train on, four months left out, four months to test on, as is usual with these data."""
OPTIONS: dict[str, Any] = {
    "epochs": 10, "batch_size": 32, "lr": 1e-3, "target": "seen", "precision": "32-true", "watch_every": 1000,
    "encoder.width": 48, "encoder.depth": 1, "encoder.patch": 8, "encoder.mixing": False,
}  # fmt: skip
CHANGES = ("jitter", "permutation", "time-mask")
AUGMENTED: dict[str, dict[str, Any]] = {
    name: {"views": "pair"} | {f"views.{other}": float(other == name) for other in ("crop", "scaling", *CHANGES)}
    for name in CHANGES
}


@experiment(
    name="timedrl",
    statement="Forecasts by a linear layer on frozen patches are better when the two passes differ in dropout alone "
    "than with any of three augmentations.",
    baseline="timedrl with the best of jitter, permutation and time masks",
    method="timedrl",
    metric="mean squared error of standardised values",
    better="lower",
    data="ETTh1, 96 hours to forecast 24; a linear layer for all seven channels",
)
def timedrl(trial: Trial) -> Result:
    windows = _windows(trial)

    def measure(run: Run) -> float:
        return forecast(run, run.encoder, windows)

    def both(run: Run) -> tuple[float, float]:
        return measure(run), forecast(run, run.random_encoder(), windows)

    common = OPTIONS | {"seed": trial.seed, "modality": "series"}
    past = windows["train"][0]
    plain, blank = trained(past, "timedrl", both, **common)
    arms = {name: trained(past, "timedrl", measure, **common | more) for name, more in AUGMENTED.items()}
    return Result(min(arms.values()), plain, arms | {"random encoder": blank})


def _windows(trial: Trial) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Past ``[N, 7, 96]`` and future ``[N, 7, 24]`` of both parts, standardised by the first."""
    path = trial.data_file("ETTh1.csv")
    rows = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, 8), max_rows=sum(HOURS))
    first = rows[: HOURS[0]]
    rows = (rows - first.mean(0)) / first.std(0)
    found = {}
    for name, begin, end in (("train", 0, HOURS[0]), ("test", sum(HOURS[:2]), sum(HOURS))):
        starts = np.arange(begin, end - WINDOW - HORIZON + 1, STRIDE)
        cut = np.stack([rows[s : s + WINDOW + HORIZON].T for s in starts]).astype(np.float32)
        found[name] = cut[..., :WINDOW], cut[..., WINDOW:]
    return found


@torch.inference_mode()
def forecast(run: Run, encoder: Any, windows: dict[str, tuple[np.ndarray, np.ndarray]]) -> float:
    """Test error of ridge regression from each channel's patches to its future, both standardised by its past."""
    spaces = {}
    view = run.evaluation_view()
    for name, (past, _) in windows.items():
        source = run.open(past)
        parts = [encoder.levels(view(batch)[0]["x"]) for batch in source.batches(256)]
        spaces[name] = torch.cat([p.patches.flatten(1) for p in parts]).numpy()
    targets = {name: future.reshape(-1, HORIZON) for name, (_, future) in windows.items()}
    level = {name: past.reshape(-1, WINDOW).mean(1, keepdims=True) for name, (past, _) in windows.items()}
    scale = {name: past.reshape(-1, WINDOW).std(1, keepdims=True) + 1e-3 for name, (past, _) in windows.items()}
    wanted = (targets["train"] - level["train"]) / scale["train"]
    found = ridge_probe(spaces["train"], wanted, spaces["test"]).predictions * scale["test"] + level["test"]
    return float(np.square(found - targets["test"]).mean())
