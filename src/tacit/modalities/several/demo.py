"""The demo: a camera and a sensor at the same wheel, which share nothing but its number of petals."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.several.synthetic import wheels

TRAIN, TEST = 3000, 1000


def data(seed: int) -> tuple[Any, Any]:
    """Training and test samples, each with the number of petals as labels."""
    train, test = wheels(TRAIN, 2 * seed), wheels(TEST, 2 * seed + 1)
    return (train.parts, train.petals), (test.parts, test.petals)


DEMO = Demo(
    title="A camera and a sensor at one wheel: stripes and hum are private to one of them, the petals are in both.",
    data=data,
    method="simclr",
    views="across",
    epochs=20,
    batch_size=128,
    options={"lr": 2e-3, "temperature": 0.2, "encoder.image.width": 24, "encoder.series.width": 32},
    raw="raw image and series",
)
