"""Transformations of time series, for the whole batch at once.

They work on normalised series ``x`` (``[B, C, T]``, zero where padded), so that strengths are in standard deviations.
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
from tacit.views.stretches import check_not_negative, check_shares, clean, lengths


def look_up(x: Tensor, at: Tensor) -> Tensor:
    """Values at places between steps by linear interpolation: ``[B, C, T]`` at ``[B, S]`` ``-> [B, C, S]``."""
    low = at.floor().clamp(0, x.shape[2] - 1)
    share = (at - low).clamp(0, 1)[:, None]
    first = low.long()[:, None].expand(-1, x.shape[1], -1)
    second = (first + 1).clamp_max(x.shape[2] - 1)
    return torch.lerp(x.gather(2, first), x.gather(2, second), share.to(x.dtype))


@dataclass(frozen=True)
class Jitter(Change):
    """Gaussian noise of standard deviation ``sigma`` at every step.

    Source: Um et al. 2017, Data Augmentation of Wearable Sensor Data, as the three that follow.
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("jitter.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        if "length" not in view:
            return view | {"x": x + self.sigma * draws.normal(*x.shape).to(x.dtype)}
        u = draws.along(*x.shape)  # Gaussian by the inverse of its distribution, the same however far x is padded
        return clean(view, x + self.sigma * torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)).to(x.dtype))


@dataclass(frozen=True)
class Scaling(Change):
    """Each channel times its own factor, ``exp(sigma * normal)``."""

    sigma: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("scaling.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        factor = (self.sigma * draws.normal(len(x), x.shape[1])).exp()
        return view | {"x": x * factor[..., None].to(x.dtype)}


@dataclass(frozen=True)
class MagnitudeWarp(Change):
    """Each channel times a smooth curve ``exp(sigma * c(t))``; ``c``: a sum of ``knots`` slow cosines, variance 1."""

    sigma: float = 0.2
    knots: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("magnitude-warp.sigma", self.sigma)
        if self.knots < 1:
            raise OptionError(f"magnitude-warp.knots must be at least 1, not {self.knots}")

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        weight = draws.normal(len(x), x.shape[1], self.knots) * math.sqrt(2 / self.knots)
        phase = draws.uniform(len(x), x.shape[1], self.knots) * math.pi
        share = torch.arange(x.shape[2], device=x.device) / lengths(view)[:, None]
        rate = math.pi * torch.arange(1, self.knots + 1, device=x.device)
        curve = torch.zeros_like(x)
        for k in range(self.knots):
            angle = rate[k] * share[:, None] + phase[..., k, None]
            curve += (weight[..., k, None] * angle.cos()).to(x.dtype)
        return view | {"x": x * (self.sigma * curve).exp()}


@dataclass(frozen=True)
class Crop(Change):
    """A stretch of the series, ``share`` of its length (a range), drawn out to the whole length."""

    share: tuple[float, float] = (0.5, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("crop.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        x, length = view["x"], lengths(view)
        low, high = self.share
        u = draws.uniform(len(x), 2)
        part = ((low + (high - low) * u[:, 0]) * length).clamp_min(1)
        first = u[:, 1] * (length - part)
        step = torch.arange(x.shape[2], device=x.device) + 0.5
        at = first[:, None] + step * (part / length)[:, None] - 0.5
        at = torch.minimum(at.clamp_min(0), (length - 1)[:, None])
        return clean(view, look_up(x, at)) | {"stretch": torch.stack((first / length, part / length), 1)}


@dataclass(frozen=True)
class TimeMask(Change):
    """A stretch of ``share`` of the length (a range) set to the mean of the data, zero."""

    share: tuple[float, float] = (0.05, 0.25)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("time-mask.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        x, length = view["x"], lengths(view)
        low, high = self.share
        u = draws.uniform(len(x), 2)
        part = (low + (high - low) * u[:, 0]) * length
        first = u[:, 1] * (length - part)
        step = torch.arange(x.shape[2], device=x.device)
        hidden = (step >= first[:, None].round()) & (step < (first + part)[:, None].round())
        return view | {"x": x.masked_fill(hidden[:, None], 0)}


@dataclass(frozen=True)
class ChannelDrop(Change):
    """Each channel set to zero with probability ``share``; one of them always stays."""

    share: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share < 1:
            raise OptionError(f"channel-drop.share must be at least 0 and below 1, not {self.share!r}")

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        u = draws.uniform(len(x), x.shape[1])
        kept = (u >= self.share) | (u == u.amax(1, keepdim=True))
        return view | {"x": x * kept[..., None].to(x.dtype)}


@dataclass(frozen=True)
class Permutation(Change):
    """The series cut into ``segments`` of equal length, put together in random order."""

    segments: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.segments < 2:
            raise OptionError(f"permutation.segments must be at least 2, not {self.segments}")

    def change(self, view: View, draws: Draws) -> View:
        x, length = view["x"], lengths(view)[:, None]
        order = draws.uniform(len(x), self.segments).argsort(1)
        edges = torch.arange(self.segments + 1, device=x.device) * length // self.segments
        sizes = edges.diff(dim=1).gather(1, order)
        ends = sizes.cumsum(1)
        step = torch.arange(x.shape[2], device=x.device).expand(len(x), -1).contiguous()
        segment = torch.searchsorted(ends, step, right=True).clamp_max(self.segments - 1)
        begin = edges.gather(1, order.gather(1, segment))
        at = begin + step - (ends - sizes).gather(1, segment)
        at = torch.where(step < length, at, step)
        return clean(view, x.gather(2, at[:, None].expand_as(x)))


@dataclass(frozen=True)
class FrequencyMask(Change):
    """A band of ``share`` of the frequencies (a range) taken out of the spectrum of the whole series.

    Source: the frequency masks of Zhang et al. 2022, Self-Supervised Contrastive Pre-Training for Time Series via
    Time-Frequency Consistency, as one band.
    """

    share: tuple[float, float] = (0.05, 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("frequency-mask.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        low, high = self.share
        u = draws.uniform(len(x), 2)
        part = low + (high - low) * u[:, 0]
        first = u[:, 1] * (1 - part)
        if "length" not in view:
            bins = torch.full((len(x),), x.shape[2] / 2, device=x.device)
            return view | {"x": x - _band(x, first, first + part, bins)}
        # Samples of different lengths have different frequencies: the band is taken from a copy of one length.
        last = (view["length"] - 1)[:, None].float()
        grid = torch.linspace(0, 1, GRID, device=x.device) * last
        bins = (view["length"] / 2).clamp(1, GRID / 2)
        band = _band(look_up(x, grid), first, first + part, bins)
        step = torch.arange(x.shape[2], device=x.device)
        return clean(view, x - look_up(band, step / last.clamp_min(1) * (GRID - 1)))


def _band(x: Tensor, low: Tensor, high: Tensor, bins: Tensor) -> Tensor:
    """The part of ``x`` at frequencies between ``low`` and ``high`` (``[B]``, as shares of the first ``bins``), without
    the mean."""
    spectrum = torch.fft.rfft(x.float())
    place = torch.arange(spectrum.shape[2], device=x.device) / bins[:, None]
    taken = (place >= low[:, None]) & (place <= high[:, None])
    taken[:, 0] = False
    return torch.fft.irfft(spectrum.masked_fill(~taken[:, None], 0), n=x.shape[2]).to(x.dtype)


GRID = 512
"""Steps of the copy that ragged series lose a band of frequencies by."""
