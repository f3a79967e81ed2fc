"""Colours as hue, saturation and value."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-12


def rgb_to_hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns from -0.5 to 0.5 (red is 0), saturation and value of colours in [0, 1].

    A grey has no hue: saturation is 0 and the hue, some finite number, means nothing.

    Args:
        rgb: ``[B, 3, ...]``.

    Returns:
        Three tensors ``[B, 1, ...]``.
    """
    red, green, blue = rgb.split(1, 1)
    above, below = torch.maximum(green, blue), torch.minimum(green, blue)
    value = torch.maximum(above, red)
    chroma = value - torch.minimum(below, red)
    # Sixths of a turn away from red, without a branch on which channel is largest; green - blue says which
    # way.
    away = (above + torch.maximum(below, red) - 2 * red) / (chroma + _TINY) + 1
    return torch.copysign(away, green - blue) / 6, chroma / (value + _TINY), value


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Colours in [0, 1] from hue (turns, any real), saturation and value: ``[B, 1, ...]`` -> ``[B, 3, ...]``."""
    sixths = (hue - hue.round()) * 6
    missing = torch.cat([sixths.abs() - 1, 2 - (sixths + 1).abs(), 2 - (sixths - 1).abs()], 1).clamp(0, 1)
    return value - value * saturation * missing
