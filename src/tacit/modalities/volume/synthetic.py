"""Phantom heads with a finding, of which every voxel is known."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError

SHAPES = ("ball", "shell", "rod", "ring", "disc", "pair")
"""Shapes of the finding; all have the volume of the ball of the same radius."""
STRUCTURES = ("air", "skull", "tissue", "fluid", "core", "finding")
"""What the labels of voxels mean, by number."""
SEQUENCES = np.array(
    [  # air, skull, tissue, fluid, core, finding
        [0.0, 0.9, 0.5, 0.15, 0.65, 1.0],
        [0.0, 0.3, 0.5, 1.0, 0.35, 0.85],
        [0.0, 0.6, 0.4, 0.55, 0.75, 0.1],
    ]
)
"""How bright each structure is under each way to take the picture, as three sequences of one scanner would."""

SKULL = 0.12
"""How thick it is, where the volume is 2 wide."""
REACH = 1.85
"""No shape reaches further from its centre, in radii of the ball of its volume."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Phantoms:
    """Volumes and all that is true of them.

    Attributes:
        volumes: float32 ``[N, 1, S, S, S]``; axes are D (up), H (back) and W (left).
        masks: what lies at the centre of each voxel, a number of :data:`STRUCTURES`, uint8 ``[N, S, S, S]``.
        shapes: of the finding, a number of :data:`SHAPES`, int64 ``[N]``.
        sequences: row of :data:`SEQUENCES`, int64 ``[N]``.
        centres: of the finding, in voxels along D, H, W from the centre of the first one, ``[N, 3]``.
        axes: unit vector along the rod, from ball to ball of the pair, and normal to the ring and the disc, ``[N, 3]``.
    """

    volumes: NDArray[np.float32]
    masks: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    sequences: NDArray[np.int64]
    centres: Floats
    axes: Floats


def phantoms(
    count: int,
    seed: int = 0,
    *,
    size: int = 20,
    shapes: int = len(SHAPES),
    radius: tuple[float, float] = (0.26, 0.34),
    noise: float = 0.06,
    bias: float = 0.2,
    shift: float = 0.05,
) -> Phantoms:
    """Heads made of ellipsoids, with two chambers of fluid, a core, and one finding in the tissue.

    The head's proportions, its pose, and shape, size, place and direction of the finding are drawn independently of
    each other and of the sequence; so are gain, noise and the slow change of brightness over the picture. Findings of a
    radius have one volume whatever their shape, and a sequence may show them brighter or darker than what surrounds
    them: no sum over voxels tells the shape.

    Args:
        count: number of volumes, N.
        seed: of everything.
        size: voxels along each side, S; the volume is 2 wide in the units of ``radius``.
        shapes: how many of :data:`SHAPES` there are.
        radius: of a ball of the finding's volume; from, to.
        noise: standard deviation, where the brightest structure has 1.
        bias: standard deviation of the logarithm of the slow change of brightness.
        shift: how far the head is from the middle along each axis, at most.

    Raises:
        OptionError: for a number out of range.
    """
    if size < 4 or not 1 <= shapes <= len(SHAPES):
        raise OptionError(f"size must be at least 4 and shapes from 1 to {len(SHAPES)}, not {size} and {shapes}")
    if not 0 <= shift <= 0.5:
        raise OptionError(f"shift must be from 0 to 0.5, not {shift}")
    if not 0 < radius[0] <= radius[1] <= 0.4:
        raise OptionError(f"radius must be two numbers, 0 < low <= high <= 0.4, not {radius!r}")
    random = np.random.default_rng([seed, 0x9A7])
    kind = random.integers(0, shapes, count)
    sequence = random.integers(0, len(SEQUENCES), count)
    bright = SEQUENCES[sequence] * random.uniform(0.85, 1.15, (count, len(STRUCTURES)))
    head = random.uniform(0.86, 0.96, (count, 3))
    pose = turns(random, count, 0.15)
    lobes = np.array([0.3, 0.16, 0.13]) * random.uniform(0.8, 1.2, (count, 1, 3))
    chamber = np.array([[0.15, 0.1, -0.3], [0.15, 0.1, 0.3]]) * random.uniform(0.9, 1.1, (count, 1, 3))
    core = np.array([-0.5, 0.1, 0.0]) + random.normal(0, 0.04, (count, 3))
    ball = random.uniform(*radius, count)
    room = (head.min(1) - SKULL - REACH * ball).clip(0)
    far = random.uniform(0, 1, count) ** (1 / 3) * room
    place = far[:, None] * unit(random.normal(0, 1, (count, 3)))
    turned = turns(random, count, None)
    gain = random.uniform(0.5, 2.0, count)
    moved = random.uniform(-shift, shift, (count, 3))
    waves = random.normal(0, 1, (count, 3, 3)), random.uniform(0, 2 * np.pi, (count, 3))
    volumes = np.empty((count, 1, size, size, size), np.float32)
    masks = np.empty((count, size, size, size), np.uint8)
    line = (np.arange(size) + 0.5) * 2 / size - 1
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    voxel = 2 / size
    for i in range(count):
        at = (grid - moved[i]) @ pose[i]  # rows are points; in the head's own directions
        depth = [
            ellipsoid(at, head[i]),
            ellipsoid(at, head[i] - SKULL),
            np.minimum(*(ellipsoid(at - chamber[i, j], lobes[i, 0]) for j in (0, 1))),
            ellipsoid(at - core[i], np.full(3, 0.2)),
            ball[i] * finding((at - place[i]) @ turned[i] / ball[i], SHAPES[kind[i]]),
        ]
        value, label = np.full(len(grid), bright[i, 0]), np.zeros(len(grid), np.uint8)
        for number, signed in enumerate(depth, 1):
            part = (0.5 - signed / voxel).clip(0, 1)  # how much of the voxel is inside
            value += part * (bright[i, number] - value)
            label[signed < 0] = number
        frequency, phase = waves[0][i], waves[1][i]
        slow = np.cos(grid @ frequency + phase).sum(1) * np.sqrt(2 / 3)
        value = gain[i] * (value * np.exp(bias * slow) + noise * random.normal(0, 1, len(grid)))
        volumes[i, 0], masks[i] = value.reshape(size, size, size), label.reshape(size, size, size)
    centres = (np.einsum("nij,nj->ni", pose, place) + moved + 1) / voxel - 0.5
    axes = np.einsum("nij,nj->ni", pose, turned[:, :, 0])
    return Phantoms(volumes, masks, kind, sequence, centres, axes)


def ellipsoid(at: Floats, radii: Floats) -> Floats:
    """About the distance to the surface of an ellipsoid at the origin, negative inside: ``[P, 3] -> [P]``."""
    scaled = np.linalg.norm(at / radii, axis=1)
    slope = np.linalg.norm(at / radii**2, axis=1)
    return scaled * (scaled - 1) / np.maximum(slope, 1e-9)


def finding(at: Floats, shape: str) -> Floats:
    """Distance to the surface of a shape with the volume of a ball of radius 1, negative inside: ``[P, 3] -> [P]``."""
    scale = scales()[shape]
    return scale * plain_shape(at / scale, shape)


def plain_shape(at: Floats, shape: str) -> Floats:
    """Distance to the surface of a shape along, or around, the first axis: ``[P, 3] -> [P]``."""
    along, around = np.abs(at[:, 0]), np.linalg.norm(at[:, 1:], axis=1)
    middle = np.hypot(along, around)
    if shape == "ball":
        return middle - 1
    if shape == "shell":
        return np.abs(middle - 1) - 0.3
    if shape == "rod":
        return np.hypot(np.maximum(along - 0.9, 0), around) - 0.5
    if shape == "ring":
        return np.hypot(around - 1, along) - 0.35
    if shape == "disc":
        return np.hypot(np.maximum(around - 1, 0), along) - 0.25
    return np.hypot(along - 0.85, around) - 0.65


@functools.cache
def scales() -> dict[str, float]:
    """How much larger than in :func:`plain_shape` each shape must be to have the volume of a ball of radius 1."""
    cell = 0.02
    along, around = np.meshgrid(np.arange(cell / 2, 2, cell), np.arange(cell / 2, 2, cell), indexing="ij")
    points = np.stack([along.ravel(), around.ravel(), np.zeros(along.size)], 1)
    ring = 2 * np.pi * points[:, 1] * cell**2 * 2  # both halves
    volumes = {shape: float(ring[plain_shape(points, shape) < 0].sum()) for shape in SHAPES}
    return {shape: (4 / 3 * np.pi / volume) ** (1 / 3) for shape, volume in volumes.items()}


def unit(rows: Floats) -> Floats:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def turns(random: np.random.Generator, count: int, spread: float | None) -> Floats:
    """Rotation matrices ``[N, 3, 3]``: by angles of about ``spread`` (rad), or of any direction alike (None)."""
    q = random.normal(0, 1, (count, 4))
    if spread is not None:
        q = q * spread / 2 + np.array([1.0, 0, 0, 0])
    w, x, y, z = unit(q).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def sample(count: int = 64, seed: int = 0) -> tuple[Any, Any]:
    """A small data set with labels: what ``open_source`` takes."""
    made = phantoms(count, seed, size=8, shapes=3)
    return made.volumes, made.shapes
