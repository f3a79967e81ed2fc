"""Shapes and rooms as point clouds, with the exact class of every cloud and part of every point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError, unknown
from tacit.modalities.points.solids import Array, Surface, about, box, drawn
from tacit.modalities.points.things import PARTS, THINGS

CLASSES = tuple(THINGS)
SURFACES = ("floor", "wall", "table", "chair", "lamp", "shelf")
"""What points of a room are of."""
EXTRA = 4
"""Candidates for each point, of which more are taken where the cloud is dense."""
Turned = Literal["any", "up", "no"]


@dataclass(frozen=True)
class Shapes:
    """Made-up shapes.

    Attributes:
        clouds: float32 ``[n_i, 3]``, or ``[n_i, 6]`` with normals.
        classes: indices into :data:`CLASSES`, int64 ``[N]``.
        parts: of every point, indices into :data:`tacit.modalities.points.things.PARTS`; -1 for a stray point.
        rotation: what turned each shape, float64 ``[N, 3, 3]``.
        scale: what it was multiplied by, float64 ``[N]``.
    """

    clouds: list[NDArray[np.float32]]
    classes: NDArray[np.int64]
    parts: list[NDArray[np.int64]]
    rotation: NDArray[np.float64]
    scale: NDArray[np.float64]


def shapes(
    count: int,
    seed: int = 0,
    *,
    classes: int = len(CLASSES),
    points: tuple[int, int] = (300, 600),
    turned: Turned = "any",
    density: float = 2.0,
    noise: float = 0.02,
    stray: float = 0.02,
    normals: bool = False,
) -> Shapes:
    """Things of random proportions, scanned badly: turned, unevenly dense, noisy and with stray points.

    A point of the surface at ``s`` (with the origin in the thing's middle and the farthest point at distance 1) is
    taken with a chance that grows as exp(k d . s), where the direction d is random and k is uniform from 0 to
    ``density``. All this says nothing of the class; several classes have parts in common.

    Args:
        count: number of clouds, N.
        seed: of everything.
        classes: the first so many of :data:`CLASSES`.
        points: a cloud has from so many to so many.
        turned: about a random axis by a random angle (every rotation is equally likely), about the vertical, or not.
        density: see above; 0: even.
        noise: standard deviation, as a share of the distance from the middle to the farthest point.
        stray: share of the points that lie anywhere in the box around the thing.
        normals: whether clouds have them: those of the surface, random ones for stray points.

    Raises:
        OptionError: for a number out of range.
    """
    if not 2 <= classes <= len(CLASSES):
        raise OptionError(f"classes must be from 2 to {len(CLASSES)}, not {classes}")
    if not 1 <= points[0] <= points[1] or not 0 <= stray < 1 or density < 0 or noise < 0:
        raise OptionError(
            f"points must be a range from 1 on, stray a share below 1, density and noise not negative; not {points!r}, "
            f"{stray}, {density} and {noise}"
        )
    if turned not in ("any", "up", "no"):
        raise unknown("way of turning", turned, ("any", "up", "no"))
    random = np.random.default_rng([seed, 0x5A9E5])
    which = random.integers(0, classes, count)
    sizes = random.integers(points[0], points[1] + 1, count)
    rotation = np.stack([_rotation(random, turned) for _ in range(count)]) if count else np.empty((0, 3, 3))
    scale = np.exp(random.normal(0, 0.5, count))
    clouds, parts = [], []
    for i in range(count):
        surfaces = THINGS[CLASSES[which[i]]](random)
        places, facing, part = _sampled(surfaces, int(sizes[i]), random.uniform(0, density), random)
        lost = random.uniform(0, 1, len(places)) < stray
        places = places + noise * random.normal(0, 1, places.shape)
        places[lost] = random.uniform(-1, 1, (int(lost.sum()), 3)) * np.abs(places).max(0)
        facing[lost] = _directions(random, int(lost.sum()))
        part = np.where(lost, -1, part)
        cloud = scale[i] * places @ rotation[i].T
        columns = [cloud, facing @ rotation[i].T] if normals else [cloud]
        order = random.permutation(len(cloud))
        clouds.append(np.concatenate(columns, 1)[order].astype(np.float32))
        parts.append(part[order].astype(np.int64))
    return Shapes(clouds, which.astype(np.int64), parts, rotation, scale)


def _sampled(
    surfaces: list[Surface], count: int, uneven: float, random: np.random.Generator
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Places with the middle at the origin and the farthest at distance 1, normals, and part of each point."""
    places, facing, of = drawn(surfaces, EXTRA * count, random)
    places = places - (places.max(0) + places.min(0)) / 2
    places /= np.linalg.norm(places, axis=1).max()
    towards = _directions(random, 1)[0]
    # the largest of weight times random are a sample without replacement (Efraimidis & Spirakis 2006)
    key = uneven * places @ towards + random.gumbel(0, 1, len(places))
    kept = np.argpartition(-key, count - 1)[:count]
    numbers = np.array([PARTS.index(surface.part) for surface in surfaces])
    return places[kept], facing[kept], numbers[of[kept]]


def _directions(random: np.random.Generator, count: int) -> Array:
    found = random.normal(0, 1, (count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _rotation(random: np.random.Generator, turned: str) -> Array:
    if turned == "no":
        return np.eye(3)
    if turned == "up":
        return about(2, random.uniform(0, 2 * np.pi))
    w, x, y, z = (lambda q: q / np.linalg.norm(q))(random.normal(0, 1, 4))  # a random unit quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@dataclass(frozen=True)
class Rooms:
    """Made-up rooms.

    Attributes:
        clouds: float32 ``[n, 6]``: places in metres (z up, the floor at 0) and colours in [0, 1]; or ``[n, 9]``, with
            normals between them.
        labels: what each point is of, indices into :data:`SURFACES`, int64 ``[n]`` each.
        objects: which thing of the room each point is of, int64 ``[n]`` each; the floor is 0, walls follow.
    """

    clouds: list[NDArray[np.float32]]
    labels: list[NDArray[np.int64]]
    objects: list[NDArray[np.int64]]


def rooms(count: int, seed: int = 0, *, points: int = 4096, noise: float = 0.01, normals: bool = False) -> Rooms:
    """Rooms with a floor, two to four walls, and tables, chairs, lamps and shelves at random places.

    Every thing has a colour of its own that says nothing of what it is, and stands where nothing else does.

    Args:
        count: number of rooms.
        seed: of everything.
        points: of each room, spread evenly over what is there.
        noise: standard deviation of places, in metres, and a tenth of that of the numbers of normals.
        normals: whether clouds have them.
    """
    random = np.random.default_rng([seed, 0x2003])
    made = [_room(random, points, noise, normals) for _ in range(count)]
    return Rooms([m[0] for m in made], [m[1] for m in made], [m[2] for m in made])


def _room(
    random: np.random.Generator, points: int, noise: float, normals: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    width, depth, height = random.uniform(3.0, 5.0), random.uniform(3.0, 5.0), random.uniform(2.0, 2.6)
    surfaces: list[Surface] = [box("floor", (width, depth, 0.0))]
    kinds, owner = [0], [0]
    walls = [box("wall", (0.0, depth, height)).moved((s * width / 2, 0, height / 2)) for s in (-1, 1)] + [
        box("wall", (width, 0.0, height)).moved((0, s * depth / 2, height / 2)) for s in (-1, 1)
    ]
    for i in random.permutation(4)[: int(random.integers(2, 5))]:
        surfaces.append(walls[i])
        kinds.append(1)
        owner.append(owner[-1] + 1)
    taken: list[tuple[float, float, float]] = []
    for _ in range(int(random.integers(4, 8))):
        kind = int(random.integers(2, len(SURFACES)))
        size = random.uniform(0.9, 1.2)
        reach = 0.75 * size
        spots = random.uniform(-1, 1, (20, 2)) * [width / 2 - reach, depth / 2 - reach]
        free = [spot for spot in spots if all(np.hypot(spot[0] - x, spot[1] - y) > reach + r for x, y, r in taken)]
        if not free:
            continue
        x, y = (float(v) for v in free[0])
        taken.append((x, y, reach))
        turn = size * about(2, random.uniform(0, 2 * np.pi))
        parts = THINGS[SURFACES[kind]](random)
        owner += [owner[-1] + 1] * len(parts)
        kinds += [kind] * len(parts)
        surfaces += [Surface(p.part, p.area * size**2, p.moved((x, y, 0.0), turn).draw) for p in parts]
    places, facing, of = drawn(surfaces, points, random)
    objects = np.array(owner)[of]
    colours = random.uniform(0.1, 0.9, (max(owner) + 1, 3))[objects] + 0.05 * random.normal(0, 1, places.shape)
    places = places + noise * random.normal(0, 1, places.shape)
    order = random.permutation(points)
    columns = [places, colours.clip(0, 1)]
    if normals:
        facing = facing + 10 * noise * random.normal(0, 1, facing.shape)
        columns.insert(1, facing / np.linalg.norm(facing, axis=1, keepdims=True))
    cloud = np.concatenate(columns, 1)[order].astype(np.float32)
    return cloud, np.array(kinds)[of][order].astype(np.int64), objects[order].astype(np.int64)


def sample(count: int = 64, seed: int = 0) -> tuple[Any, NDArray[np.int64]]:
    """A small data set with labels, of different sizes: what ``open_source`` takes."""
    made = shapes(count, seed, classes=3, points=(40, 70), normals=True)
    return made.clouds, made.classes
