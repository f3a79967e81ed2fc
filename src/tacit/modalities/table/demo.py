"""The demo: a table two thirds of whose columns mean nothing, the others being noisy waves of three hidden factors."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.table.synthetic import rows

TRAIN, TEST = 6000, 2000
COLUMNS: dict[str, Any] = {"numbers": 24, "irrelevant": 60, "noise": 0.7}


def data(seed: int) -> tuple[Any, Any]:
    """Training and test rows, each with labels."""
    return rows(TRAIN, 2 * seed, **COLUMNS), rows(TEST, 2 * seed + 1, **COLUMNS)


DEMO = Demo(
    title="A table whose columns are noisy waves of three hidden factors, among others that mean nothing.",
    data=data,
    method="simclr",
    encoder="mlp",
    views="subsets",
    epochs=30,
    batch_size=256,
    options={"lr": 1e-3, "temperature": 0.2, "views.share": 0.5},
    raw="standardised columns",
)
