"""iSogCLR (Qiu et al. 2023): a temperature for each sample, on classes of very different size."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, trained, untrained
from tacit.evaluation.probe import linear_probe
from tacit.methods.contrastive.isogclr import ISogCLR
from tacit.run import Run

LARGEST, RATIO = 300, 50
OPTIONS = {
    "batch_size": 64, "epochs": 25, "lr": 2e-3, "encoder.width": 24, "hidden": 256, "out": 64, "views.flip": 0.0,
    "views.crop_scale": (0.4, 1.0),
}  # fmt: skip
FIXED = (0.1, 0.5)
SEEN = (
    "on another seed after 40 epochs: simclr 76.8 at t=0.1 and 73.4 at 0.2 and 0.5, sogclr 73.2, isogclr 76.2 with "
    "rho=0.4 and 74.2 with 0.8; learned temperatures hardly differ between classes"
)


@experiment(
    name="isogclr",
    statement="On classes of very different size, learned temperatures do better than the best temperature for all.",
    baseline="simclr, best of t = 0.1 and 0.5 by test accuracy",
    method="isogclr",
    metric="linear probe accuracy on balanced classes, %",
    data="839 scattered digits of 14 to 21 pixels at 24×24 without clutter, 300 of the largest class to 6 of the "
    "smallest; 2,000 of other writers to test",
)
def isogclr(trial: Trial) -> Result:
    data = digits(trial.seed, train=10 * (LARGEST + 150), test=2000, scale=(1.8, 2.6))
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
            assert isinstance(run.method, ISogCLR)
            tau = run.method.temperature.numpy()
            means = [float(tau[y == c].mean()) for c in order]
            row["mean_temperature_by_class_from_large_to_small"] = means
            rank = spearmanr(np.arange(10, 0, -1), means).statistic
            row["rank_correlation_of_class_size_and_temperature"] = float(rank)
        return row

    parts = {"all": np.ones(len(tail), bool), "head": ~tail, "tail": tail}
    arms: dict[str, tuple[str, dict[str, object]]] = {
        **{f"simclr t={t}": ("simclr", {"temperature": t}) for t in FIXED},
        "isogclr": ("isogclr", {}),
    }
    if trial.seed == 0:
        arms["sogclr"] = ("isogclr", {"eta": 0.0})
    found = {n: trained(x, m, measure, **OPTIONS, **options, seed=trial.seed) for n, (m, options) in arms.items()}
    if trial.seed == 0:
        whole = data._replace(x=data.x[balanced], y=data.y[balanced])
        found["looked_at"] = {"text": SEEN}
        found["untrained"] = trained(x, "simclr", untrained(whole), **(OPTIONS | {"epochs": 1}))
    best = max(found[f"simclr t={t}"]["all"] for t in FIXED)
    return Result(best, found["isogclr"]["all"], found)
