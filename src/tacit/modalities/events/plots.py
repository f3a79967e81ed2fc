"""Histories drawn for the report."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.modalities.drawing import COLOURS, dots
from tacit.modalities.events.spec import Spec
from tacit.views.base import View


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: a dot an event, in time from left to right; higher up, the rarer the value of its first
    field (or, where all fields are numbers, the larger the first of them), the colour by the second field.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    x = view["x"].detach().float().cpu()
    valid = torch.arange(x.shape[2]) < view["length"].cpu()[:, None]
    time = x[:, 0] / x[:, 0].amax(1, keepdim=True).clamp_min(1e-12)
    if spec.categories:
        height = (x[:, 1] - 1) / max(spec.sizes[0] - 2, 1)
    else:
        height = x[:, 1] / 6 + 0.5 if spec.numbers else torch.full_like(time, 0.5)
    second = x[:, 2] if len(spec.categories) > 1 else torch.zeros_like(time)
    colour = COLOURS[(second.long() % len(COLOURS)).numpy()]
    xy = torch.stack((time, height), 2).numpy()
    small = dots(xy, colour, valid.numpy(), side // 2)  # each dot is two pixels wide
    return small.repeat(2, 1).repeat(2, 2)


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return (
        "A dot is an event. Time runs from left to right over the whole of each picture; the height is the value of "
        "the first field, the most frequent ones lowest."
    )
