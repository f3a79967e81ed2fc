"""The demo: persons whose habit shows in what follows what and on which day, and in no count."""

from __future__ import annotations

from typing import Any

from tacit.modalities.demo import Demo
from tacit.modalities.events.synthetic import habits

TRAIN, TEST = 1500, 800


def data(seed: int) -> tuple[Any, Any]:
    """Training and test logs, with labels, of other persons."""
    return _log(TRAIN, 2 * seed), _log(TEST, 2 * seed + 1, first=TRAIN)


def _log(count: int, seed: int, first: int = 0) -> Any:
    return habits(count, seed, order=0.5, week=0.6, taste=0.1, first=first)


DEMO = Demo(
    title="What people do and when: counts, days and amounts are the same for every habit.",
    data=data,
    method="simclr",
    encoder="gru",
    epochs=50,
    batch_size=64,
    options={
        "lr": 4e-3, "temperature": 0.05, "views.slice.share": (0.3, 0.6),
        # a person's own pace and level of amounts would tell their views from those of others
        "views.pace": 1.0, "views.pace.sigma": 0.8, "views.number-noise": 1.0, "views.number-noise.sigma": 1.0,
        "precision": "32-true",  # bf16 gains a recurrent network nothing
    },
    raw="counts and averages",
)  # fmt: skip
