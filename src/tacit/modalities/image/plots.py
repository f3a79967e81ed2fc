"""Pictures of images for people: thumbnails, and what an encoder saw."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError
from tacit.modalities.image.spec import Spec
from tacit.views.base import View


def display_range(x: Tensor) -> tuple[Tensor, Tensor]:
    """The values to show as black and as white, each ``[C]``.

    Pictures in uint8, and floats within [0, 1], are shown as they are. Other floats (Hounsfield units,
    counts) are stretched channel by channel between their 1st and 99th percentiles, which one odd pixel
    cannot move.
    """
    channels = x.shape[1]
    if x.dtype == torch.uint8:
        return torch.zeros(channels), torch.full((channels,), 255.0)
    values = x.detach().float().movedim(1, 0).flatten(1)
    finite = values[torch.isfinite(values)]
    if not finite.numel() or (finite.min() >= -1e-3 and finite.max() <= 1 + 1e-3):
        return torch.zeros(channels), torch.ones(channels)
    bounds = [np.nanpercentile(_finite(row), (1, 99)) for row in values.cpu().numpy()]
    low, high = torch.tensor(np.asarray(bounds), dtype=torch.float32).T
    return low, torch.where(high > low, high, low + 1)


def thumbnails(x: Tensor, side: int = 64, within: tuple[Tensor, Tensor] | None = None) -> NDArray[np.uint8]:
    """Small copies of a batch of images, every channel kept.

    Args:
        x: ``[B, C, H, W]``, uint8 or float; missing (non-finite) pixels become black.
        side: the longer side of the result in pixels, at most; images are never enlarged.
        within: the values that become 0 and 255, each ``[C]``; by default :func:`display_range`.

    Returns:
        uint8 ``[B, C, h, w]``.

    Raises:
        DataError: if ``x`` is not a batch of images.
    """
    if x.ndim != 4:
        raise DataError(f"thumbnails need a batch of images [B, C, H, W], not an array of shape {list(x.shape)}")
    low, high = (bound[:, None, None].to(x.device) for bound in (within or display_range(x)))
    values = torch.nan_to_num((x.detach().float() - low) / (high - low), nan=0.0).clamp(0, 1)
    height, width = x.shape[2:]
    shrink = min(1.0, side / max(height, width))
    if shrink < 1:
        size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
        values = F.interpolate(values, size=size, mode="bilinear", antialias=True, align_corners=False)
    pixels: NDArray[np.uint8] = (values * 255).round().clamp(0, 255).byte().cpu().numpy()
    return pixels


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """Views as the encoder saw them: normalisation with the data's statistics undone, made small.

    Black and white are 0 and 1; where the statistics tell that pixels reach beyond, two and a half standard
    deviations below and above each channel's mean. They depend on the spec alone: all views of a run compare.

    Args:
        view: its ``x`` is normalised, ``[B, C, H, W]``.
        spec: the spec whose ``mean`` and ``std`` normalised them.
        side: the longer side of the result in pixels, at most.

    Returns:
        uint8 ``[B, C, h, w]``.
    """
    x = view["x"]
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    # no variable within [0, 1] varies more than this
    bounded = bool(((mean >= 0) & (mean <= 1) & (std.square() <= mean * (1 - mean) + 1e-4)).all())
    within = (torch.zeros_like(mean), torch.ones_like(mean)) if bounded else (mean - 2.5 * std, mean + 2.5 * std)
    scale, shift = (v[:, None, None].to(x.device) for v in (std, mean))
    return thumbnails(x.detach().float() * scale + shift, side, within)


def to_rgb(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures ``[n, C, h, w]`` of any number of channels as ``[n, h, w, 3]``.

    One channel becomes grey, two become the grey of their mean, of three or more the first three are red,
    green and blue.
    """
    if x.shape[1] < 3:
        x = x.mean(axis=1, keepdims=True).round().astype(np.uint8).repeat(3, axis=1)
    return np.ascontiguousarray(x[:, :3].transpose(0, 2, 3, 1))


def caption(stored: NDArray[np.uint8]) -> str:
    """How :func:`to_rgb` shows the channels of ``[n, C, h, w]``; empty where there is nothing to say."""
    channels = stored.shape[1]
    if channels in (1, 3):
        return ""
    if channels == 2:
        return "The images have 2 channels; their mean is shown in grey."
    return f"The images have {channels} channels; the first three are shown as red, green and blue."


def tiles(stored: NDArray[np.uint8], side: int = 64) -> NDArray[np.uint8]:
    """Stored thumbnails ``[n, C, h, w]`` as RGB ``[n, h', w', 3]`` with sides of at most ``side`` pixels."""
    rgb = to_rgb(stored)
    if max(rgb.shape[1:3]) <= side:
        return rgb
    small = thumbnails(torch.from_numpy(rgb.transpose(0, 3, 1, 2)), side)
    return np.ascontiguousarray(small.transpose(0, 2, 3, 1))


def _finite(row: NDArray[np.floating]) -> NDArray[np.floating]:
    kept = row[np.isfinite(row)]
    return kept if kept.size else np.zeros(1, row.dtype)
