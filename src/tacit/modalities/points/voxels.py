"""A sparse U-Net over the occupied cells of a cloud."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.modalities.points.pointnet import real_points
from tacit.modalities.points.spec import Spec
from tacit.parts.voxels import Block, Cells, Coarser, Finer, Pyramid, occupied, sampled


class VoxelNet(nn.Module):
    """Residual convolutions over occupied cells, at sizes each twice the one before, and back; the embedding is the
    mean of what every level of the way back gives, over the cells of the level.

    Norms are over the features of one cell, so that neither padding nor other samples change what a sample gives.

    Args:
        spec: of the data.
        cell: side of the smallest cells, where 1 is the size of a cloud or of all clouds on average (root mean square
            distance from the middle).
        widths: features at each size, the finest first.

    Source: the U-Net of Choy et al. 2019, 4D Spatio-Temporal ConvNets: Minkowski Convolutional Neural Networks, made
    small; what cells know of their points, and the mean over levels, are this library's.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(self, spec: Spec, *, cell: float = 0.15, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        super().__init__()
        if not cell > 0 or not widths or min(widths) < 1:
            raise OptionError(f"cell must be positive and widths at least 1, not {cell} and {widths}")
        self.cell, self.widths = cell, tuple(widths)
        self.dim, self.target_dim = sum(widths), spec.channels
        self.enter = nn.Linear(spec.channels + 1, widths[0])
        self.down = nn.ModuleList(Block(width) for width in widths)
        self.coarser = nn.ModuleList(Coarser(a, b) for a, b in pairwise(widths))
        self.finer = nn.ModuleList(Finer(b, a) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Block(width) for width in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, 3 + F, N] -> [B, dim]``."""
        pyramid, levels = self.hierarchy(x, length)
        rows = []
        for cells, features in zip(pyramid.levels, levels, strict=True):
            total = features.new_zeros(len(x), features.shape[1]).index_add(0, cells.sample, features)
            rows.append(total / cells.counts()[:, None])
        return torch.cat(rows, 1)

    def hierarchy(self, x: Tensor, length: Tensor | None = None) -> tuple[Pyramid, list[Tensor]]:
        """The cells of every size, and what the network gives for each, the finest first."""
        cells, entry = self.entry(x, length)
        pyramid = Pyramid(cells, len(self.widths))
        return pyramid, self.decode(pyramid, self.encode(pyramid, entry))

    def points(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """Features of every point: those of all levels by trilinear interpolation, ``[B, N, dim]``, the finest first,
        zero for padding.

        Source: Hermosilla et al. 2025, Masked Scene Modeling, section 3.
        """
        pyramid, levels = self.hierarchy(x, length)
        real = real_points(x, length)
        sample, at = real.nonzero(as_tuple=True)
        found = sampled(levels, pyramid, sample, x[sample, :3, at].float())
        out = found.new_zeros(*real.shape, self.dim)
        out[sample, at] = found
        return out

    def entry(self, x: Tensor, length: Tensor | None = None) -> tuple[Cells, Tensor]:
        """The smallest cells, and the mean of their points: where in the cell (from -1 to 1), and their features."""
        real = real_points(x, length)
        cells, inside = occupied(x[:, :3], real, self.cell)
        sample, at = real.nonzero(as_tuple=True)
        features = x[sample, 3:, at].float()
        mean = features.new_zeros(len(cells), features.shape[1]).index_add_(0, inside, features)
        place = (2 * (cells.position / self.cell - cells.cell) - 1).clamp(-1, 1)
        return cells, torch.cat((place, mean / cells.points[:, None]), 1)

    def encode(self, pyramid: Pyramid, entry: Tensor) -> list[Tensor]:
        """What the way down gives at each level: ``[V_l, widths[l]]``."""
        h = self.enter(nn.functional.pad(entry, (0, 1), value=1.0))
        given = []
        for i, (cells, block) in enumerate(zip(pyramid.levels, self.down, strict=True)):
            if i:
                h = self.coarser[i - 1](h, pyramid.levels[i - 1], pyramid.parents[i - 1], len(cells))
            h = block(h, cells)
            given.append(h)
        return given

    def decode(self, pyramid: Pyramid, skips: list[Tensor]) -> list[Tensor]:
        """What the way back makes of what the way down gave: ``[V_l, widths[l]]``, the finest first."""
        h, given = None, list[Tensor]()
        for i in reversed(range(len(self.widths))):
            add = skips[i]
            if h is not None:
                add = add + self.finer[i](h, pyramid.levels[i], pyramid.parents[i])
            h = self.up[i](add, pyramid.levels[i])
            given.append(self.norms[i](h))
        return given[::-1]
