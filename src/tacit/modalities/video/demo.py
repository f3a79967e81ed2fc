"""The demo: how sprites move."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.video.synthetic import moving_sprites

TRAIN, TEST = 1000, 600
SIZE, FRAMES = 16, 12


def data(seed: int) -> tuple[Any, Any]:
    """Training and test videos, each with the motion in it."""
    train, test = (
        moving_sprites(count, 2 * seed + part, size=SIZE, frames=FRAMES) for part, count in enumerate((TRAIN, TEST))
    )
    return (train.x, train.motion), (test.x, test.motion)


DEMO = Demo(
    title="Sprites in motion: what moves, and where, says next to nothing of which of eight motions it is.",
    data=data,
    method="rtt",
    encoder="r3d",
    epochs=7,
    batch_size=20,
    options={"lr": 6e-3, "encoder.width": 12, "views.speeds": 2, "method.speeds": 2},
    raw="raw pixels",
)
