"""The demo: words of speakers who were never heard in training."""

from __future__ import annotations

from typing import Any

from tacit.modalities.audio.synthetic import RATE, utterances
from tacit.modalities.demo import Demo

TRAIN, TEST = 2000, 1000
SILENCE = (2, 100)
"""Words begin anywhere in their recordings, in units of 10 ms."""


def data(seed: int) -> tuple[Any, Any]:
    """Training and test recordings with their words, of different speakers."""
    train = utterances(TRAIN, 2 * seed, speakers=40, silence=SILENCE)
    test = utterances(TEST, 2 * seed + 1, speakers=20, silence=SILENCE)
    return (train.sounds, train.words), (test.sounds, test.words)


DEMO = Demo(
    title="Made-up words, begun at any time: pairs of them share all their sounds; the test speakers were never heard.",
    data=data,
    method="simclr",
    encoder="mel",
    epochs=15,
    batch_size=128,
    options={"lr": 2e-3, "temperature": 0.1, "data.rate": RATE, "views.crop.share": (0.8, 1.0)},
    raw="raw spectrogram",
)
