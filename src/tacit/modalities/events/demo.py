"""The demo: persons whose habit shows in what follows what and on which day, and in no count."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.events.synthetic import habits

TRAIN, TEST = 2000, 1000


def data(seed: int) -> tuple[Any, Any]:
    """Training and test logs, with labels, of other persons."""
    return habits(TRAIN, 2 * seed), habits(TEST, 2 * seed + 1, first=TRAIN)


DEMO = Demo(
    title="What people do and when: counts, days and amounts are the same for every habit.",
    data=data,
    method="simclr",
    encoder="gru",
    epochs=20,
    batch_size=128,
    options={"lr": 2e-3, "temperature": 0.1},
    raw="counts and averages",
)
