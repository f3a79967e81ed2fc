"""The demo: findings of six shapes in heads that were never seen."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.volume.synthetic import phantoms

TRAIN, TEST = 1500, 600
SIZE = 16
RADIUS = (0.34, 0.4)


def data(seed: int) -> tuple[Any, Any]:
    """Training and test volumes with the shape of the finding."""
    train, test = (phantoms(n, 2 * seed + i, size=SIZE, radius=RADIUS, noise=0.03) for i, n in enumerate((TRAIN, TEST)))
    return (train.volumes, train.shapes), (test.volumes, test.shapes)


DEMO = Demo(
    title="Phantom heads: the finding's shape, whatever its place, direction, size and brightness.",
    data=data,
    method="simclr",
    encoder="unet",
    epochs=15,
    batch_size=64,
    options={
        "lr": 2e-3, "temperature": 0.1, "precision": "32-true", "encoder.width": 8,
        "views.crop.share": (0.5, 1.0), "views.crop.turn": 60.0, "views.flip.axes": (0, 1, 2),
    },
    raw="raw voxels",
)  # fmt: skip
