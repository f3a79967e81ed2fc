"""The demo: graphs whose class is which roles are joined; neither features nor degrees alone tell it."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.graph.synthetic import wirings

TRAIN, TEST = 2000, 1000


def data(seed: int) -> tuple[Any, Any]:
    """Training and test graphs, each with labels."""
    return wirings(TRAIN, 2 * seed), wirings(TEST, 2 * seed + 1)


DEMO = Demo(
    title="Wirings: a graph's class is which roles of nodes are joined; features or degrees alone do not tell it.",
    data=data,
    method="simclr",
    epochs=20,
    batch_size=128,
    options={"lr": 2e-3, "temperature": 0.1},
    raw="mean features and degrees",
)
