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


def bursts(
    count: int, seed: int = 0, *, length: int = 128, channels: int = 2, noise: float = 0.5
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Sensor windows whose class is three things at once, each plain in another basis: which of two frequencies swings
    all the time (class // 4), whether a burst is short or long (class // 2 % 2), and whether it rises or falls in
    frequency (class % 2).

    Phases, strengths of swing and burst, and offsets are drawn for each window and channel, whatever its class; so is
    where the burst comes, and the exact frequency. The energy of a burst does not tell how long it is.

    Args:
        count: number of windows, N.
        seed: of everything.
        length: steps of a window, T.
        channels: C.
        noise: standard deviation of white noise, where swing and burst have amplitudes of about 1.

    Returns:
        float32 ``[N, C, T]``, and labels int64 ``[N]`` from 0 to 7.
    """
    random = np.random.default_rng([seed, 0xB025])
    y = random.integers(0, 8, count)
    high, long, falls = (part[:, None, None] for part in (y // 4, y // 2 % 2, y % 2))
    time = np.arange(length) / length

    def each(low: float, top: float, size: int = channels) -> NDArray[np.float64]:
        return random.uniform(low, top, (count, size, 1))

    rate = np.where(high == 1, 9.0, 6.0) + each(-0.5, 0.5, 1)
    x = each(0.5, 1.5) * np.sin(2 * np.pi * (rate * time + each(0, 1)))
    width = np.where(long == 1, 0.1, 0.04)
    off = time - each(0.25, 0.75, 1)
    sweep = np.where(falls == 1, -1.0, 1.0) * 4 * off**2 / width
    bell = np.exp(-0.5 * (off / width) ** 2) * np.sqrt(0.06 / width)
    x = x + each(1.0, 2.5) * bell * np.sin(2 * np.pi * (24 * off + sweep + each(0, 1)))
    x = x + 0.5 * random.normal(0, 1, (count, channels, 1)) + noise * random.normal(0, 1, x.shape)
    return x.astype(np.float32), y


REGIMES = 4
"""Ways in which a recording of :func:`regimes` swings."""


def regimes(
    count: int,
    seed: int = 0,
    *,
    length: int = 1024,
    channels: int = 2,
    noise: float = 0.3,
    drift: float = 1.0,
    stay: tuple[int, int] = (96, 256),
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Long recordings that switch between four regimes, each with a motif of its own that comes back again and again.

    A motif is a short burst (a fixed mixture of waves under a bell) of the same length and energy in every regime. It
    comes back after pauses drawn at random, so that neither mean, variance, rate nor where it lies tells the regime;
    its shape does. Each recording has a strength of its own, and each channel an offset and a slow drift.

    Args:
        count: number of recordings, N.
        seed: of everything but the motifs, which are always the same.
        length: steps of a recording, T.
        channels: C.
        noise: standard deviation of white noise, where a motif has about 1 in its middle.
        drift: standard deviation of the slow drift.
        stay: steps in a regime, from and to.

    Returns:
        float32 ``[N, C, T]``, and the regime at every step, int64 ``[N, T]``.

    Raises:
        OptionError: for stays that are shorter than a motif.
    """
    size = 24
    if not size <= stay[0] <= stay[1]:
        raise OptionError(f"stay must be from and to some steps, {size} <= from <= to, not {stay}")
    random = np.random.default_rng([seed, 0x4E61])
    shapes = np.random.default_rng(0x407F)
    time = np.arange(size) / size
    waves = np.sin(2 * np.pi * (np.arange(1, 6)[:, None] * time + shapes.uniform(0, 1, (REGIMES, channels, 5, 1))))
    motifs = (shapes.normal(0, 1, (REGIMES, channels, 5, 1)) * waves).sum(2) * np.sin(np.pi * time) ** 2
    motifs -= motifs.mean(2, keepdims=True)
    motifs /= np.sqrt((motifs**2).mean(2, keepdims=True))
    x, y = np.zeros((count, channels, length)), np.zeros((count, length), np.int64)
    for row, kinds in zip(x, y, strict=True):  # a recording at a time: each switches when it does
        at, kind = 0, int(random.integers(REGIMES))
        while at < length:
            end = min(length, at + int(random.integers(stay[0], stay[1] + 1)))
            kinds[at:end] = kind
            place = at + int(random.integers(size))
            while place + size <= end:
                row[:, place : place + size] += motifs[kind]
                place += size + int(random.integers(size // 2))
            at, kind = end, (kind + int(random.integers(1, REGIMES))) % REGIMES
    x *= random.uniform(0.6, 1.4, (count, 1, 1))
    slow = random.normal(0, 1, (count, channels, 3, 1)) * np.cos(
        np.pi * np.arange(1, 4)[:, None] * np.arange(length) / length
        + random.uniform(0, np.pi, (count, channels, 3, 1))
    )
    x += drift * (slow.sum(2) + random.normal(0, 1, (count, channels, 1)))
    return (x + noise * random.normal(0, 1, x.shape)).astype(np.float32), y
