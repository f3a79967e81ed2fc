"""The demo: moving sensors whose rate, strength, offset and drift say nothing of how they move."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.series.synthetic import motions

TRAIN, TEST, LENGTH = 2000, 1000, 96


def data(seed: int) -> tuple[Any, Any]:
    """Training and test series, each with labels."""
    return motions(TRAIN, 2 * seed, length=LENGTH), motions(TEST, 2 * seed + 1, length=LENGTH)


DEMO = Demo(
    title="Moving sensors: rate, strength, offset and drift of a series say nothing of the motion.",
    data=data,
    method="simclr",
    epochs=30,
    batch_size=128,
    options={"lr": 2e-3, "temperature": 0.1, "encoder.width": 32},
    raw="raw series",
)
