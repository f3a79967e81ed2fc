"""Made-up samples of several parts whose shared and private causes are known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError

PETALS = (2, 3, 4, 5, 6, 8)
"""Numbers of petals of the wheels, one a class."""
WALLS, HUMS = 4, 4
"""Directions of the stripes behind a wheel, and pitches of the hum beside its beats."""

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Wheels:
    """Wheels that a camera sees and a sensor feels.

    Attributes:
        image: uint8 ``[N, 1, size, size]``.
        series: float32 ``[N, 2, T]``.
        petals: int64 ``[N]``, which of :data:`PETALS`; both parts tell it.
        wall: int64 ``[N]``, direction of the stripes; the image alone tells it.
        hum: int64 ``[N]``, pitch of the hum; the series alone tells it.
    """

    image: NDArray[np.uint8]
    series: NDArray[np.float32]
    petals: Labels
    wall: Labels
    hum: Labels

    @property
    def parts(self) -> dict[str, Any]:
        """What ``open_source`` takes."""
        return {"image": self.image, "series": self.series}


def wheels(
    count: int,
    seed: int = 0,
    *,
    classes: int = 6,
    size: int = 24,
    length: int = 96,
    stripes: float = 0.35,
    loudness: float = 0.7,
    noise: float = 0.3,
) -> Wheels:
    """A camera before a wheel with petals, and a sensor beside it: two parts that share the number of petals.

    The image is a flower-shaped wheel anywhere, of any size, angle and brightness, before a striped wall. The series
    has two channels while the wheel turns: beats, one a petal, and a mark, one a turn; so neither rate tells the
    petals, but their ratio does. A hum lies over the beats. Number of petals, direction of the stripes and pitch of the
    hum are drawn independently: the first is in both parts, the others in one each. Everything else is drawn for each
    sample.

    Args:
        count: number of samples, N.
        seed: of everything.
        classes: how many numbers of petals, from 2 to 6.
        size: side of the images in pixels.
        length: steps of the series, T.
        stripes: contrast of the wall, from 0 to 0.5.
        loudness: mean strength of the hum, where the beats have 1.
        noise: standard deviation of white noise in the series; a fifth of it in the image, which spans 1.

    Raises:
        OptionError: for a number of classes out of range.
    """
    if not 2 <= classes <= len(PETALS):
        raise OptionError(f"classes must be from 2 to {len(PETALS)}, not {classes}")
    random = np.random.default_rng([seed, 0x3EE15])
    petals, wall, hum = (random.integers(0, n, count) for n in (classes, WALLS, HUMS))
    number = np.array(PETALS)[petals][:, None]
    image = _seen(random, number[..., None], wall, size, stripes, noise / 5)
    series = _felt(random, number, hum, length, loudness, noise)
    return Wheels(image, series, petals, wall, hum)


def _seen(
    random: np.random.Generator, number: NDArray[Any], wall: Labels, size: int, stripes: float, noise: float
) -> NDArray[np.uint8]:
    def drawn(low: float, high: float) -> NDArray[np.float64]:
        return random.uniform(low, high, (len(wall), 1, 1))

    y, x = np.mgrid[:size, :size][:, None] + 0.5
    from_x, from_y = x - size * drawn(0.4, 0.6), y - size * drawn(0.4, 0.6)
    angle, far = np.arctan2(from_y, from_x), np.hypot(from_x, from_y)
    border = size * drawn(0.26, 0.36) * (1 + 0.35 * np.cos(number * angle + drawn(0, 2 * np.pi)))
    covered = 1 / (1 + np.exp(-2 * (border - far)))
    turn = np.pi * (wall[:, None, None] / WALLS)
    wave = 2 * np.pi / (size * drawn(0.2, 0.3)) * (np.cos(turn) * x + np.sin(turn) * y)
    behind = 0.4 + stripes * np.sin(wave + drawn(0, 2 * np.pi))
    pixels = behind * (1 - covered) + drawn(0.75, 1.0) * covered + noise * random.normal(0, 1, covered.shape)
    return (255 * pixels.clip(0, 1)).round().astype(np.uint8)[:, None]


def _felt(
    random: np.random.Generator, number: NDArray[Any], hum: Labels, length: int, loudness: float, noise: float
) -> NDArray[np.float32]:
    def drawn(low: float, high: float) -> NDArray[np.float64]:
        return random.uniform(low, high, (len(hum), 1))

    time = np.arange(length) / length
    turned = 2 * np.pi * (drawn(1.5, 2.5) * time + drawn(0, 1))
    beats = drawn(0.8, 1.2) * np.cos(number * turned + drawn(0, 2 * np.pi)) * np.sqrt(2)
    pitch = length / 96 * (26 + 5 * hum[:, None] + drawn(-1.5, 1.5))
    beats += loudness * drawn(0.5, 1.5) * np.sin(2 * np.pi * pitch * time + drawn(0, 2 * np.pi)) * np.sqrt(2)
    mark = drawn(0.8, 1.2) * 3 * np.exp(8 * (np.cos(turned + drawn(0, 2 * np.pi)) - 1))
    both = np.stack([beats, mark], 1) + noise * random.normal(0, 1, (len(hum), 2, length))
    return (both + random.normal(0, 0.3, (len(hum), 2, 1))).astype(np.float32)


DEVICES = {"chest": 0.0, "waist": 0.15, "arm": 0.4, "thigh": 0.65, "shin": 0.9}
"""Where the devices are worn, and how much of what each measures is a motion of its own limb, not of the trunk."""
ACTIVITIES = 5


@dataclass(frozen=True)
class Body:
    """Devices on one body.

    Attributes:
        devices: float32 ``[N, 6, T]`` by name, three channels of acceleration and three of rotation, synchronous.
        activity: int64 ``[N]``.
        user: int64 ``[N]``.
    """

    devices: dict[str, NDArray[np.float32]]
    activity: Labels
    user: Labels


def body(
    count: int,
    seed: int = 0,
    *,
    users: tuple[int, ...] = tuple(range(8)),
    length: int = 64,
    noise: float = 0.5,
    contrast: float = 0.4,
) -> Body:
    """People who do one of five things, each with five devices that measure at the same time.

    The trunk of the body sways in three axes; the activity says with which harmonics and strengths. Every limb knocks,
    once or twice a cycle and axis, in a way of its own for each activity. What a device measures is a mixture of trunk
    and limb, by :data:`DEVICES`, through its own rotation, gain and lag, with noise of its own. A user has a rate and a
    style, the same for all activities.

    Args:
        count: number of windows, N.
        seed: of the windows; users and activities are the same whatever it is.
        users: whose windows, by their numbers.
        length: steps of a window, T.
        noise: standard deviation of the devices' noise, where the motion has about 1.
        contrast: how far the trunk's sway differs between activities; 0: not at all.

    Raises:
        OptionError: without users.
    """
    if not users:
        raise OptionError("users must be numbers of at least one user")
    random, fixed = np.random.default_rng([seed, 0xB0D1]), np.random.default_rng(0xAC71)
    harmonics = np.arange(1, 4)
    limbs = len(DEVICES)
    weight = np.sqrt(1 / 3) * np.exp(contrast * fixed.normal(0, 1, (ACTIVITIES, 3, 3)))
    phase = fixed.uniform(0, 2 * np.pi, (3, 3)) + contrast * fixed.uniform(-np.pi, np.pi, (ACTIVITIES, 3, 3))
    knocks, late = fixed.integers(1, 3, (limbs, ACTIVITIES, 3)), fixed.uniform(0, 2 * np.pi, (limbs, ACTIVITIES, 3))
    most = max(users) + 1
    person = np.random.default_rng(0x05E2)
    style = [(person.uniform(1.5, 3.0), np.exp(0.25 * person.normal(0, 1, (6, 1)))) for _ in range(most)]
    user, activity = random.choice(np.array(users), count), random.integers(0, ACTIVITIES, count)
    rate = np.array([s[0] for s in style])[user] * random.uniform(0.85, 1.15, count)
    tilt = np.stack([s[1] for s in style])[user]
    start = random.uniform(0, 1, count)
    time = np.arange(length) / length
    devices = {}
    for i, (name, own) in enumerate(DEVICES.items()):
        lag = 0.04 * i
        cycle = 2 * np.pi * (rate[:, None] * (time - lag) + start[:, None])
        swaying = _sway(cycle[:, None], harmonics, weight[activity], phase[activity])
        motion = np.sqrt(1 - own) * swaying + np.sqrt(own) * _knock(
            cycle[:, None], knocks[i, activity], late[i, activity]
        )
        turning = np.gradient(motion, axis=2) * length / (2 * np.pi * rate[:, None, None] * 2)
        rotation = np.linalg.qr(fixed.normal(0, 1, (3, 3)))[0] if i else np.eye(3)
        seen = np.concatenate([rotation @ motion, rotation @ turning], 1) * tilt * (1 + 0.3 * i)
        devices[name] = (seen + noise * random.normal(0, 1, seen.shape)).astype(np.float32)
    return Body(devices, activity, user)


def _sway(
    cycle: NDArray[Any], harmonics: NDArray[Any], weight: NDArray[Any], phase: NDArray[Any]
) -> NDArray[np.float64]:
    """Sums of waves, ``[N, 3, T]``, of cycles ``[N, 1, T]``, weights and phases ``[N, 3, harmonics]``."""
    angle = cycle[..., None] * harmonics + phase[:, :, None]
    found: NDArray[np.float64] = (np.sin(angle) * weight[:, :, None]).sum(-1) * np.sqrt(2)
    return found


def _knock(cycle: NDArray[Any], often: NDArray[Any], phase: NDArray[Any]) -> NDArray[np.float64]:
    """Short pulses, ``[N, 3, T]`` of zero mean and about unit variance; ``often`` and ``phase`` ``[N, 3]``."""
    pulse = np.exp(8 * (np.cos(often[..., None] * cycle + phase[..., None]) - 1))
    found: NDArray[np.float64] = (pulse - 0.143) / 0.28
    return found


def sample(count: int = 64, seed: int = 0) -> tuple[dict[str, Any], Labels]:
    """A small data set with labels: what ``open_source`` takes."""
    made = wheels(count, seed, classes=4, size=16, length=48)
    return made.parts, made.petals
