"""Images without an encoder: the yardstick that every encoder is measured against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from tacit.modalities.image.encoders import wrap
from tacit.modalities.image.spec import Spec
from tacit.views.base import View

SIDE = 32


def raw(view: View) -> Tensor:
    """Pixels as vectors: ``[B, C*h*w]``; larger images are averaged down to 32 pixels a side."""
    x = view["x"]
    height, width = x.shape[2:]
    small = adaptive_avg_pool2d(x, (min(height, SIDE), min(width, SIDE))) if max(height, width) > SIDE else x
    return small.flatten(1)


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on black images of the spec's shape to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, h, w]``.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    return wrap(module, torch.zeros(2, spec.channels, *spec.size, device=device))
