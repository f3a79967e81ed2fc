"""Small pictures of samples drawn with numpy, for kinds of data that are no pictures.

A kind's ``plots`` module offers to the report

* ``as_seen(view, spec, side) -> uint8 [B, ...]``: what the encoder saw of each sample, made small: at most ``side``
  pixels a side. ``[B, h, w, 3]`` are colours; a kind that stores something else also offers ``tiles(stored, side)``,
  which makes ``[n, h, w, 3]`` of it. All views of a run must be stored in one shape.
* ``caption(stored) -> str``: what a reader must know to read the pictures; may be left out
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

PAPER = 255
COLOURS = np.array(
    [(26, 128, 196), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0)], dtype=np.uint8
)
"""Okabe & Ito's colours for colour-blind readers, the blue lifted."""


def lines(values: NDArray[np.floating], valid: NDArray[np.bool_] | None, side: int, within: float = 3.0) -> Picture:
    """Line plots of many samples at once.

    Args:
        values: ``[B, C, T]``; a line a channel, in the colours of :data:`COLOURS` in turn, later ones on top. What is
            not finite is left out.
        valid: bool ``[B, T]``, where there are values; None: everywhere.
        side: width and height in pixels.
        within: what lies at the upper border; its negative lies at the lower one, and what lies beyond at the border.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    batch, channels, length = values.shape
    canvas = np.full((batch, side, side, 3), PAPER, np.uint8)
    if valid is None:
        valid = np.ones((batch, length), bool)
    counts = valid.sum(1)
    # each column of pixels shows the range of the values that fall into it, and the way to the next one
    low_at = (np.arange(side) * counts[:, None] // side).clip(0, length - 1)
    high_at = np.maximum((np.arange(1, side + 1) * counts[:, None] + side - 1) // side, low_at + 1)
    widest = int((high_at - low_at).max()) + 1
    rows = np.arange(side)[None, :, None]
    last = np.maximum(counts - 1, 0)[:, None]
    for channel in range(channels):
        top = np.full((batch, side), -np.inf)
        bottom = np.full((batch, side), np.inf)
        for step in range(widest):
            at = np.minimum(np.minimum(low_at + step, high_at), last)
            value = np.take_along_axis(values[:, channel], at, axis=1)
            known = np.isfinite(value)
            top = np.where(known, np.maximum(top, value), top)
            bottom = np.where(known, np.minimum(bottom, value), bottom)
        seen = np.isfinite(top) & np.isfinite(bottom)
        first = ((1 - np.where(seen, top, 0) / within) / 2 * (side - 1)).round().clip(0, side - 1)
        final = ((1 - np.where(seen, bottom, 0) / within) / 2 * (side - 1)).round().clip(0, side - 1)
        inked = (rows >= first[:, None]) & (rows <= final[:, None]) & seen[:, None]
        canvas[inked] = COLOURS[channel % len(COLOURS)]
    return canvas


def dots(xy: NDArray[np.floating], colour: NDArray[np.uint8], valid: NDArray[np.bool_] | None, side: int) -> Picture:
    """Scatter plots of many samples at once.

    Args:
        xy: ``[B, N, 2]`` in [0, 1], right and up; what lies beyond is drawn at the border.
        colour: ``[B, N, 3]``, or ``[3]`` for all; later dots lie on top.
        valid: bool ``[B, N]``; None: all.
        side: width and height in pixels.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    batch, count = xy.shape[:2]
    canvas = np.full((batch, side, side, 3), PAPER, np.uint8)
    shown = np.isfinite(xy).all(2) if valid is None else valid & np.isfinite(xy).all(2)
    place = (np.nan_to_num(xy).clip(0, 1) * (side - 1)).round().astype(np.int64)
    sample, point = np.nonzero(shown)
    column, row = place[sample, point, 0], side - 1 - place[sample, point, 1]
    canvas[sample, row, column] = np.broadcast_to(colour, (batch, count, 3))[sample, point]
    return canvas


def heat(values: NDArray[np.floating], side: int, low: float, high: float) -> Picture:
    """Matrices ``[B, rows, columns]`` as grey pictures, ``low`` white and ``high`` black, the first row at the top:
    uint8 ``[B, h, w, 3]``; larger ones are thinned to ``side`` rows and columns."""
    pick = [np.linspace(0, n - 1, min(n, side)).round().astype(np.int64) for n in values.shape[1:]]
    small = np.nan_to_num(values[:, pick[0]][:, :, pick[1]], nan=low)
    grey = (255 * (1 - (small - low) / max(high - low, 1e-12))).clip(0, 255).round().astype(np.uint8)
    return grey[..., None].repeat(3, -1)
