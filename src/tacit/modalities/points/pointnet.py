"""Encoders of sets of points: neighbourhoods within neighbourhoods, and a transformer over patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.errors import OptionError
from tacit.modalities.points.neighbours import at, farthest_points, nearest_points
from tacit.modalities.points.spec import Spec
from tacit.parts.lengths import inside
from tacit.parts.transformer import Pieces, TokenNet

FAR = 3.0
"""Where positions go from 0 to 1: from -3 to 3 sizes of a cloud."""
GRID = 3


def _checked(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise OptionError(f"{name} of the encoder must be at least 1, not {value}")


def real_points(x: Tensor, length: Tensor | None) -> Tensor:
    """Which points of ``x`` (``[B, C, N]``) are no padding: bool ``[B, N]``."""
    if length is None:
        return torch.ones(len(x), x.shape[2], dtype=torch.bool, device=x.device)
    return inside(length, x.shape[2])


class Neighbourhoods(nn.Module):
    """Centres spread over the cloud, and for each the largest values of what two layers make of the points around it
    and of where these lie from it.

    Norms are over the features of one point, so that neither padding nor other samples change what a sample gives.

    Args:
        features: of a point, besides its place.
        hidden, width: of the two layers.
        centres, size: how many centres, and how many points to each.

    Shape: places ``[B, N, 3]``, features ``[B, N, features]`` and bool ``[B, N]`` ``->`` the same of the centres.
    """

    def __init__(self, features: int, hidden: int, width: int, centres: int, size: int) -> None:
        super().__init__()
        self.centres, self.size = centres, size
        self.enter = nn.Linear(3 + features, hidden)
        self.leave = nn.Linear(hidden, width)
        self.norms = nn.ModuleList((nn.LayerNorm(hidden), nn.LayerNorm(width)))

    def forward(self, places: Tensor, features: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen, valid = farthest_points(places, real, self.centres)
        middle = at(places, chosen)
        around, known = nearest_points(middle, places, real, self.size)
        # a linear layer of differences is the difference of linear layers, which are of fewer rows
        every = self.enter(torch.cat((places, features), 2))
        own = F.linear(middle, self.enter.weight[:, :3])
        h = F.gelu(self.norms[0](at(every, around) - own[:, :, None]))
        h = self.norms[1](self.leave(h)).masked_fill(~known[..., None], -torch.inf)
        return middle, F.gelu(h.amax(2).masked_fill(~valid[..., None], 0)), valid


class PointNet(nn.Module):
    """Neighbourhoods of points, neighbourhoods of these, and the largest values over the whole cloud.

    It does not depend on the order of the points.

    Args:
        spec: of the data.
        centres: how many neighbourhoods there are at each level, in all but the last falling.
        size: points in a neighbourhood.
        width: features of the first level; each has twice as many as the one before.
        dim: of the embedding.

    Source: Qi et al. 2017, PointNet++: Deep Hierarchical Feature Learning on Point Sets in a Metric Space; nearest
    points in place of those within a radius, and norms over features in place of batch norm.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self, spec: Spec, *, centres: tuple[int, ...] = (64, 16), size: int = 16, width: int = 32, dim: int = 128
    ) -> None:
        super().__init__()
        if not centres:
            raise OptionError("centres of the encoder must be at least one number")
        _checked(centres=min(centres), size=size, width=width, dim=dim)
        self.dim = dim
        self.levels = nn.ModuleList()
        features = spec.channels - 3
        for count in centres:
            self.levels.append(Neighbourhoods(features, width, 2 * width, count, size))
            features, width = 2 * width, 2 * width
        self.whole = nn.Sequential(nn.Linear(3 + features, dim), nn.LayerNorm(dim), nn.GELU(), nn.Linear(dim, dim))
        self.leave = nn.Linear(dim, dim)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, 3 + F, N] -> [B, dim]``."""
        real = real_points(x, length)
        places, features = x[:, :3].transpose(1, 2), x[:, 3:].transpose(1, 2)
        for level in self.levels:
            places, features, real = level(places, features, real)
        h = self.whole(torch.cat((places, features), 2)).masked_fill(~real[..., None], -torch.inf)
        return self.leave(F.gelu(h.amax(1)))


class PatchNet(TokenNet):
    """A transformer over patches: each token is a point of some that are spread over the cloud, with those nearest to
    it, made into a vector by two layers and their largest values.

    A token's target, for methods that restore what is hidden, is what does not depend on the order of its points: the
    share of them in each cell of a 3 x 3 x 3 grid that just holds the patch, 1 on average, how large the patch is (the
    logarithm of the largest distance from its middle), and the mean of every feature.

    Args:
        spec: of the data.
        patches: how many, and so tokens.
        size: points in a patch.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.

    Source: Yu et al. 2022, Point-BERT: Pre-training 3D Point Cloud Transformers with Masked Point Modeling, section
    3.1, for patches and tokens; sines and cosines of places in place of a learned code.

    Raises:
        OptionError: for sizes that cannot be.
    """

    normalise_targets = False

    def __init__(
        self,
        spec: Spec,
        *,
        patches: int = 48,
        size: int = 16,
        width: int = 128,
        depth: int = 3,
        heads: int = 4,
    ) -> None:
        _checked(patches=patches, size=size)
        features = spec.channels - 3
        super().__init__(GRID**3 + 1 + features, width, width=width, depth=depth, heads=heads)
        self.patches, self.size, self.numbers = patches, size, spec.channels
        self.point = nn.Linear(spec.channels, width)
        self.norm = nn.LayerNorm(width)

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        real = real_points(x, length)
        rows = x.transpose(1, 2)
        chosen, valid = farthest_points(rows[..., :3], real, self.patches)
        middle = at(rows[..., :3], chosen)
        around, known = nearest_points(middle, rows[..., :3], real, self.size)
        found = at(rows, around)
        away = torch.where(known[..., None], found[..., :3] - middle[:, :, None], 0)
        points = torch.where(known[..., None], torch.cat((away, found[..., 3:]), 3), 0)
        position = middle / (2 * FAR) + 0.5
        entry = torch.cat((points, known[..., None].to(points.dtype)), 3).flatten(2)
        every = bool(valid.all()) if length is None else False
        target = torch.where(valid[..., None], _summary(points, known), 0)
        return Pieces(target, position, None if every else valid, entry=entry)

    def embed(self, pieces: Pieces) -> Tensor:
        assert pieces.entry is not None
        points = pieces.entry.unflatten(2, (-1, self.numbers + 1))
        h = self.norm(self.point(points[..., :-1])).masked_fill(points[..., -1:] == 0, -torch.inf)
        return self.enter(F.gelu(h.amax(2)))


@torch.no_grad()
def _summary(points: Tensor, known: Tensor) -> Tensor:
    """Targets of patches of points from their middle: ``[B, M, K, 3 + F]`` and bool ``[B, M, K] -> [B, M, 28 + F]``."""
    count = known.sum(2, keepdim=True).clamp_min(1)
    away = points[..., :3]
    largest = away.abs().amax((2, 3)).clamp_min(1e-6)
    cell = ((away / largest[..., None, None] + 1) * (GRID / 2)).long().clamp(0, GRID - 1)
    place = (cell[..., 0] * GRID + cell[..., 1]) * GRID + cell[..., 2]
    weight = known.to(points.dtype) / count * GRID**3
    grid = points.new_zeros(*points.shape[:2], GRID**3).scatter_add_(2, place, weight)
    size = away.norm(dim=3).amax(2, keepdim=True).clamp_min(1e-6).log()
    return torch.cat((grid, size, points[..., 3:].sum(2) / count), 2)
