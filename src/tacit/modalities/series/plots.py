"""Line plots of time series for the report."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.modalities.drawing import COLOURS, lines
from tacit.modalities.series.spec import Spec
from tacit.views.base import View

SHOWN = len(COLOURS)
"""Channels that are drawn, at most."""


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: a line a channel, the first six of them, three standard deviations up and down.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    x = view["x"][:, :SHOWN].detach().float().cpu()
    valid = None
    if "length" in view:
        valid = (torch.arange(x.shape[2]) < view["length"].cpu()[:, None]).numpy()
    return lines(x.numpy(), valid, side)


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return (
        "Time runs from left to right over the whole series; the border lies three standard deviations from the mean."
    )
