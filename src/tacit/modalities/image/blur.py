"""Gaussian blur of a batch, each sample with its own width."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from tacit.modalities.image.geometry import BLOCK, Bands, apply_bands


def kernel_size(side: int) -> int:
    """A tenth of the side, rounded to an odd number of pixels of at least 3 (23 at 224), as SimCLR has it."""
    return max(3, int(side * 0.1) // 2 * 2 + 1)


@functools.lru_cache(maxsize=16)
def _taps(side: int, radius: int, device: torch.device) -> Tensor:
    """``[radius + 1, side * side]``: which entries of a blur's matrix hold the weight at each distance.

    Pixels beyond the border are those reflected at the border pixels' centres; their weights add up.
    """
    out = torch.arange(side)[:, None]
    taps = torch.zeros(radius + 1, side, side)
    for offset in range(-radius, radius + 1):
        source = (out + offset).abs()
        source = torch.where(source >= side, 2 * (side - 1) - source, source)
        taps[abs(offset)].scatter_add_(1, source, torch.ones(side, 1))
    return taps.view(radius + 1, side * side).to(device)


def _bands(sigma: Tensor, side: int, kernel: int) -> Bands:
    radius = min(kernel // 2, side - 1)
    distance = torch.arange(radius + 1, device=sigma.device)
    weights = torch.exp(-0.5 * (distance / sigma[:, None]).square())
    weights = weights / (2 * weights.sum(1, keepdim=True) - weights[:, :1])
    matrices = (weights @ _taps(side, radius, sigma.device)).view(len(sigma), side, side)
    if sigma.device.type != "cpu" or side <= 2 * BLOCK:
        return Bands(matrices, [(0, side, 0, side)])
    starts = range(0, side, BLOCK)
    blocks = [(i, min(i + BLOCK, side), max(0, i - radius), min(side, i + BLOCK + radius)) for i in starts]
    return Bands(matrices, blocks)


def gaussian_blur(x: Tensor, sigma: Tensor, kernel: int | None = None) -> Tensor:
    """Convolve with a normalised Gaussian; borders are reflected.

    Args:
        x: ``[N, C, H, W]``.
        sigma: standard deviation in pixels, above 0, ``[N]``.
        kernel: size of the kernel in pixels, odd; by default :func:`kernel_size` of the shorter side.
    """
    height, width = x.shape[2:]
    kernel = kernel or kernel_size(min(height, width))
    rows = _bands(sigma, height, kernel)
    return apply_bands(x, rows, rows if height == width else _bands(sigma, width, kernel))
