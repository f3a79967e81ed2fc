"""Encoders of volumes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.errors import OptionError, unknown
from tacit.modalities.volume.spec import Spec
from tacit.options import settle
from tacit.parts.transformer import Pieces, TokenNet
from tacit.parts.visible import VisibleBlock, VisibleConv, VisibleNorm, at_level, hide
from tacit.parts.wrapping import wrapped


def encoder_names() -> list[str]:
    """Names of the encoders: ``unet`` (the encoder of a residual U-Net) and ``vit`` (a transformer over patches, with
    tokens)."""
    return ["unet", "vit"]


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``vit`` where tokens are needed, else ``unet``."""
    return "vit" if tokens else "unet"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``[B, C, D, H, W] -> [B, dim]`` for the channels of ``spec``, of volumes of any size.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`UNetEncoder` or :class:`VolumeTransformer`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name == "unet":
        return UNetEncoder(spec.channels, spec.size, **settle(options, UNetEncoder, "encoder unet", skip=2))
    if name == "vit":
        return VolumeTransformer(spec.channels, spec.size, **settle(options, VolumeTransformer, "encoder vit", skip=2))
    raise unknown("encoder", name, encoder_names())


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on zeros of the spec's shape to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    return wrapped(module, torch.zeros(2, spec.channels, *spec.size))


class UNetEncoder(nn.Module):
    """The encoder of a residual U-Net: a convolution at full resolution, then residual blocks, each level at half the
    resolution of the one before with twice its features; the embedding is the mean over the coarsest level.

    It is made of layers that can leave hidden places out (:mod:`tacit.parts.visible`), so that masked methods for
    convolutions train the same weights.

    Args:
        channels: of the volumes.
        size: voxels along D, H and W that it is built for; it takes any other too.
        width: features of the finest level.
        depth: number of levels; by default down to about 4 voxels a side, at most 6.
        blocks: residual blocks of each level but the finest.
        widest: no level has more features than this.
        norm: ``group``, of 8 groups, or ``instance``, as the paper has it, which takes from every feature the mean over
            its places that the embedding is to be.

    Source: Isensee et al. 2024, nnU-Net Revisited: A Call for Rigorous Validation in 3D Medical Image Segmentation,
    with no residual block at full resolution, which would cost more than all the others.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int, int],
        *,
        width: int = 16,
        depth: int | None = None,
        blocks: int = 1,
        widest: int = 320,
        norm: Literal["group", "instance"] = "group",
    ) -> None:
        super().__init__()
        depth = depth if depth is not None else min(6, max(2, round(math.log2(max(size) / 4)) + 1))
        for name, value in (("width", width), ("depth", depth), ("blocks", blocks), ("widest", widest)):
            if value < 1:
                raise OptionError(f"{name} of the unet must be at least 1, not {value}")
        self.channels = channels
        self.widths = [min(width << level, widest) for level in range(depth)]
        self.groups = [math.gcd(8, w) if norm == "group" else w for w in self.widths]
        self.dim = self.widths[-1]
        self.stem = VisibleConv(channels, width, 3, 1, 1, bias=False)
        self.stem_norm = VisibleNorm(self.widths[0], self.groups[0])
        self.levels = nn.ModuleList()
        for (before, after), groups in zip(pairwise(self.widths), self.groups[1:], strict=True):
            first = VisibleBlock(before, after, 2, groups)
            self.levels.append(
                nn.ModuleList([first, *(VisibleBlock(after, after, 1, groups) for _ in range(blocks - 1))])
            )
        for part in self.modules():
            if isinstance(part, nn.Conv3d):
                nn.init.kaiming_normal_(part.weight, 0.01, nonlinearity="leaky_relu")

    def features(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """See :class:`tacit.parts.visible.PyramidEncoder`.

        Raises:
            ValueError: for a mask whose cells do not divide the volume and its coarser levels.
        """
        if x.device.type == "cpu":  # a third of the time, with few features
            x = x.contiguous(memory_format=torch.channels_last_3d)
        here = at_level(mask, x.shape[2:])
        h = F.leaky_relu(self.stem_norm(self.stem(hide(x, here), here), here))
        found = [h]
        for blocks in self.levels:
            here = at_level(mask, [-(-n // 2) for n in h.shape[2:]])
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, here)
            found.append(h)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, D, H, W] -> [B, dim]``."""
        return self.features(x)[-1].mean((2, 3, 4))


class VolumeTransformer(TokenNet):
    """A transformer over patches of voxels (:class:`tacit.parts.transformer.TokenNet`).

    A volume that patches do not divide is continued by its outermost voxels.

    Args:
        channels: of the volumes.
        size: voxels along D, H and W that it is built for; it takes any other too.
        patch: voxels along each side of a patch, or along D, H and W; by default an eighth of each side of the volume,
            from 4 to 16.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.

    Source: Dosovitskiy et al. 2020, An Image is Worth 16x16 Words, with patches of three axes.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int, int],
        *,
        patch: int | tuple[int, int, int] | None = None,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        if patch is None:
            sides = tuple(min(max(round(n / 8), 4), 16, n) for n in size)
        else:
            sides = (patch,) * 3 if isinstance(patch, int) else tuple(patch)
        if min(sides) < 1:
            raise OptionError(f"patch must be a positive number of voxels, or three of them, not {patch!r}")
        super().__init__(channels * math.prod(sides), width=width, depth=depth, heads=heads)
        self.patch = sides

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        """Patches along W first, then H, then D; a target is the ``C * p * p * p`` voxels of its patch."""
        beyond = [-n % p for n, p in zip(x.shape[2:], self.patch, strict=True)]
        if any(beyond):
            x = F.pad(x, (0, beyond[2], 0, beyond[1], 0, beyond[0]), mode="replicate")
        counts = [n // p for n, p in zip(x.shape[2:], self.patch, strict=True)]
        parts = x.unflatten(4, (counts[2], -1)).unflatten(3, (counts[1], -1)).unflatten(2, (counts[0], -1))
        target = parts.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4).flatten(1, 3)
        places = [(torch.arange(n, device=x.device) + 0.5) / n for n in counts]
        return Pieces(target, torch.cartesian_prod(*places))
