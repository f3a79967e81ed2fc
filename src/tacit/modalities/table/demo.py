"""The demo: a table half of whose columns mean nothing, the others being waves of three hidden factors."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.table.synthetic import rows

TRAIN, TEST = 6000, 2000


def data(seed: int) -> tuple[Any, Any]:
    """Training and test rows, each with labels."""
    return rows(TRAIN, 2 * seed), rows(TEST, 2 * seed + 1)


DEMO = Demo(
    title="A table whose columns are noisy waves of three hidden factors, among others that mean nothing.",
    data=data,
    method="simclr",
    encoder="mlp",
    epochs=30,
    batch_size=256,
    options={"lr": 1e-3, "temperature": 0.2},
    raw="standardised columns",
)
