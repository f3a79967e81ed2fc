"""Made-up time series whose classes are known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError

KINDS = 6
"""Kinds of motif: shapes of one cycle of an oscillation."""


def motions(
    count: int,
    seed: int = 0,
    *,
    length: int = 128,
    channels: int = 3,
    classes: int = 6,
    noise: float = 0.5,
    drift: float = 1.0,
    ragged: bool = False,
) -> tuple[Any, NDArray[np.int64]]:
    """Sensors on something that moves: the class is how it moves, and nothing else in the series tells it.

    A class is a shape of cycle (one of six mixtures of harmonics) and an order in which the channels follow it. Rate,
    phase, strength, an offset, a slow drift and noise are drawn for each series, whatever its class; so neither mean,
    variance nor values at any step tell the class.

    Args:
        count: number of series, N.
        seed: of everything.
        length: time steps, T.
        channels: C.
        classes: number of classes, at most six.
        noise: standard deviation of white noise, where the motion has about 1.
        drift: standard deviation of the slow drift.
        ragged: whether series have from half to the whole of ``length``.

    Returns:
        float32 ``[N, C, T]``, or a list of ``[C, T_i]``, and labels int64 ``[N]``.

    Raises:
        OptionError: for a number of classes out of range.
    """
    if not 2 <= classes <= KINDS:
        raise OptionError(f"classes must be from 2 to {KINDS}, not {classes}")
    random = np.random.default_rng([seed, 0x5E71E5])
    shapes = np.random.default_rng(0x5A4E)  # the classes are the same whatever the seed
    harmonics = np.arange(1, 5)
    weights = shapes.dirichlet(np.full(len(harmonics), 0.6), KINDS) ** 0.5
    turns = shapes.uniform(0, 2 * np.pi, (KINDS, len(harmonics)))
    lags = shapes.uniform(0, 1, (KINDS, channels))
    y = random.integers(0, classes, count)
    rate = random.uniform(3, 6, (count, 1, 1))  # cycles in a whole series
    time = np.arange(length) / length
    phase = rate * time + random.uniform(0, 1, (count, 1, 1)) + lags[y][:, :, None]
    angle = 2 * np.pi * phase[..., None] * harmonics + turns[y][:, None, None]
    motion = (np.sin(angle) * weights[y][:, None, None]).sum(-1) * np.sqrt(2)
    motion *= random.uniform(0.5, 1.5, (count, channels, 1))
    slow = random.normal(0, 1, (count, channels, 2, 1)) * np.cos(
        np.pi * np.arange(1, 3)[:, None] * time + random.uniform(0, np.pi, (count, channels, 2, 1))
    )
    x = motion + drift * slow.sum(2) + drift * random.normal(0, 1, (count, channels, 1))
    x = (x + noise * random.normal(0, 1, x.shape)).astype(np.float32)
    if not ragged:
        return x, y
    sizes = random.integers(length // 2, length + 1, count)
    return [row[:, :size] for row, size in zip(x, sizes, strict=True)], y


def sample(count: int = 64, seed: int = 0) -> tuple[Any, NDArray[np.int64]]:
    """A small data set with labels, of different lengths: what ``open_source`` takes."""
    return motions(count, seed, length=48, channels=2, classes=4, ragged=True)
