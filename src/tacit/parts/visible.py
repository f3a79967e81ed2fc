"""Convolutions that see only what is visible: features of a volume do not depend on what is hidden in it.

A mask (``[B, 1, D, H, W]``, 1 where visible) is given to every layer; None stands for all of it. After a layer, what is
hidden is zero, so that the next one sees zeros there, as it does beyond the border. With all of it visible, layers are
ordinary convolutions and norms with the same weights.

Source: Wald et al. 2024, Revisiting MAE pre-training for 3D medical image segmentation, after Tian et al. 2023,
Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@runtime_checkable
class PyramidEncoder(Protocol):
    """An encoder of volumes by convolutions that gives features at several resolutions, each half of the one before.

    Attributes:
        channels: of the input.
        widths: features of each level, the finest first.
        groups: of the norms of each level.
    """

    channels: int
    widths: list[int]
    groups: list[int]

    def features(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Features of each level, ``[B, widths[l], D / 2^l, H / 2^l, W / 2^l]`` (rounded up); zero where hidden.

        ``mask``: bool ``[B, 1, d, h, w]``, a coarser grid of which each cell is visible or not as a whole.
        """


def at_level(mask: Tensor | None, sides: Sequence[int]) -> Tensor | None:
    """A mask on a grid of so many places: each cell over all that lie in it; None where the grid is coarser than the
    mask, and what is hidden cannot be told from the rest any more."""
    if mask is None or any(n < m for n, m in zip(sides, mask.shape[2:], strict=True)):
        return None
    if any(n % m for n, m in zip(sides, mask.shape[2:], strict=True)):
        raise ValueError(f"a mask of {list(mask.shape[2:])} cells does not divide {list(sides)} places")
    for axis, n in enumerate(sides, 2):
        mask = mask.repeat_interleave(n // mask.shape[axis], axis)
    return mask


def hide(x: Tensor, mask: Tensor | None) -> Tensor:
    """``x`` with zeros where the mask hides it."""
    return x if mask is None else x.masked_fill(~mask, 0)


class VisibleConv(nn.Conv3d):
    """A convolution after which what is hidden is zero; ``mask`` is that of the output."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return hide(super().forward(x), mask)


class VisibleNorm(nn.Module):
    """Group norm whose mean and variance are over visible places alone; hidden ones stay zero.

    Args:
        width: of the features.
        groups: that are normalised together; ``width`` of them make an instance norm.

    Shape: ``[B, width, D, H, W]``, and ``mask`` bool ``[B, 1, D, H, W]`` or None.
    """

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return torch.group_norm(x, self.groups, self.weight.to(x.dtype), self.bias.to(x.dtype), 1e-5)
        parts = x.float().unflatten(1, (self.groups, -1))
        seen = mask[:, :, None]
        count = seen.flatten(1).sum(1).clamp_min(1)[:, None, None, None, None, None] * parts.shape[2]
        mean = hide(parts, seen).sum((2, 3, 4, 5), keepdim=True) / count
        off = hide(parts - mean, seen)
        variance = off.square().sum((2, 3, 4, 5), keepdim=True) / count
        normal = (off * torch.rsqrt(variance + 1e-5)).flatten(1, 2)
        weight, bias = (v[:, None, None, None] for v in (self.weight, self.bias))
        return hide(normal * weight + bias, mask).to(x.dtype)


class VisibleBlock(nn.Module):
    """Two convolutions with norms and a way past them, halving the resolution at ``stride`` 2.

    Source: the residual blocks of Isensee et al. 2024, nnU-Net Revisited: after a stride the way past averages over
    2x2x2 places.
    """

    def __init__(self, inputs: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = VisibleConv(inputs, width, 3, stride, 1, bias=False)
        self.second = VisibleConv(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(VisibleNorm(width, groups) for _ in range(2))
        self.past = VisibleConv(inputs, width, 1, bias=False) if inputs != width else None
        self.past_norm = VisibleNorm(width, groups) if inputs != width else None

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``[B, inputs, D, H, W] -> [B, width, ...]``; ``mask`` is that of the output."""
        h = F.leaky_relu(self.norms[0](self.first(x, mask), mask))
        h = self.norms[1](self.second(h, mask), mask)
        if self.stride > 1:
            x = F.avg_pool3d(x, [min(2, n) for n in x.shape[2:]], ceil_mode=True)
        if self.past is not None and self.past_norm is not None:
            x = self.past_norm(self.past(x, mask), mask)
        return F.leaky_relu(h + x)


class PyramidDecoder(nn.Module):
    """The other half of a U-Net: from the coarsest level up, each level's features beside what comes from below.

    Args:
        widths: features of each level, the finest first.
        outputs: channels of what comes out at the finest level.
        groups: of the norms, of each level.

    Shape: features of each level ``[B, widths[l], ...]`` ``-> [B, outputs, D, H, W]``.

    Source: Ronneberger et al. 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation.
    """

    def __init__(self, widths: Sequence[int], outputs: int, groups: Sequence[int]) -> None:
        super().__init__()
        self.up = nn.ModuleList(nn.ConvTranspose3d(below, here, 2, 2) for here, below in pairwise(widths))
        self.join = nn.ModuleList(nn.Conv3d(2 * width, width, 3, 1, 1, bias=False) for width in widths[:-1])
        self.norms = nn.ModuleList(VisibleNorm(w, g) for w, g in zip(widths[:-1], groups, strict=False))
        self.leave = nn.Conv3d(widths[0], outputs, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x = features[-1]
        for level in reversed(range(len(features) - 1)):
            here = features[level]
            d, h, w = here.shape[2:]
            x = self.up[level](x)[:, :, :d, :h, :w]  # an odd side was rounded up below
            x = F.leaky_relu(self.norms[level](self.join[level](torch.cat((here, x), 1))))
        return self.leave(x)


class UNet(nn.Module):
    """An encoder with levels and a decoder: a prediction for every voxel.

    Attributes:
        encoder: a :class:`PyramidEncoder`.
        decoder: a :class:`PyramidDecoder`.

    Shape: ``[B, C, D, H, W] -> [B, outputs, D, H, W]``.
    """

    def __init__(self, encoder: Any, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = PyramidDecoder(encoder.widths, outputs, encoder.groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder.features(x))
