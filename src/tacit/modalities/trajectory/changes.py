"""Transformations of trajectories, for the whole batch at once.

They work on normalised trajectories ``x`` (``[B, C, T]``, zero where padded), so that strengths are in standard
deviations; ``length`` is always there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tacit.errors import OptionError
from tacit.parts.draws import Draws
from tacit.views.base import View
from tacit.views.changes import Change
from tacit.views.stretches import check_not_negative, check_shares, clean, random_stretch, stretch


@dataclass(frozen=True)
class Slice(Change):
    """A stretch of steps that follow each other, ``share`` of the trajectory (a range), at least one step."""

    share: tuple[float, float] = (0.4, 0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("slice.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        return stretch(view, *random_stretch(view, self.share, draws), None if self.p == 1 else view["x"].shape[2])


@dataclass(frozen=True)
class Noise(Change):
    """Gaussian noise of standard deviation ``sigma`` on everything."""

    sigma: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("noise.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        u = draws.along(*x.shape).clamp(1e-6, 1 - 1e-6)  # the same however far x is padded
        noise = self.sigma * torch.special.ndtri(u).to(x.dtype)
        return clean(view, x + noise)


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
        check_not_negative("scaling.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        return view | {"x": x * (self.sigma * draws.normal(len(x), x.shape[1], 1)).exp().to(x.dtype)}
