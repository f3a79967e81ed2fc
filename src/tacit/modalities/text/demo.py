"""The demo: what made-up documents are about, learned from which words keep company."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.text.synthetic import documents, labelled

TRAIN, TEST = 3000, 1000


def data(seed: int) -> tuple[Any, Any]:
    """Training and test documents with their topics."""
    return labelled(documents(TRAIN, 2 * seed)), labelled(documents(TEST, 2 * seed + 1))


DEMO = Demo(
    title="Documents in a made-up language: every word of a topic belongs to another one too, and few occur twice.",
    data=data,
    method="simclr",
    epochs=10,
    batch_size=128,
    options={"lr": 2e-3, "temperature": 0.1, "precision": "32-true"},
    raw="bag of tokens",
)
