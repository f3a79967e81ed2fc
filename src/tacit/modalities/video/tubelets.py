"""A video transformer over tubelets."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import OptionError
from tacit.modalities.video.spec import Spec
from tacit.parts.transformer import Pieces, TokenNet


class TubeletNet(TokenNet):
    """A transformer over tubelets: boxes of ``span`` frames by ``patch`` by ``patch`` pixels, all looking at all.

    What does not fill a box is filled with zeros, which are no target. Clips of any length and size are taken; a place
    in time counts in clips of the data's length, one in a frame in frames.

    Args:
        spec: of the data.
        patch: side of a tubelet in pixels; by default one that cuts a frame into about 4x4, and into more from 64
            pixels on, at most 16.
        span: frames of a tubelet.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.

    Source: Arnab et al. 2021, ViViT: A Video Vision Transformer, model 1; without class token, and with sines and
    cosines for positions.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        patch: int | None = None,
        span: int = 2,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        patch = patch_for(spec.size) if patch is None else patch
        if patch < 1 or span < 1:
            raise OptionError(f"patch and span must be at least 1, not {patch} and {span}")
        super().__init__(spec.channels * span * patch * patch, width=width, depth=depth, heads=heads)
        self.patch, self.span, self.far = patch, span, spec.frames

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        box = (self.span, self.patch, self.patch)
        grid = [-(-side // step) for side, step in zip(x.shape[2:], box, strict=True)]
        missing = [n * step - side for n, step, side in zip(grid, box, x.shape[2:], strict=True)]
        target = self._boxes(F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0])), grid)
        lines = [(torch.arange(n, device=x.device) + 0.5) / n for n in grid]
        lines[0] = lines[0] * grid[0] * self.span / self.far
        position = torch.cartesian_prod(*lines)
        known = None
        if any(missing):
            real = torch.ones(1, *x.shape[1:], dtype=torch.bool, device=x.device)
            padded = F.pad(real, (0, missing[2], 0, missing[1], 0, missing[0]))
            known = self._boxes(padded, grid).expand(len(x), -1, -1)
        return Pieces(target, position, known=known)

    def _boxes(self, x: Tensor, grid: list[int]) -> Tensor:
        """``[B, C, T, H, W] -> [B, N, C * span * patch * patch]``, the first box of each row of boxes first."""
        batch, channels = x.shape[:2]
        cut = x.reshape(batch, channels, grid[0], self.span, grid[1], self.patch, grid[2], self.patch)
        return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch, math.prod(grid), -1)


def patch_for(size: tuple[int, int]) -> int:
    """Side of a tubelet for frames of this size: a quarter of the shorter one up to 64 pixels, then 16; one that
    divides both where one is near."""
    wanted = min(max(min(size) / 4, 1), 16)
    near = [p for p in range(1, 17) if 2 / 3 <= p / wanted <= 3 / 2]
    return min(near, key=lambda p: (bool(size[0] % p or size[1] % p), abs(math.log(p / wanted))))
