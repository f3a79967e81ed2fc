"""Rows of tables as small mosaics for the report."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.modalities.drawing import COLOURS
from tacit.modalities.table.spec import Spec
from tacit.views.base import View

LOW, HIGH = np.array((0, 90, 170.0)), np.array((200, 85, 0.0))
MISSING = 225
WITHIN = 2.5
"""Standard deviations at which a number has its full colour."""


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: a tile a column, in the table's order.

    Numbers and dates go from blue (low) over white (mean) to orange (high), each value of a category has a colour, and
    what is missing is grey.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    x = view["x"].detach().float().cpu()
    layout, columns = spec.layout, spec.schema.columns
    missing = layout.missing(x).numpy()
    tiles = np.full((len(x), layout.count, 3), MISSING, np.uint8)
    for i, column in enumerate(columns):
        first = int(layout.first[i])
        if column.sort == "category":
            hot = x[:, first : first + len(column.values)]
            share = torch.tensor(column.shares) * column.scale
            code = (hot + share).argmax(1).numpy()
            tiles[:, i] = COLOURS[code % len(COLOURS)]
            missing[:, i] |= (hot == 0).all(1).numpy()
        else:
            score = x[:, first].numpy() * math.sqrt(len(column.parts or column.mean)) / WITHIN
            strength = np.clip(np.abs(score), 0, 1)[:, None]
            full = np.where(score[:, None] < 0, LOW, HIGH)
            tiles[:, i] = (255 + strength * (full - 255)).round().astype(np.uint8)
    tiles[missing] = MISSING
    across = math.ceil(math.sqrt(layout.count))
    canvas = np.full((len(x), side, side, 3), 255, np.uint8)
    edge = np.arange(across + 1) * side // across
    for i in range(layout.count):
        row, at = divmod(i, across)
        gap = int(side >= 4 * across)
        canvas[:, edge[row] : edge[row + 1] - gap, edge[at] : edge[at + 1] - gap] = tiles[:, i, None, None]
    return canvas


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return (
        "A tile is a column, in the table's order. Numbers and dates: blue is low, white the mean, orange high; "
        "categories: a colour a value; grey: missing."
    )
