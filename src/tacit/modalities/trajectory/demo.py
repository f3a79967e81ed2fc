"""The demo: pendulums of five lengths, whoever drives them and wherever they start."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.trajectory.synthetic import pendulums

TRAIN, TEST = 1500, 800


def data(seed: int) -> tuple[Any, Any]:
    """Training and test trajectories, each with labels."""
    return pendulums(TRAIN, 2 * seed)[0], pendulums(TEST, 2 * seed + 1)[0]


DEMO = Demo(
    title="Pendulums of five lengths: damping, driver, start and duration say nothing of the length.",
    data=data,
    method="simclr",
    epochs=12,
    batch_size=128,
    options={"lr": 1e-3, "temperature": 0.1, "encoder.width": 64, "encoder.depth": 2},
    raw="raw trajectory",
)
