"""Spectrograms for the report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tacit.modalities.audio.frontend import Frames
from tacit.modalities.audio.spec import Spec
from tacit.modalities.drawing import PAPER, heat
from tacit.views.base import View

MELS = 32


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: the log-mel spectrogram of the mean of the channels, low sounds at the bottom.

    Returns:
        uint8 ``[B, h, side, 3]``.
    """
    x = view["x"].detach().float().cpu().mean(1, keepdim=True)
    hop = max(1, -(-spec.length // side))
    length = view["length"].cpu() if "length" in view else None
    found, count = Frames(spec.rate, MELS, spec.level, spec.spread, hop)(x, length)
    values = found[:, 0].flip(1).numpy()
    drawn = np.full((len(values), MELS, side), -2.0, np.float32)
    drawn[:, :, : values.shape[2]] = values[:, :, :side]
    tall = drawn.repeat(max(1, side // (2 * MELS)), axis=1)
    made = heat(tall, side, -2.0, 2.5)
    if count is not None:
        made[np.broadcast_to((np.arange(side) >= count.numpy()[:, None])[:, None], made.shape[:3])] = PAPER - 25
    return made


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return (
        "Time runs from left to right, up to the length of the longest recording (grey: nothing there); low sounds are "
        "at the bottom, and loud ones are dark."
    )
