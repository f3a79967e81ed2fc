"""Colours as hue, saturation and value."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-8


def rgb_to_hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, all in [0, 1], of colours in [0, 1]: ``[B, 3, ...]`` -> three ``[B, 1,
    ...]``.

    The hue of a grey is 0; its saturation is 0, so a shift of its hue changes nothing.
    """
    red, green, blue = rgb.split(1, 1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    scale = spread.clamp_min(_TINY).reciprocal()
    hue = torch.where(
        value == red,
        (green - blue) * scale,
        torch.where(value == green, (blue - red) * scale + 2, (red - green) * scale + 4),
    )
    return (hue / 6).remainder(1), spread / value.clamp_min(_TINY), value


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """RGB in [0, 1] from hue (any real, its fraction counts), saturation, value: ``[B, 1, ...]`` -> ``[B, 3, ...]``."""
    offset = torch.tensor([5.0, 3.0, 1.0], device=hue.device, dtype=hue.dtype)
    sector = (hue * 6 + offset.view(3, *[1] * (hue.ndim - 2))).remainder(6)
    return value - value * saturation * torch.minimum(sector, 4 - sector).clamp(0, 1)
