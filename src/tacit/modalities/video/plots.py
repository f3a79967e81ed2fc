"""Frames of clips for the report."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from tacit.modalities.video.spec import Spec
from tacit.views.base import View

LINE = 1


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: frames evenly spaced in time, in rows of two or three, normalisation undone.

    Black and white are 0 and 1 where the data's statistics fit that, else two and a half standard deviations below
    and above each channel's mean.

    Returns:
        uint8 ``[B, h, w, 3]``, at most ``side`` pixels a side; as large for every view of a run.
    """
    x = view["x"].detach().float().cpu()
    across = 3 if spec.frames >= 9 else 2
    at = torch.linspace(0, x.shape[2] - 1, across * across).round().long()
    mean, std = (torch.tensor(v)[:, None, None, None] for v in (spec.mean, spec.std))
    bounded = bool(((mean >= 0) & (mean <= 1) & (std.square() <= mean * (1 - mean) + 1e-4)).all())
    low, high = (torch.zeros_like(mean), torch.ones_like(mean)) if bounded else (mean - 2.5 * std, mean + 2.5 * std)
    values = ((x[:, :, at] * std + mean - low) / (high - low)).clamp(0, 1)
    values = values[:, :3] if values.shape[1] >= 3 else values.mean(1, keepdim=True).expand(-1, 3, -1, -1, -1)
    most = max(1, (side - LINE * (across - 1)) // across)
    shrink = min(1.0, most / max(spec.size))
    height, width = (max(1, math.floor(s * shrink)) for s in spec.size)
    frames = values.transpose(1, 2).flatten(0, 1)
    if tuple(frames.shape[2:]) != (height, width):
        frames = F.interpolate(frames, (height, width), mode="bilinear", antialias=True, align_corners=False)
    cells = (frames.clamp(0, 1) * 255).round().byte().unflatten(0, (len(x), across, across)).permute(0, 1, 2, 4, 5, 3)
    made = np.full((len(x), across * (height + LINE) - LINE, across * (width + LINE) - LINE, 3), 255, np.uint8)
    for row in range(across):
        for column in range(across):
            top, left = row * (height + LINE), column * (width + LINE)
            made[:, top : top + height, left : left + width] = cells[:, row, column].numpy()
    return made


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return "Each picture shows frames of one clip, evenly spaced in time; read them like lines of text."
