"""Gaussian blur of a batch, each sample with its own width."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tacit.modalities.image.geometry import blocks
from tacit.modalities.image.memory import scratch


def kernel_size(side: int) -> int:
    """A tenth of the side, rounded to an odd number of pixels of at least 3 (23 at 224), as SimCLR has it."""
    return max(3, int(side * 0.1) // 2 * 2 + 1)


def gaussian_blur(x: Tensor, sigma: Tensor, kernel: int | None = None, out: Tensor | None = None) -> Tensor:
    """Convolve with a normalised Gaussian; borders are reflected.

    Args:
        x: ``[N, C, H, W]``.
        sigma: standard deviation in pixels, above 0, ``[N]``.
        kernel: size of the kernel in pixels, odd; by default :func:`kernel_size` of the shorter side. It is
            cut where the image is too small to reflect it.
        out: where to write the result; it may be ``x``.
    """
    n, channels, height, width = x.shape
    kernel = kernel or kernel_size(min(height, width))
    tall, wide = (min(kernel // 2, side - 1) for side in (height, width))
    x = functional.pad(x, (wide, wide, tall, tall), mode="reflect")
    across = scratch("wide", n, channels * (height + 2 * tall), width, device=x.device)
    _convolve(x.flatten(1, 2).transpose(1, 2), _weights(sigma, wide), across.transpose(1, 2))
    across = across.view(n * channels, height + 2 * tall, width)
    out = x.new_empty(n, channels, height, width) if out is None else out
    _convolve(across, _weights(sigma, tall).repeat_interleave(channels, 0), out.view(n * channels, height, width))
    return out


def _weights(sigma: Tensor, radius: int) -> Tensor:
    """Weights at the distances ``0 .. radius``, ``[N, radius + 1]``; with both sides they add up to one."""
    distance = torch.arange(0.0, radius + 1, device=sigma.device)
    weights = torch.exp((distance / sigma[:, None]).square() * -0.5)
    return weights / (2.0 * weights.sum(1, keepdim=True) - weights[:, :1])


def _convolve(x: Tensor, weights: Tensor, out: Tensor) -> None:
    """Convolve along dimension 1, ``[M, H + 2 radius, W] -> [M, H, W]``, some rows at a time.

    As products of matrices: each block of rows is one band matrix, the same for all blocks, times the rows around it.
    """
    radius, side = weights.shape[1] - 1, out.shape[1]
    parts = blocks(side, x.device)
    rows = torch.arange(parts[0][1], device=x.device)
    columns = torch.arange(len(rows) + 2 * radius, device=x.device)
    distance = (columns - rows[:, None] - radius).abs()
    band = functional.pad(weights, (0, 1))[:, distance.clamp_max(radius + 1)]
    for low, high in parts:
        count = high - low
        part = torch.bmm(band[:, :count, : count + 2 * radius], x[:, low : high + 2 * radius])
        out[:, low:high] = part
