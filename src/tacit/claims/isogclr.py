"""iSogCLR (Qiu et al. 2023): a temperature for each sample, on classes of very different size."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, trained
from tacit.evaluation.probe import linear_probe
from tacit.run import Run

LARGEST, RATIO = 300, 50
OPTIONS = {"batch_size": 64, "epochs": 16, "lr": 2e-3, "hidden": 256, "out": 64, "views.flip": 0.0}
FIXED = (0.1, 0.5)


@experiment(
    name="isogclr",
    statement="On classes of very different size, learned temperatures do better than the best temperature for all.",
    baseline="simclr, best of t = 0.1 and 0.5 by test accuracy",
    method="isogclr",
    metric="linear probe accuracy on balanced classes, %",
    data="scattered digits at 20×20 without clutter, 300 of the largest class to 6 of the smallest; 1,000 to test",
)
def isogclr(trial: Trial) -> Result:
    data = digits(trial.seed, train=10 * (LARGEST + 100), size=20)
    rng = np.random.default_rng(trial.seed)
    order = rng.permutation(10)
    sizes = {int(c): round(LARGEST * RATIO ** (-rank / 9)) for rank, c in enumerate(order)}
    rows = np.concatenate([np.flatnonzero(data.y == c)[:n] for c, n in sizes.items()])
    x, y = data.x[rows], data.y[rows]
    # The probe learns from equally many of each class, so that it is the encoder that is compared.
    balanced = np.concatenate([np.flatnonzero(data.y == c)[-100:] for c in range(10)])
    tail = np.isin(data.y_test, order[5:])

    def measure(run: Run) -> dict[str, Any]:
        probe = linear_probe(run.embed(data.x[balanced]), data.y[balanced], run.embed(data.test), data.y_test)
        right = probe.predictions == data.y_test
        row: dict[str, Any] = {part: 100 * float(right[where].mean()) for part, where in parts.items()}
        if run.config["method"]["options"].get("eta"):
            tau = run.method.temperature.numpy()  # type: ignore[operator]
            means = [float(tau[y == c].mean()) for c in order]
            row["mean_temperature_by_class_from_large_to_small"] = means
            rank = spearmanr(np.arange(10, 0, -1), means).statistic
            row["rank_correlation_of_class_size_and_temperature"] = float(rank)
        return row

    parts = {"all": np.ones(len(tail), bool), "head": ~tail, "tail": tail}
    arms: dict[str, tuple[str, dict[str, object]]] = {
        **{f"simclr t={t}": ("simclr", {"temperature": t}) for t in FIXED},
        "sogclr": ("isogclr", {"eta": 0.0}),
        "isogclr": ("isogclr", {}),
    }
    found = {n: trained(x, m, measure, **OPTIONS, **options, seed=trial.seed) for n, (m, options) in arms.items()}
    best = max(found[f"simclr t={t}"]["all"] for t in FIXED)
    return Result(best, found["isogclr"]["all"], found)
