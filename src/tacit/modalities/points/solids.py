"""Surfaces of simple solids, and things that are put together from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Array, Array]]
"""Random points spread evenly over a surface and the normals there, ``[n, 3]`` each."""


@dataclass(frozen=True)
class Surface:
    """One surface of a part of a thing.

    Attributes:
        part: the name of the part.
        area: in square units.
        draw: see :data:`Draw`.
    """

    part: str
    area: float
    draw: Draw

    def moved(self, shift: tuple[float, float, float] | Array, turn: Array | None = None) -> Surface:
        """The surface turned (by a rotation matrix) and then shifted."""
        by, rotation = np.asarray(shift, float), np.eye(3) if turn is None else turn

        def draw(random: np.random.Generator, n: int) -> tuple[Array, Array]:
            points, normals = self.draw(random, n)
            return points @ rotation.T + by, normals @ rotation.T

        return replace(self, draw=draw)


def about(axis: int, angle: float) -> Array:
    """The rotation matrix by an angle (rad) about the x, y or z axis (0, 1, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def box(part: str, size: tuple[float, float, float]) -> Surface:
    """The faces of a box of a size, with its middle at the origin."""
    half = np.asarray(size, float) / 2
    faces = np.array([half[1] * half[2], half[0] * half[2], half[0] * half[1]]) * 4

    def draw(random: np.random.Generator, n: int) -> tuple[Array, Array]:
        axis = random.choice(3, n, p=faces / faces.sum())
        side = random.integers(0, 2, n) * 2.0 - 1
        points = random.uniform(-1, 1, (n, 3))
        rows = np.arange(n)
        points[rows, axis] = side
        normals = np.zeros((n, 3))
        normals[rows, axis] = side
        return points * half, normals

    return Surface(part, float(2 * faces.sum()), draw)


def tube(part: str, low: float, high: float, height: float) -> Surface:
    """The side of a cone cut off: radius ``low`` at the bottom and ``high`` at the top, from z = 0 to ``height``."""
    slope = float(np.hypot(height, high - low))

    def draw(random: np.random.Generator, n: int) -> tuple[Array, Array]:
        u = random.uniform(0, 1, n)
        # evenly spread over the area: the share below a height grows with the square of the radius
        t = u if np.isclose(low, high) else (np.sqrt(low**2 + u * (high**2 - low**2)) - low) / (high - low)
        angle = random.uniform(0, 2 * np.pi, n)
        radius = low + (high - low) * t
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height * t], 1)
        flat, up = height / slope, (low - high) / slope
        return points, np.stack([flat * np.cos(angle), flat * np.sin(angle), np.full(n, up)], 1)

    return Surface(part, float(np.pi * (low + high) * slope), draw)


def disc(part: str, radius: float, up: float = 1.0) -> Surface:
    """A disc about the origin whose normal points up (1) or down (-1)."""

    def draw(random: np.random.Generator, n: int) -> tuple[Array, Array]:
        angle, r = random.uniform(0, 2 * np.pi, n), radius * np.sqrt(random.uniform(0, 1, n))
        points = np.stack([r * np.cos(angle), r * np.sin(angle), np.zeros(n)], 1)
        return points, np.broadcast_to([0.0, 0.0, up], (n, 3)).copy()

    return Surface(part, float(np.pi * radius**2), draw)


def ring(part: str, radius: float, thick: float, share: float = 1.0) -> Surface:
    """A torus about the z axis, or the ``share`` of it that begins at the x axis; ``thick`` is its tube's radius."""

    def draw(random: np.random.Generator, n: int) -> tuple[Array, Array]:
        along = random.uniform(0, 2 * np.pi * share, n)
        around = np.empty(0)
        while len(around) < n:  # the outside is longer than the inside
            angle = random.uniform(0, 2 * np.pi, 2 * n)
            kept = random.uniform(0, 1, 2 * n) < (radius + thick * np.cos(angle)) / (radius + thick)
            around = np.concatenate([around, angle[kept]])
        around = around[:n]
        out = np.stack([np.cos(along), np.sin(along), np.zeros(n)], 1)
        normals = np.cos(around)[:, None] * out + np.sin(around)[:, None] * np.array([0.0, 0.0, 1.0])
        return radius * out + thick * normals, normals

    return Surface(part, float(4 * np.pi**2 * radius * thick * share), draw)


def drawn(surfaces: list[Surface], count: int, random: np.random.Generator) -> tuple[Array, Array, NDArray[np.int64]]:
    """Points spread evenly over several surfaces together: places, normals (``[count, 3]``) and which surface each is
    of (int64 ``[count]``), in order of the surfaces."""
    areas = np.array([surface.area for surface in surfaces])
    counts = random.multinomial(count, areas / areas.sum())
    drawn_of = [surface.draw(random, n) for surface, n in zip(surfaces, counts, strict=True) if n]
    of = np.repeat(np.arange(len(surfaces)), counts)
    return np.concatenate([p for p, _ in drawn_of]), np.concatenate([q for _, q in drawn_of]), of
