"""Volumes for the report: three slices and a projection of each."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tacit.modalities.volume.spec import Spec
from tacit.views.base import View

WITHIN = 2.5
"""Standard deviations below and above the mean that are drawn black and white."""


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw, the mean of the channels: the middle slices across each axis, and the mean along D.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    x = view["x"].detach().float().cpu().mean(1)
    cell = side // 2
    middle = [n // 2 for n in x.shape[1:]]
    slices = [x[:, middle[0]], x[:, :, middle[1]].flip(1), x[:, :, :, middle[2]].flip(1), x.mean(1)]
    # a mean over voxels varies less than a voxel
    slices[3] = slices[3] / slices[3].std((1, 2), keepdim=True).clamp_min(1e-6)
    canvas = torch.full((len(x), 2 * cell, 2 * cell), -WITHIN)
    for number, part in enumerate(slices):
        drawn = _inside(part, cell, max(x.shape[1:]))
        row, column = (number // 2) * cell, (number % 2) * cell
        top, left = row + (cell - drawn.shape[1]) // 2, column + (cell - drawn.shape[2]) // 2
        canvas[:, top : top + drawn.shape[1], left : left + drawn.shape[2]] = drawn
    grey = ((canvas / WITHIN + 1) / 2 * 255).clamp(0, 255).round().byte().numpy()
    return grey[..., None].repeat(3, -1)


def _inside(part: Tensor, cell: int, longest: int) -> Tensor:
    """Slices ``[B, h, w]`` made as large as fits, all of a volume by one factor."""
    size = [max(1, round(n * cell / longest)) for n in part.shape[1:]]
    return F.interpolate(part[:, None], size, mode="bilinear", antialias=True, align_corners=False)[:, 0]


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return (
        "Each picture shows the middle of a volume across D (top left), H (top right) and W (bottom left), the latter "
        "two with D upwards, and the mean along D (bottom right)."
    )
