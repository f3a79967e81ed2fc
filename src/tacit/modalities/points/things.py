"""Things made of simple solids, with names for their parts; they stand on z = 0 and are about 1 in size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tacit.modalities.points.solids import Surface, about, box, disc, ring, tube

Random = np.random.Generator


def _legs(random: Random, width: float, depth: float, height: float) -> list[Surface]:
    thick = random.uniform(0.04, 0.09)
    x, y = width / 2 - thick, depth / 2 - thick
    leg = box("leg", (thick, thick, height))
    return [leg.moved((sx * x, sy * y, height / 2)) for sx in (-1, 1) for sy in (-1, 1)]


def table(random: Random) -> list[Surface]:
    """A board on four legs."""
    width, depth, height = random.uniform(0.7, 1.3), random.uniform(0.5, 0.9), random.uniform(0.45, 0.8)
    board = random.uniform(0.04, 0.09)
    top = box("board", (width, depth, board)).moved((0, 0, height + board / 2))
    return [top, *_legs(random, width, depth, height)]


def chair(random: Random) -> list[Surface]:
    """A board on four legs with a back."""
    width, depth, height = random.uniform(0.4, 0.6), random.uniform(0.4, 0.6), random.uniform(0.35, 0.5)
    board, back = random.uniform(0.04, 0.08), random.uniform(0.35, 0.65)
    seat = box("board", (width, depth, board)).moved((0, 0, height + board / 2))
    upright = box("back", (width, board, back)).moved((0, depth / 2 - board / 2, height + board + back / 2))
    return [seat, upright, *_legs(random, width, depth, height)]


def bench(random: Random) -> list[Surface]:
    """A board on two side boards."""
    width, depth, height = random.uniform(0.8, 1.3), random.uniform(0.35, 0.6), random.uniform(0.35, 0.6)
    board = random.uniform(0.04, 0.09)
    seat = box("board", (width, depth, board)).moved((0, 0, height + board / 2))
    side = box("side", (board, depth, height))
    return [seat, *(side.moved((s * (width - board) / 2, 0, height / 2)) for s in (-1, 1))]


def shelf(random: Random) -> list[Surface]:
    """Boards between two sides."""
    width, depth, height = random.uniform(0.5, 0.9), random.uniform(0.25, 0.4), random.uniform(0.8, 1.3)
    board = random.uniform(0.03, 0.05)
    side = box("side", (board, depth, height))
    levels = np.linspace(board / 2, height - board / 2, int(random.integers(3, 6)))
    boards = [box("board", (width, depth, board)).moved((0, 0, float(z))) for z in levels]
    return [*(side.moved((s * (width + board) / 2, 0, height / 2)) for s in (-1, 1)), *boards]


def lamp(random: Random) -> list[Surface]:
    """A foot, a pole and a shade with a lid."""
    height, foot = random.uniform(0.7, 1.2), random.uniform(0.15, 0.25)
    low, high, tall = random.uniform(0.2, 0.32), random.uniform(0.08, 0.18), random.uniform(0.2, 0.35)
    pole, lid = tube("pole", 0.02, 0.02, height), disc("shade", high).moved((0, 0, height))
    return [disc("foot", foot), pole, lid, tube("shade", low, high, tall).moved((0, 0, height - tall))]


def mug(random: Random) -> list[Surface]:
    """A wall, a bottom and a handle at one side."""
    radius, height = random.uniform(0.25, 0.4), random.uniform(0.55, 0.9)
    grip = random.uniform(0.14, 0.2)
    upright = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # y to x, z to y, x to z
    handle = ring("handle", grip, random.uniform(0.025, 0.05), 0.5).moved((radius, 0, height / 2), upright)
    return [tube("wall", radius, radius, height), disc("bottom", radius, -1.0), handle]


def bottle(random: Random) -> list[Surface]:
    """A wall, a shoulder, a neck and a bottom."""
    radius, height = random.uniform(0.18, 0.3), random.uniform(0.5, 0.8)
    neck, slope, rise = random.uniform(0.06, 0.1), random.uniform(0.1, 0.25), random.uniform(0.15, 0.3)
    return [
        disc("bottom", radius, -1.0),
        tube("wall", radius, radius, height),
        tube("shoulder", radius, neck, slope).moved((0, 0, height)),
        tube("neck", neck, neck, rise).moved((0, 0, height + slope)),
    ]


def hammer(random: Random) -> list[Surface]:
    """A pole with a block across its end."""
    height, thick = random.uniform(0.8, 1.2), random.uniform(0.03, 0.05)
    width, block = random.uniform(0.35, 0.55), random.uniform(0.12, 0.2)
    pole = tube("pole", thick, thick, height)
    return [pole, box("block", (width, block, block)).moved((random.uniform(-0.1, 0.1) * width, 0, height + block / 2))]


def plane(random: Random) -> list[Surface]:
    """A tube with a nose, two wings, and a fin and two small wings at the end."""
    length, radius = random.uniform(0.9, 1.3), random.uniform(0.06, 0.1)
    span, chord, back = random.uniform(0.9, 1.4), random.uniform(0.18, 0.3), random.uniform(0.05, 0.15)
    tail, fin = random.uniform(0.3, 0.5), random.uniform(0.18, 0.3)
    return [
        tube("body", radius, radius, length).moved((-length / 2, 0, radius), about(1, np.pi / 2)),
        tube("nose", radius, 0.01, 0.2).moved((length / 2, 0, radius), about(1, np.pi / 2)),
        box("wing", (chord, span, 0.03)).moved((back, 0, radius)),
        box("tail", (chord * 0.5, tail, 0.02)).moved((-length / 2 + chord / 4, 0, radius)),
        box("tail", (chord * 0.5, 0.02, fin)).moved((-length / 2 + chord / 4, 0, radius + radius + fin / 2)),
    ]


THINGS: dict[str, Callable[[Random], list[Surface]]] = {
    "table": table, "chair": chair, "bench": bench, "shelf": shelf, "lamp": lamp, "mug": mug, "bottle": bottle,
    "hammer": hammer, "plane": plane,
}  # fmt: skip
PARTS = (
    "board", "leg", "back", "side", "foot", "pole", "shade", "wall", "bottom", "handle", "shoulder", "neck", "block",
    "body", "nose", "wing", "tail",
)  # fmt: skip
