"""The demo: findings of four shapes in heads that were never seen."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.volume.synthetic import phantoms

TRAIN, TEST = 1200, 500
HEADS: dict[str, Any] = {"size": 16, "radius": (0.32, 0.38), "noise": 0.03, "shift": 0.1, "shapes": 4}


def data(seed: int) -> tuple[Any, Any]:
    """Training and test volumes with the shape of the finding."""
    train, test = (phantoms(count, 2 * seed + part, **HEADS) for part, count in enumerate((TRAIN, TEST)))
    return (train.volumes, train.shapes), (test.volumes, test.shapes)


DEMO = Demo(
    title="Phantom heads: the finding's shape, whatever its place, direction, size and brightness.",
    data=data,
    method="simclr",
    encoder="unet",
    epochs=18,
    batch_size=64,
    options={
        "lr": 2e-3, "temperature": 0.1, "precision": "32-true", "encoder.width": 8, "encoder.depth": 4,
        # a finding may look any way and be brighter or darker than what is around it
        "views.crop.share": (0.5, 1.0), "views.crop.turn": 90.0, "views.flip.axes": (0, 1, 2),
        "views.contrast.invert": 0.5, "views.bias": 0.2, "views.blur": 0.0, "views.cutout": 0.0,
    },
    raw="raw voxels",
)  # fmt: skip
