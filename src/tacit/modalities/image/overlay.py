"""Pieces of other images laid over each view: clutter that no two views share.

Where images are cluttered, the clutter tells each image from all others, and a contrastive method learns it in place
of the thing in the middle. Clutter that changes from view to view takes that shortcut away.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.parts import ranks
from tacit.parts.draws import Draws

SIDES = (0.15, 0.4)
"""Range of a piece's sides as shares of the image's."""
LIGHT = (0.2, 1.0)
"""Range of a piece's brightness as a share of what it was."""


def overlay(x: Tensor, draws: Draws, views: int, pieces: int) -> Tensor:
    """``views`` copies of a batch, each with its own pieces of other images of the batch (of all ranks) on it.

    A piece is a rectangle of another image at the place where it was, dimmed; of it and the image below, the lighter
    is seen in each pixel. This suits light marks on a dark ground.

    Args:
        x: uint8 or float ``[B, C, h, w]``.
        pieces: how many a view.

    Returns:
        ``[views * B, C, h, w]`` of the same type, one view after the other.
    """
    count, _, height, width = x.shape
    everyone = ranks.gather(x)
    u = draws.on("cpu").uniform(count, views, pieces, 6).transpose(0, 1).flatten(0, 1).to(x.device)
    out = x.repeat(views, 1, 1, 1)
    low, high = SIDES
    for piece in u.unbind(1):
        other = everyone[(piece[:, 0] * len(everyone)).long()]
        sides = low + (high - low) * piece[:, 1:3]
        start = piece[:, 3:5] * (1 - sides)
        rows, columns = (_inside(start[:, axis], sides[:, axis], length) for axis, length in enumerate((height, width)))
        light = LIGHT[0] + (LIGHT[1] - LIGHT[0]) * piece[:, 5]
        window = (rows[:, :, None] & columns[:, None, :]) * light[:, None, None]
        out = torch.maximum(out, (other * window[:, None]).to(x.dtype))
    return out


def _inside(start: Tensor, side: Tensor, length: int) -> Tensor:
    """Which of ``length`` pixels lie in ``[start, start + side)`` of the unit interval: bool ``[N, length]``."""
    centre = torch.arange(0.5, length, device=start.device) / length
    return (centre >= start[:, None]) & (centre < (start + side)[:, None])
