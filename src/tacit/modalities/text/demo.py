"""The demo: the order of words, which no count of words tells, learned from what follows what in one document."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.text.synthetic import documents, labelled

TRAIN, TEST = 3000, 1000


def data(seed: int) -> tuple[Any, Any]:
    """Training and test documents with the order of their sentences; topics and authors differ whatever it is."""
    return _written(TRAIN, 2 * seed), _written(TEST, 2 * seed + 1)


def _written(count: int, seed: int) -> Any:
    return labelled(documents(count, seed, style=0.3, focus=0.3), "order")


DEMO = Demo(
    title="Documents in a made-up language: which order their words have, of which no count of words says anything.",
    data=data,
    method="simclr",
    encoder="convnet",
    views="neighbours",
    epochs=8,
    batch_size=128,
    options={
        "lr": 2e-3, "temperature": 0.2, "precision": "32-true", "data.vocabulary": 512, "views.share": 0.5,
    },
    raw="bag of tokens",
)  # fmt: skip
