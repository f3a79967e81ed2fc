"""Transformations of trajectories, for the whole batch at once.

They work on normalised trajectories ``x`` (``[B, C, T]``, zero where padded), so that strengths are in standard
deviations; ``length`` is always there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.parts.draws import Draws
from tacit.views.base import View
from tacit.views.changes import Change


def real(view: View) -> Tensor:
    """Which steps are no padding: bool ``[B, T]``."""
    return torch.arange(view["x"].shape[2], device=view["x"].device) < view["length"][:, None]


def stretch(view: View, start: Tensor, length: Tensor, width: int) -> View:
    """``length`` steps from ``start`` on (int64 ``[B]`` each), in ``width`` places."""
    x = view["x"]
    along = torch.arange(width, device=x.device)
    inside = along < length[:, None]
    at = torch.where(inside, start[:, None] + along, start[:, None])
    cut = x.gather(2, at[:, None].expand(-1, x.shape[1], -1)).masked_fill(~inside[:, None], 0)
    return view | {"x": cut, "length": length}


def _not_negative(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise OptionError(f"{name} must be a number that is not negative, not {value!r}")


@dataclass(frozen=True)
class Slice(Change):
    """A stretch of steps that follow each other, ``share`` of the trajectory (a range), at least one step."""

    share: tuple[float, float] = (0.4, 0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.share
        if not 0 < low <= high <= 1:
            raise OptionError(f"slice.share must be two numbers, 0 < low <= high <= 1, not {self.share!r}")

    def change(self, view: View, draws: Draws) -> View:
        length = view["length"]
        u = draws.uniform(len(length), 2)
        low, high = self.share
        size = ((low + (high - low) * u[:, 0]) * length).round().long().clamp_min(1)
        start = (u[:, 1] * (length - size + 1)).long()
        return stretch(view, start, size, int(size.max()) if self.p == 1 else view["x"].shape[2])


@dataclass(frozen=True)
class Noise(Change):
    """Gaussian noise of standard deviation ``sigma`` on everything."""

    sigma: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        _not_negative("noise.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        u = draws.along(*x.shape).clamp(1e-6, 1 - 1e-6)  # the same however far x is padded
        noise = self.sigma * torch.special.ndtri(u).to(x.dtype)
        return view | {"x": (x + noise).masked_fill(~real(view)[:, None], 0)}


@dataclass(frozen=True)
class ComponentMask(Change):
    """The state, the action and the reward of each step set to their mean, each with probability ``share``."""

    share: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share < 1:
            raise OptionError(f"component-mask.share must be at least 0 and below 1, not {self.share!r}")

    def change(self, view: View, draws: Draws) -> View:
        x, sizes = view["x"], view["parts"][0]
        hidden = draws.along(len(x), len(sizes), x.shape[2]) < self.share
        return view | {"x": x.masked_fill(hidden.repeat_interleave(sizes, 1), 0)}


@dataclass(frozen=True)
class Scaling(Change):
    """Each number of state, action and reward times a factor of its own, ``exp(sigma * normal)``, over all steps.

    Source: the amplitude scaling of Laskin et al. 2020, Reinforcement Learning with Augmented Data.
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _not_negative("scaling.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        return view | {"x": x * (self.sigma * draws.normal(len(x), x.shape[1], 1)).exp().to(x.dtype)}
