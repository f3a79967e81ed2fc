"""The demo: texts that cite each other; their words and a random encoder say little of their subjects."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.graph.synthetic import citations

NODES = 1200


def data(seed: int) -> tuple[Any, Any]:
    """A graph to train on and another one to test on, with labels of their nodes."""
    train, test = (citations(NODES, 2 * seed + part, within=0.75, topical=0.2) for part in (0, 1))
    return train, test


DEMO = Demo(
    title="Citations: texts with few words of their subject, which mostly cite their own; tested on other texts.",
    data=data,
    method="simclr",
    epochs=40,
    batch_size=300,
    options={"lr": 2e-3, "temperature": 0.2, "encoder.width": 64, "precision": "32-true"},
    raw="words of a text",
)
