"""Transformations of histories, for the whole batch at once.

They work on views as :func:`tacit.modalities.events.views.make_views` describes them: the time of each event in the
first row, then codes, then numbers; ``length`` is always there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.modalities.events.gather import UNKNOWN
from tacit.parts.draws import Draws
from tacit.views.base import View
from tacit.views.changes import Change


def real(view: View) -> Tensor:
    """Which events are no padding: bool ``[B, T]``."""
    return torch.arange(view["x"].shape[2], device=view["x"].device) < view["length"][:, None]


def stretch(view: View, start: Tensor, length: Tensor, width: int) -> View:
    """``length`` events from ``start`` on (int64 ``[B]`` each), in ``width`` places; time counts from the first."""
    along = torch.arange(width, device=start.device)
    inside = along < length[:, None]
    at = torch.where(inside, start[:, None] + along, start[:, None])
    return _timed(view, _gathered(view["x"], at), length, inside)


def chosen(view: View, kept: Tensor) -> View:
    """The events that are ``kept`` (bool ``[B, T]``, at least one of each sample), in their order."""
    length = kept.sum(1)
    order = (~kept).long().argsort(dim=1, stable=True)
    inside = torch.arange(kept.shape[1], device=kept.device) < length[:, None]
    return _timed(view, _gathered(view["x"], order), length, inside)


def _gathered(x: Tensor, at: Tensor) -> Tensor:
    return x.gather(2, at[:, None].expand(-1, x.shape[1], -1))


def _timed(view: View, x: Tensor, length: Tensor, inside: Tensor) -> View:
    x[:, 0] -= x[:, :1, 0].clone()
    return view | {"x": x.masked_fill(~inside[:, None], 0), "length": length}


def check_share(name: str, value: float, least: float = 0.0) -> None:
    """Make sure that a share lies in [``least``, 1)."""
    if not least <= value < 1:
        raise OptionError(f"{name} must be at least {least:g} and below 1, not {value!r}")


def check_strength(name: str, value: float) -> None:
    """Make sure that a strength is a number that is not negative."""
    if not 0 <= value < math.inf:
        raise OptionError(f"{name} must be a number that is not negative, not {value!r}")


@dataclass(frozen=True)
class Slice(Change):
    """A stretch of events that follow each other, ``share`` of the history (a range), at least one event."""

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
class EventDrop(Change):
    """Each event left out with probability ``share``; one of them always stays."""

    share: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("event-drop.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        u = draws.along(len(view["x"]), view["x"].shape[2]).masked_fill(~real(view), -1)
        return chosen(view, (u >= self.share) | (u == u.amax(1, keepdim=True)))


@dataclass(frozen=True)
class FieldMask(Change):
    """Each field of each event made unknown with probability ``share``: a code becomes that of unseen values, a number
    the mean of its column (and told to be unknown where there is a row for it)."""

    share: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("field-mask.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        x, codes = view["x"], view["sizes"].shape[1]
        told = view["measured"][0]
        fields = codes + len(told)
        hidden = (draws.along(len(x), fields, x.shape[2]) < self.share) & real(view)[:, None]
        made = x.clone()
        made[:, 1 : 1 + codes].masked_fill_(hidden[:, :codes], UNKNOWN)
        made[:, 1 + codes : 1 + fields].masked_fill_(hidden[:, codes:], 0)
        flags = slice(1 + fields, 1 + fields + int(told.sum()))
        made[:, flags] = made[:, flags].masked_fill(hidden[:, codes:][:, told], 0)
        return view | {"x": made}


@dataclass(frozen=True)
class NumberNoise(Change):
    """Gaussian noise of standard deviation ``sigma`` on the measured fields, in standard deviations of each."""

    sigma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength("number-noise.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        x, codes, count = view["x"], view["sizes"].shape[1], view["measured"].shape[1]
        u = draws.along(len(x), count, x.shape[2]).clamp(1e-6, 1 - 1e-6)
        noise = self.sigma * torch.special.ndtri(u).masked_fill(~real(view)[:, None], 0)
        made = x.clone()
        made[:, 1 + codes : 1 + codes + count] += noise.to(x.dtype)
        return view | {"x": made}


@dataclass(frozen=True)
class Pace(Change):
    """All times of a history times one factor, ``exp(sigma * normal)``; the clock stays as it is."""

    sigma: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength("pace.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        made = view["x"].clone()
        made[:, 0] *= (self.sigma * draws.normal(len(made), 1)).exp().to(made.dtype)
        return view | {"x": made}
