"""Transformations of histories, for the whole batch at once.

They work on views as :func:`tacit.modalities.events.views.make_views` describes them: the time of each event in the
first row, then codes, then numbers; ``length`` is always there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.modalities.events.gather import UNKNOWN
from tacit.parts.draws import Draws
from tacit.parts.lengths import inside
from tacit.views import stretches
from tacit.views.base import View
from tacit.views.changes import Change
from tacit.views.stretches import check_not_negative, check_shares, random_stretch


def real(view: View) -> Tensor:
    """Which events are no padding: bool ``[B, T]``."""
    return inside(view["length"], view["x"].shape[2])


def stretch(view: View, start: Tensor, size: Tensor, width: int | None = None) -> View:
    """As :func:`tacit.views.stretches.stretch`; time counts from the first event."""
    return _from_first(stretches.stretch(view, start, size, width))


def chosen(view: View, kept: Tensor) -> View:
    """The events that are ``kept`` (bool ``[B, T]``, at least one of each sample), in their order."""
    order = (~kept).long().argsort(dim=1, stable=True)
    x = view["x"].gather(2, order[:, None].expand(-1, view["x"].shape[1], -1))
    return _from_first(stretches.clean(view | {"length": kept.sum(1)}, x))


def _from_first(view: View) -> View:
    x = torch.cat((view["x"][:, :1] - view["x"][:, :1, :1], view["x"][:, 1:]), 1)
    return stretches.clean(view, x)


def check_share(name: str, value: float, least: float = 0.0) -> None:
    """Make sure that a share lies in [``least``, 1)."""
    if not least <= value < 1:
        raise OptionError(f"{name} must be at least {least:g} and below 1, not {value!r}")


@dataclass(frozen=True)
class Slice(Change):
    """A stretch of events that follow each other, ``share`` of the history (a range), at least one event."""

    share: tuple[float, float] = (0.4, 0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("slice.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        start, size = random_stretch(view, self.share, draws)
        return stretch(view, start, size, None if self.p == 1 else view["x"].shape[2])


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
        check_not_negative("number-noise.sigma", self.sigma)

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
        check_not_negative("pace.sigma", self.sigma)

    def change(self, view: View, draws: Draws) -> View:
        made = view["x"].clone()
        made[:, 0] *= (self.sigma * draws.normal(len(made), 1)).exp().to(made.dtype)
        return view | {"x": made}
