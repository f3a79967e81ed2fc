"""The demo: scattered digits of writers that were never trained on."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.image.synthetic import scattered_digits

TRAIN, TEST = 4000, 2000
DIGITS: dict[str, Any] = {"clutter": 16, "scenes": 64, "scale": (2.4, 3.2)}


def data(seed: int) -> tuple[Any, Any]:
    """Training and test images, each with labels."""
    train = scattered_digits("train", count=TRAIN, seed=seed, **DIGITS)
    return train, scattered_digits("test", count=TEST, seed=seed, **DIGITS)


DEMO = Demo(
    title="Scattered digits: test digits come from writers that were never trained on.",
    data=data,
    method="simclr",
    epochs=45,
    batch_size=128,
    options={
        "lr": 6e-3,
        "temperature": 0.1,
        # digits are not to be mirrored, and clutter that changes from view to view cannot stand for the digit
        "views.flip": 0.0,
        "views.turn": 15.0,
        "views.overlay": 8,
        "views.crop_scale": (0.4, 1.0),
    },
    raw="raw pixels",
)
