"""The demo: badly scanned shapes, turned any way."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.points.synthetic import shapes

TRAIN, TEST = 1000, 500


def data(seed: int) -> tuple[Any, Any]:
    """Training and test clouds, each with the class of the thing."""
    train, test = (shapes(count, 2 * seed + i) for i, count in enumerate((TRAIN, TEST)))
    return (train.clouds, train.classes), (test.clouds, test.classes)


DEMO = Demo(
    title="Nine kinds of things as point clouds: turned any way, unevenly dense, noisy and with stray points.",
    data=data,
    method="simclr",
    encoder="pointnet",
    epochs=9,
    batch_size=64,
    options={"lr": 2e-3, "temperature": 0.1, "data.points": 256, "views.turn.axis": "any", "precision": "32-true"},
    raw="cells with points",
)
