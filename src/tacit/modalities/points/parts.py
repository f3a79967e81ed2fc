"""Transformations that take some of the points of a cloud, for the whole batch at once; see
:mod:`tacit.modalities.points.changes` for what they work on."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.parts.draws import Draws
from tacit.parts.lengths import inside
from tacit.parts.masks import chosen_first
from tacit.views.base import View
from tacit.views.changes import Change
from tacit.views.stretches import check_not_negative, check_shares


def taken(view: View, score: Tensor, counts: Tensor) -> View:
    """The points with the smallest scores (``[B, N]``), as many of each cloud as ``counts`` (int64 ``[B]``) says, in
    the order that they had."""
    x = view["x"]
    places, real = chosen_first(score, counts, inside(view["length"], x.shape[2]))
    kept = x.gather(2, places[:, None].expand(-1, x.shape[1], -1)).masked_fill(~real[:, None], 0)
    return view | {"x": kept, "length": counts}


def some(view: View, share: tuple[float, float], draws: Draws) -> Tensor:
    """A random share of each cloud's points, at least one: int64 ``[B]``."""
    length, (low, high) = view["length"], share
    part = low + (high - low) * draws.uniform(len(length))
    return torch.minimum((part * length).round().long().clamp_min(1), length)


@dataclass(frozen=True)
class Taking(Change):
    """A transformation that takes some of the points. It changes the shape, so that it is done to all or to none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.p not in (0.0, 1.0):
            raise OptionError(f"{self.name()} is done to all or to none: p is 0 or 1, not {self.p}")

    @abstractmethod
    def change(self, view: View, draws: Draws) -> View:
        """See :class:`tacit.views.changes.Change`."""


@dataclass(frozen=True)
class Thin(Taking):
    """At most ``points`` of a cloud, evenly along the order in which they are stored; nothing is random."""

    points: int = 1024

    def change(self, view: View, draws: Draws) -> View:
        x, length = view["x"], view["length"]
        counts = length.clamp_max(self.points)
        width = min(self.points, x.shape[2])
        step = torch.arange(width, device=x.device)
        at = torch.minimum(step * length[:, None] // counts[:, None], length[:, None] - 1)
        kept = x.gather(2, at[:, None].expand(-1, x.shape[1], -1))
        return view | {"x": kept.masked_fill(~inside(counts, width)[:, None], 0), "length": counts}


@dataclass(frozen=True)
class Sample(Taking):
    """At most ``points`` random ones of a cloud, more densely on one side: a point at s has a weight exp(k d . s) for
    a random direction d and a k of at most ``uneven`` (0: all alike)."""

    points: int = 1024
    uneven: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("sample.uneven", self.uneven)
        if self.points < 1:
            raise OptionError(f"sample.points must be at least 1, not {self.points}")

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        score = (-draws.along(len(x), x.shape[2]).log()).log()  # Gumbel numbers, their signs changed
        if self.uneven:
            towards = torch.nn.functional.normalize(draws.normal(len(x), 3), dim=1)
            strength = self.uneven * draws.uniform(len(x), 1)
            score = score - ((strength * towards)[:, None].to(x.dtype) @ x[:, :3])[:, 0]
        return taken(view, score, view["length"].clamp_max(self.points))


@dataclass(frozen=True)
class Dropout(Taking):
    """A random ``share`` of the points (a range) is lost.

    Source: Qi et al. 2017, PointNet++, section 3.3, where it is called random input dropout.
    """

    share: tuple[float, float] = (0.0, 0.3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share[0] <= self.share[1] < 1:
            raise OptionError(f"dropout.share must be two numbers, 0 <= low <= high < 1, not {self.share!r}")

    def change(self, view: View, draws: Draws) -> View:
        counts = some(view, (1 - self.share[1], 1 - self.share[0]), draws)
        return taken(view, draws.along(*view["x"][:, 0].shape), counts)


def _middles(view: View, draws: Draws) -> Tensor:
    """A random point of each cloud: ``[B, 3, 1]``."""
    length = view["length"]
    at = (draws.uniform(len(length)) * length).long()
    return view["x"][:, :3].gather(2, at[:, None, None].expand(-1, 3, -1))


@dataclass(frozen=True)
class Sphere(Taking):
    """The ``share`` of the points (a range) that lie nearest to a random one: what is within a sphere about it."""

    share: tuple[float, float] = (0.6, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("sphere.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        distance = (view["x"][:, :3] - _middles(view, draws)).float().square().sum(1)
        return taken(view, distance, some(view, self.share, draws))


@dataclass(frozen=True)
class Cuboid(Taking):
    """The ``share`` of the points (a range) within a cuboid about a random one, whose sides have a ratio of at most
    ``ratio``.

    Source: the cuboids of Zhang et al. 2021, Self-Supervised Pretraining of 3D Features on any Point-Cloud.
    """

    share: tuple[float, float] = (0.6, 1.0)
    ratio: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("cuboid.share", self.share)
        if not self.ratio >= 1:
            raise OptionError(f"cuboid.ratio must be at least 1, not {self.ratio}")

    def change(self, view: View, draws: Draws) -> View:
        side = self.ratio ** (draws.uniform(len(view["x"]), 3, 1) - 0.5)
        distance = ((view["x"][:, :3] - _middles(view, draws)).float().abs() / side).amax(1)
        return taken(view, distance, some(view, self.share, draws))


@dataclass(frozen=True)
class Hole(Taking):
    """The ``share`` of the points (a range) nearest to a random one is lost, as behind something in the way."""

    share: tuple[float, float] = (0.0, 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share[0] <= self.share[1] < 1:
            raise OptionError(f"hole.share must be two numbers, 0 <= low <= high < 1, not {self.share!r}")

    def change(self, view: View, draws: Draws) -> View:
        distance = (view["x"][:, :3] - _middles(view, draws)).float().square().sum(1)
        return taken(view, -distance, some(view, (1 - self.share[1], 1 - self.share[0]), draws))
