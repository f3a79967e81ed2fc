"""The demo: words of speakers who were never heard in training."""

from __future__ import annotations

from typing import Any

from tacit.modalities.audio.synthetic import RATE, utterances
from tacit.modalities.demo import Demo

TRAIN, TEST = 2000, 1000


def data(seed: int) -> tuple[Any, Any]:
    """Training and test recordings with their words, of different speakers."""
    train, test = utterances(TRAIN, 2 * seed, speakers=40), utterances(TEST, 2 * seed + 1, speakers=20)
    return (train.sounds, train.words), (test.sounds, test.words)


DEMO = Demo(
    title="Made-up words: pairs of them share all their sounds, and the test speakers were never heard.",
    data=data,
    method="simclr",
    encoder="mel",
    epochs=15,
    batch_size=128,
    options={"lr": 2e-3, "temperature": 0.1, "data.rate": RATE, "views.crop.share": (0.8, 1.0)},
    raw="mean spectrum",
)
