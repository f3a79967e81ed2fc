"""Occupied cells of space, their neighbours, and convolutions over them, with gather and scatter alone."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

HALF = 1 << 14
"""Cells are numbered from -HALF to HALF along each axis; what lies beyond is put into the last one."""
AROUND = tuple(itertools.product((-1, 0, 1), repeat=3))
"""A cell and its neighbours; the opposite of number k is number 26 - k."""
CORNERS = tuple(itertools.product((0, 1), repeat=3))


def keys_of(sample: Tensor, cell: Tensor) -> Tensor:
    """One number for each cell of each sample (int64 ``[V]`` and ``[V, 3]``), in order of the samples."""
    x, y, z = (cell.clamp(-HALF - 1, HALF) + HALF + 1).unbind(-1)  # neighbours of the last cells are beyond
    return ((sample * 4 * HALF + x) * 4 * HALF + y) * 4 * HALF + z


@dataclass(frozen=True, eq=False)
class Cells:
    """The occupied cells of a batch at one size, in order of their keys.

    Attributes:
        sample: which sample each is of, int64 ``[V]``, in ascending order.
        cell: its place on the grid, int64 ``[V, 3]``.
        position: the mean place of the points in it, ``[V, 3]``.
        points: how many points are in it, ``[V]``.
        size: side of a cell, in the unit of places.
        samples: how many there are in the batch, B.
    """

    sample: Tensor
    cell: Tensor
    position: Tensor
    points: Tensor
    size: float
    samples: int

    def __len__(self) -> int:
        return len(self.sample)

    @functools.cached_property
    def keys(self) -> Tensor:
        """See :func:`keys_of`; ascending."""
        return keys_of(self.sample, self.cell)

    def find(self, sample: Tensor, cell: Tensor) -> Tensor:
        """Which of the cells lie at some places of the grid, int64 ``[...]``; -1 where there is none."""
        wanted = keys_of(sample, cell)
        if not len(self):
            return torch.full_like(wanted, -1)
        at = torch.searchsorted(self.keys, wanted).clamp_max(len(self) - 1)
        return torch.where(self.keys[at] == wanted, at, -1)

    @functools.cached_property
    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """For the first 13 of :data:`AROUND`: cells, and their neighbours there."""
        found = []
        for offset in AROUND[:13]:
            there = self.find(self.sample, self.cell + torch.tensor(offset, device=self.cell.device))
            here = (there >= 0).nonzero()[:, 0]
            found.append((here, there[here]))
        return found

    def counts(self) -> Tensor:
        """How many cells each sample has: int64 ``[B]``."""
        return torch.bincount(self.sample, minlength=self.samples)

    def places(self) -> Tensor:
        """The place of each cell among those of its sample, int64 ``[V]``."""
        counts = self.counts()
        return torch.arange(len(self), device=self.sample.device) - (counts.cumsum(0) - counts)[self.sample]

    def select(self, kept: Tensor) -> Cells:
        """Those that ``kept`` (bool ``[V]``) says."""
        rows = (self.sample[kept], self.cell[kept], self.position[kept], self.points[kept])
        return Cells(*rows, self.size, self.samples)

    def coarser(self) -> tuple[Cells, Tensor]:
        """Cells of twice the size, and which of these each is in (int64 ``[V]``)."""
        above = torch.div(self.cell, 2, rounding_mode="floor")
        return joined_cells(self.sample, above, self.position, self.points, 2 * self.size, self.samples)

    def octants(self) -> list[Tensor]:
        """Which cells lie in each of the eight corners of one of twice the size."""
        part = self.cell % 2
        corner = (part[:, 0] * 2 + part[:, 1]) * 2 + part[:, 2]
        return [(corner == k).nonzero()[:, 0] for k in range(8)]


def joined_cells(
    sample: Tensor, cell: Tensor, position: Tensor, weight: Tensor, size: float, samples: int
) -> tuple[Cells, Tensor]:
    """What lies in the same cell as one: int64 ``[P]`` and ``[P, 3]``, positions ``[P, 3]`` with weights ``[P]`` become
    cells and, for each of the P, which it is in."""
    cell = cell.clamp(-HALF, HALF - 1)
    _, inverse = torch.unique(keys_of(sample, cell), return_inverse=True)
    count = int(inverse.max()) + 1 if len(inverse) else 0
    first = torch.full((count,), len(inverse), device=cell.device).scatter_reduce(
        0, inverse, torch.arange(len(inverse), device=cell.device), "amin"
    )
    total = weight.new_zeros(count).index_add_(0, inverse, weight)
    mean = position.new_zeros(count, 3).index_add_(0, inverse, position * weight[:, None]) / total[:, None]
    return Cells(sample[first], cell[first], mean, total, size, samples), inverse


def occupied(places: Tensor, real: Tensor, size: float) -> tuple[Cells, Tensor]:
    """The cells of a batch of clouds that hold a point.

    Args:
        places: ``[B, 3, N]``.
        real: bool ``[B, N]``, which points are no padding.
        size: side of a cell.

    Returns:
        the cells, and which of them each real point is in, int64 ``[P]`` in the order of ``real.nonzero()``.
    """
    sample, at = real.nonzero(as_tuple=True)
    where = places[sample, :, at].float()
    cell = (where / size).clamp(-HALF, HALF).floor().long()
    return joined_cells(sample, cell, where, torch.ones_like(where[:, 0]), size, len(places))


class Pyramid:
    """Cells of several sizes, each twice the one before.

    Attributes:
        levels: :class:`Cells`, the finest first.
        parents: for all but the last, which cell of the next level each is in.
    """

    def __init__(self, finest: Cells, depth: int) -> None:
        self.levels, self.parents = [finest], list[Tensor]()
        for _ in range(depth - 1):
            above, parent = self.levels[-1].coarser()
            self.levels.append(above)
            self.parents.append(parent)


class SparseConv(nn.Module):
    """A convolution with a 3 x 3 x 3 kernel over occupied cells; what comes out is for the same cells.

    It gathers the features of neighbours and adds what it makes of them. At one offset no cell has two neighbours, so
    that sums do not depend on the order of the work.

    Source: the submanifold convolution of Graham & van der Maaten 2017, Submanifold Sparse Convolutional Networks.

    Shape: ``[V, width] -> [V, out]``.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(9 * width)  # about nine of the 27 are occupied near a surface
        self.weight = nn.Parameter(torch.empty(27, width, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor, cells: Cells) -> Tensor:
        total = x @ self.weight[13] + self.bias
        for k, (here, there) in enumerate(cells.pairs):
            total.index_add_(0, here, (x[there] @ self.weight[k]).to(total.dtype))
            total.index_add_(0, there, (x[here] @ self.weight[26 - k]).to(total.dtype))
        return total


class Coarser(nn.Module):
    """From cells to those of twice the size, with weights for each of the eight in one: ``[V, width] -> [W, out]``."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(3 * width)
        self.weight = nn.Parameter(torch.empty(8, width, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor, cells: Cells, parent: Tensor, count: int) -> Tensor:
        total = self.bias.expand(count, -1).clone()
        for k, rows in enumerate(cells.octants()):
            total.index_add_(0, parent[rows], (x[rows] @ self.weight[k]).to(total.dtype))
        return total


class Finer(nn.Module):
    """From cells to those of half the size, with weights for each of the eight in one: ``[W, width] -> [V, out]``."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(8, width, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor, cells: Cells, parent: Tensor) -> Tensor:
        total = self.bias.expand(len(cells), -1).clone()
        for k, rows in enumerate(cells.octants()):
            total.index_add_(0, rows, (x[parent[rows]] @ self.weight[k]).to(total.dtype))
        return total


class Block(nn.Module):
    """Two convolutions with norms over the features of a cell, added to what came in: ``[V, width]``, unchanged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.convs = nn.ModuleList(SparseConv(width, width) for _ in range(2))

    def forward(self, x: Tensor, cells: Cells) -> Tensor:
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(nn.functional.relu(norm(h)), cells)
        return x + h


@torch.no_grad()
def corners(cells: Cells, sample: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """The occupied cells whose middles lie around some places, and their weights in a trilinear interpolation.

    Args:
        cells: of one level.
        sample, places: int64 ``[P]`` and ``[P, 3]``.

    Returns:
        int64 ``[P, 8]`` and ``[P, 8]``; the weights are zero where a cell is not occupied and add up to 1, or to 0
        where none is.
    """
    where = places / cells.size - 0.5
    low = where.floor()
    share = where - low
    found, weights = [], []
    for corner in CORNERS:
        step = torch.tensor(corner, device=places.device)
        at = cells.find(sample, low.long() + step)
        weight = torch.where(step == 1, share, 1 - share).prod(1)
        found.append(at.clamp_min(0))
        weights.append(torch.where(at >= 0, weight, 0))
    weight = torch.stack(weights, 1)
    return torch.stack(found, 1), weight / weight.sum(1, keepdim=True).clamp_min(1e-12)


@runtime_checkable
class VoxelEncoder(Protocol):
    """An encoder of clouds that gives something for every occupied cell at several sizes.

    Attributes:
        dim: width of the embedding, the sum of ``widths``.
        widths: features of a cell at each level, the finest first.
        target_dim: numbers that :meth:`entry` gives of a cell.
    """

    dim: int
    widths: tuple[int, ...]
    target_dim: int

    def entry(self, x: Tensor, length: Tensor | None = None) -> tuple[Cells, Tensor]:
        """The occupied cells of the finest level, and what is known of each, ``[V, target_dim]``."""

    def encode(self, pyramid: Pyramid, entry: Tensor) -> list[Tensor]:
        """What the downward half gives at each level: ``[V_l, widths[l]]``."""

    def decode(self, pyramid: Pyramid, skips: list[Tensor]) -> list[Tensor]:
        """What the upward half gives at each level, the finest first."""


def sampled(levels: list[Tensor], pyramid: Pyramid, sample: Tensor, places: Tensor) -> Tensor:
    """Features of places: those of every level by trilinear interpolation, in one row: ``[P, sum of widths]``."""
    rows: list[Any] = []
    for features, cells in zip(levels, pyramid.levels, strict=True):
        at, weight = corners(cells, sample, places)
        rows.append((features[at] * weight[..., None].to(features.dtype)).sum(1))
    return torch.cat(rows, 1)
