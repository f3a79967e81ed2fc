"""Line plots of trajectories for the report."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.modalities.drawing import COLOURS, lines
from tacit.modalities.trajectory.spec import Spec
from tacit.views.base import View

SHOWN = len(COLOURS)
"""Lines that are drawn, at most."""


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: a line a number, three standard deviations up and down: the first of the state, of the
    action and of the reward, and then others of the state up to six in all.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    starts = np.cumsum([0, *spec.parts[:-1]]).tolist()
    rest = [i for i in range(sum(spec.parts)) if i not in starts]
    x = view["x"][:, (starts + rest)[:SHOWN]].detach().float().cpu()
    valid = (torch.arange(x.shape[2]) < view["length"].cpu()[:, None]).numpy()
    return lines(x.numpy(), valid, side)


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return (
        "Steps run from left to right over the whole trajectory; the border lies three standard deviations from the "
        "mean. The first lines are the first number of the state, of the action and of the reward."
    )
