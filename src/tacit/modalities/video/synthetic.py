"""Sprites that move: what each is, how it moves and where it is in every frame, exactly.

What a sprite is and how it moves are drawn independently, a single frame tells next to nothing of the motion, and
colours, angles and backgrounds say nothing of either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError

IDENTITIES = ("disc", "square", "triangle", "cross", "ring", "bar", "star", "crescent")
"""Shapes of sprites, by their label. One half of each is darker, so that every turn can be seen."""
MOTIONS = ("straight", "to and fro", "circle", "spin", "pulse", "roll", "jumps", "shake")
"""Motions, by their label: along a line, to and fro on one, on a circle, turning on the spot, growing and shrinking,
along a line while turning, along a line in steps, to a new place near the old one in every frame."""
CHUNK = 256

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sprites:
    """Videos with a sprite each.

    Attributes:
        x: uint8 ``[N, T, 3, H, W]``.
        identity: which of :data:`IDENTITIES`, int64 ``[N]``.
        motion: which class of motion, int64 ``[N]``.
        place: its middle in every frame, in pixels from the upper left corner (x, y), ``[N, T, 2]``.
        angle: how far it is turned, in radians, ``[N, T]``.
        radius: of the circle around it, in pixels, ``[N, T]``.
    """

    x: NDArray[np.uint8]
    identity: NDArray[np.int64]
    motion: NDArray[np.int64]
    place: Array
    angle: Array
    radius: Array


def moving_sprites(
    count: int, seed: int = 0, *, frames: int = 16, size: int = 24, scenes: int = 16, noise: float = 6.0
) -> Sprites:
    """Sprites with one of eight motions.

    Args:
        count: number of videos, N.
        seed: of everything.
        frames: T.
        size: height and width in pixels.
        scenes: number of backgrounds, which do not depend on the seed: videos share them.
        noise: standard deviation of the noise on each pixel, of 255.

    Raises:
        OptionError: for impossible numbers.
    """
    _check(count, frames, size, scenes, noise)
    random = np.random.default_rng([seed, 0x5B217E])
    identity, motion = random.integers(0, len(IDENTITIES), count), random.integers(0, len(MOTIONS), count)
    time = np.arange(frames) - (frames - 1) / 2
    middle = size / 2 + random.uniform(-size / 6, size / 6, (count, 1, 2))
    heading, turn = random.uniform(0, 2 * np.pi, (count, 1)), random.uniform(0, 2 * np.pi, (count, 1))
    sense = random.choice([-1.0, 1.0], (count, 1))
    phase = 2 * np.pi * (time / random.uniform(7, 11, (count, 1)) + random.uniform(0, 1, (count, 1)))
    speed = size / 24 * random.uniform(0.5, 0.9, (count, 1))
    reach = size / 24 * random.uniform(3.0, 4.5, (count, 1))
    radius = size / 24 * random.uniform(4.0, 5.5, (count, 1)).repeat(frames, 1)
    hold = random.integers(3, 5, (count, 1))

    ahead = np.stack([np.cos(heading), np.sin(heading)], -1)
    kinds = [MOTIONS.index(name) for name in ("straight", "roll", "jumps", "to and fro")]
    steps = np.floor((time + random.uniform(0, 4, (count, 1))) / hold) * hold
    along = np.select(
        [motion[:, None] == kind for kind in kinds],
        [speed * time, speed * time, speed * steps, reach * np.sin(phase)],
        0.0,
    )
    place = middle + along[..., None] * ahead
    round_about = reach[..., None] * np.stack([np.cos(phase), sense * np.sin(phase)], -1)
    shaken = size / 24 * random.normal(0, 1.6, (count, frames, 2))
    place += np.where((motion == MOTIONS.index("circle"))[:, None, None], round_about, 0)
    place += np.where((motion == MOTIONS.index("shake"))[:, None, None], shaken, 0)
    turning = np.isin(motion, [MOTIONS.index("spin"), MOTIONS.index("roll")])[:, None]
    angle = turn + np.where(turning, sense * phase, 0)
    radius = np.where((motion == MOTIONS.index("pulse"))[:, None], radius * (1 + 0.4 * np.sin(phase)), radius)
    x = _filmed(identity, place, angle, radius, size, scenes, noise, random)
    return Sprites(x, identity, motion, place, angle, radius)


def drifting_sprites(
    count: int,
    seed: int = 0,
    *,
    frames: int = 32,
    size: int = 24,
    directions: int = 8,
    speeds: int = 2,
    scenes: int = 16,
    noise: float = 6.0,
) -> Sprites:
    """Sprites that drift in one of several directions at one of several speeds, turning, now faster and now slower, as
    things with a mass do; what leaves the picture comes back on the other side.

    ``motion`` is ``direction * speeds + speed``: direction k is 2 pi k / ``directions`` to the right and down, within a
    sixth of the next; the speeds lie between half a pixel and one pixel a frame (of 24 a side), each within an eighth.

    Args:
        count, seed, frames, size, scenes, noise: see :func:`moving_sprites`.
        directions, speeds: how many there are.

    Raises:
        OptionError: for impossible numbers.
    """
    _check(count, frames, size, scenes, noise)
    if directions < 1 or speeds < 1:
        raise OptionError(f"there must be at least one direction and one speed, not {directions} and {speeds}")
    random = np.random.default_rng([seed, 0xD21F7])
    identity = random.integers(0, len(IDENTITIES), count)
    direction, pace = random.integers(0, directions, count), random.integers(0, speeds, count)
    time = np.arange(frames)
    heading = 2 * np.pi / directions * (direction + random.uniform(-1 / 6, 1 / 6, count))[:, None]
    mean = size / 24 * (0.5 + 0.5 * pace / max(1, speeds - 1)) * random.uniform(7 / 8, 9 / 8, count)
    period = random.uniform(12, 24, (count, 1))
    phase = 2 * np.pi * (time / period + random.uniform(0, 1, (count, 1)))
    swing = random.uniform(0.2, 0.5, (count, 1))
    way = mean[:, None] * (time + swing * period / (2 * np.pi) * np.sin(phase))  # speed mean * (1 + swing * cos)
    radius = size / 24 * random.uniform(4.0, 5.5, (count, 1)).repeat(frames, 1)
    begin = random.uniform(0, size, (count, 1, 2))
    world = size + 2 * radius[..., None]
    place = begin + way[..., None] * np.stack([np.cos(heading), np.sin(heading)], -1)
    place = (place + radius[..., None]) % world - radius[..., None]
    rate = random.uniform(0.05, 0.2, (count, 1)) * random.choice([-1.0, 1.0], (count, 1))
    angle = random.uniform(0, 2 * np.pi, (count, 1)) + rate * (time + 0.5 * period / (2 * np.pi) * np.cos(phase))
    x = _filmed(identity, place, angle, radius, size, scenes, noise, random)
    return Sprites(x, identity, direction * speeds + pace, place, angle, radius)


def _check(count: int, frames: int, size: int, scenes: int, noise: float) -> None:
    for name, value in (("count", count), ("frames", frames), ("size", size), ("scenes", scenes)):
        if value < 1:
            raise OptionError(f"{name} must be at least 1, not {value}")
    if not noise >= 0:
        raise OptionError(f"noise must be a number that is not negative, not {noise}")


def _filmed(
    identity: NDArray[np.int64],
    place: Array,
    angle: Array,
    radius: Array,
    size: int,
    scenes: int,
    noise: float,
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """The videos, uint8 ``[N, T, 3, size, size]``."""
    count, frames = angle.shape
    backgrounds = _backgrounds(scenes, size)[random.integers(0, scenes, count)]
    hue = random.uniform(0, 1, (count, 1))
    distance = np.abs((hue * 6 - np.array([0.0, 2.0, 4.0]) + 3) % 6 - 3)
    colour = 120 + 135 * np.clip(2 - distance, 0, 1)
    x = np.empty((count, frames, 3, size, size), np.uint8)
    for first in range(0, count, CHUNK):
        rows = slice(first, first + CHUNK)
        cover, shade = covered(identity[rows], place[rows], angle[rows], radius[rows], size)
        tint = colour[rows, None, :, None, None] * shade[:, :, None]
        made = backgrounds[rows, None] + cover[:, :, None] * (tint - backgrounds[rows, None])
        if noise:
            made += noise * random.standard_normal(made.shape, np.float32)
        x[rows] = made.round().clip(0, 255)
    return x


def _backgrounds(scenes: int, size: int) -> Array:
    """Smooth dim colours, ``[scenes, 3, size, size]``: each channel a slope and two waves."""
    random = np.random.default_rng(0xBAC)
    line = np.arange(size) / size
    y, x = line[:, None], line[None]
    shape = (scenes, 3, 1, 1)
    made: Array = 60 + random.uniform(-25, 25, shape) + random.uniform(-25, 25, shape) * (x - 0.5)
    for _ in range(2):
        across, down = random.uniform(-2, 2, shape), random.uniform(-2, 2, shape)
        made = made + 15 * np.sin(2 * np.pi * (across * x + down * y + random.uniform(0, 1, shape)))
    return made.clip(0, 255)


def covered(identity: NDArray[np.int64], place: Array, angle: Array, radius: Array, size: int) -> tuple[Array, Array]:
    """How much of each pixel a sprite covers, from 0 to 1, and how bright its surface is there: ``[N, T, size, size]``
    each."""
    line = np.arange(size) + 0.5
    dx = line[None, None, None, :] - place[..., 0, None, None]
    dy = line[None, None, :, None] - place[..., 1, None, None]
    cos, sin = np.cos(angle)[..., None, None], np.sin(angle)[..., None, None]
    scale = radius[..., None, None]
    u, v = (dx * cos + dy * sin) / scale, (dy * cos - dx * sin) / scale
    distance = np.empty_like(u)
    for number in np.unique(identity):
        rows = identity == number
        distance[rows] = _outside(IDENTITIES[number], u[rows], v[rows])
    return (0.5 - distance * scale).clip(0, 1), 0.8 + 0.2 * (u * scale).clip(-1, 1)


def _outside(shape: str, u: Array, v: Array) -> Array:
    """The distance from a shape of radius 1, negative inside, exact where it matters: at flat edges."""
    far = np.hypot(u, v)
    if shape == "disc":
        return far - 0.85
    if shape == "square":
        return _box(u, v, 0.72, 0.72)
    if shape == "triangle":
        turns = np.array([0.0, 2.0, 4.0]) * np.pi / 3
        return np.max([np.cos(t) * u + np.sin(t) * v - 0.5 for t in turns], 0)
    if shape == "cross":
        return np.minimum(_box(u, v, 0.95, 0.3), _box(u, v, 0.3, 0.95))
    if shape == "ring":
        return np.abs(far - 0.72) - 0.22
    if shape == "bar":
        return _box(u, v, 0.98, 0.33)
    if shape == "star":
        near = (np.arctan2(v, u) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5  # from the nearest point of five
        edge = 0.45 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)]) - [1.0, 0.0]
        outward = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
        return (far * np.cos(near) - 1) * outward[0] + far * np.abs(np.sin(near)) * outward[1]
    return np.maximum(far - 0.95, 0.75 - np.hypot(u - 0.5, v))


def _box(u: Array, v: Array, wide: float, tall: float) -> Array:
    return np.maximum(np.abs(u) - wide, np.abs(v) - tall)


def sample(count: int = 64, seed: int = 0) -> tuple[Any, NDArray[np.int64]]:
    """A small data set with labels: what ``open_source`` takes."""
    made = moving_sprites(count, seed, frames=8, size=16)
    return made.x, made.motion
