"""Random field augmentations (2023): local warps and local brightness on top of the standard views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import Digits, RunOf, digits, trained
from tacit.evaluation.probe import linear_probe
from tacit.run import Run

TRIED = (
    "lr 2e-3 on digits of 12 to 16 pixels: 40.7% (standard) and 40.4% (strength 0.5) on shifted data, -0.37 "
    "[-0.99, +0.26]; by strength, seed 0: 40.0 (0.25), 38.0 (0.5), 40.7 (1), 32.4 (2), 26.5 (4) against 38.4."
)
OPTIONS = {"batch_size": 128, "epochs": 8, "lr": 4e-3, "temperature": 0.2, "views.flip": 0.0}
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


@experiment(
    name="random-field",
    statement="Mild local warps and colour fields help SimCLR, most out of distribution; strong ones hurt.",
    baseline="simclr, standard views",
    method="simclr, random-field views (strength 0.5)",
    metric="linear probe accuracy on shifted data, %",
    data="3,000 scattered digits of 14 to 21 pixels at 24×24; probed on other writers, and on noisy, blurred copies",
)
def random_field(trial: Trial) -> Result:
    data = digits(trial.seed, train=3000, scale=(1.8, 2.6))
    shifted = Digits(shift(data.x, trial.seed), data.y, shift(data.test, trial.seed + 1), data.y_test)

    def measure(run: Run) -> dict[str, float]:
        return {name: accuracy(run, part) for name, part in (("same", data), ("shifted", shifted))}

    shared = OPTIONS | {"seed": trial.seed}
    standard = trained(data.x, "simclr", measure, **shared)
    arms = STRENGTHS if trial.seed == 0 else (0.5,)
    fields = {str(s): trained_with_fields(data, measure, s, shared) for s in arms}
    notes = {"tried_before": TRIED, "standard": standard, "by_strength": fields}
    return Result(standard["shifted"], fields["0.5"]["shifted"], notes)


def trained_with_fields(data: Digits, measure: RunOf, strength: float, shared: Mapping[str, Any]) -> dict[str, float]:
    """One training with random-field views of some strength."""
    return trained(data.x, "simclr", measure, **shared, views="random-field", **{"views.strength": strength})


def shift(x: np.ndarray, seed: int) -> np.ndarray:
    """The same digits, blurred over 3×3 pixels, darker and in noise."""
    padded = np.pad(x.astype(np.float32), ((0, 0), (0, 0), (1, 1), (1, 1)))
    size = x.shape[2]
    blurred = sum(padded[:, :, i : i + size, j : j + size] for i in range(3) for j in range(3)) / 9
    noise = np.random.default_rng(seed).normal(0, 25, x.shape)
    return (0.7 * blurred + noise).clip(0, 255).astype(np.uint8)


def accuracy(run: Run, data: Digits) -> float:
    """Linear-probe accuracy in percent, the probe trained anew on this data."""
    return 100 * linear_probe(run.embed(data.x), data.y, run.embed(data.test), data.y_test).accuracy
