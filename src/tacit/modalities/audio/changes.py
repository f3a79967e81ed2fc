"""Transformations of sound, for the whole batch at once.

They work on waveforms ``x`` (``[B, C, T]``, of a power of about 1, zero where padded), so that they serve encoders of
waveforms and of spectrograms alike. Frequencies are shares of half the rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.data import blanked_
from tacit.errors import OptionError
from tacit.parts.draws import Draws
from tacit.views.base import View
from tacit.views.changes import Change, RowChange
from tacit.views.stretches import check_not_negative, lengths, random_stretch, stretch
from tacit.views.tapes import noise

TAPS = 129
"""Length of the filters that change the spectrum, in samples."""
BLOCK = 1024
"""Samples that are filtered together."""
TAPE = 1 << 18


def _range(name: str, value: tuple[float, float], low: float, high: float) -> None:
    if not (low <= value[0] <= value[1] <= high and value[1] > 0):
        raise OptionError(f"{name} must be two numbers from {low:g} to {high:g}, low <= high, not {value!r}")


@dataclass(frozen=True)
class Crop(Change):
    """A stretch of the recording, ``share`` of its length (a range), at the speed it has.

    Source: Saeed et al. 2021, Contrastive Learning of General-Purpose Audio Representations, where two stretches of a
    recording are all the views there are.
    """

    share: tuple[float, float] = (0.5, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _range("crop.share", self.share, 0.001, 1.0)
        if self.p not in (0.0, 1.0):
            raise OptionError(f"crop changes the length and is done to all or to none: p is 0 or 1, not {self.p}")

    def change(self, view: View, draws: Draws) -> View:
        return stretch(view, *random_stretch(view, self.share, draws))


@dataclass(frozen=True)
class Gain(RowChange):
    """Louder or quieter: times 10^(g / 20) with g normal of standard deviation ``decibels``, for all channels alike."""

    decibels: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("gain.decibels", self.decibels)

    def draw(self, view: View, draws: Draws) -> tuple[Tensor, ...]:
        return (10 ** (self.decibels / 20 * draws.normal(len(view["x"]), 1, 1)),)

    def done(self, view: View, drawn: tuple[Tensor, ...]) -> Tensor:
        x: Tensor = view["x"]
        return x * drawn[0].to(x.dtype)


@dataclass(frozen=True)
class Noise(RowChange):
    """White noise at a ratio of signal to noise drawn from ``decibels`` (a range), by the power of the recording.

    Each channel hears a tape of 2^18 samples from a random place on, which costs less than new numbers for each sample.
    """

    decibels: tuple[float, float] = (10.0, 40.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -100 <= self.decibels[0] <= self.decibels[1] <= 200:
            raise OptionError(
                f"noise.decibels must be two numbers from -100 to 200, low <= high, not {self.decibels!r}"
            )

    def draw(self, view: View, draws: Draws) -> tuple[Tensor, ...]:
        (low, high), count = self.decibels, len(view["x"])
        return low + (high - low) * draws.uniform(count), draws.uniform(count, view["x"].shape[1])

    def done(self, view: View, drawn: tuple[Tensor, ...]) -> Tensor:
        x, (ratio, start) = view["x"], drawn
        power = x.float().square().sum((1, 2)) / (lengths(view) * x.shape[1])
        sigma = (power * 10 ** (-ratio / 10)).sqrt()[:, None, None]
        return cleaned_(view, noise(start, x.shape[2], TAPE).mul_(sigma).to(x.dtype).add_(x))


@dataclass(frozen=True)
class Equalise(RowChange):
    """Another microphone or room: a linear-phase filter whose gain is drawn at ``bands`` frequencies, normal of
    standard deviation ``decibels``, and interpolated between them."""

    decibels: float = 6.0
    bands: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("equalise.decibels", self.decibels)
        if self.bands < 2:
            raise OptionError(f"equalise.bands must be at least 2, not {self.bands}")

    def draw(self, view: View, draws: Draws) -> tuple[Tensor, ...]:
        return (self.decibels / 20 * math.log(10) * draws.normal(len(view["x"]), 1, self.bands),)

    def done(self, view: View, drawn: tuple[Tensor, ...]) -> Tensor:
        response = F.interpolate(drawn[0], size=TAPS // 2 + 1, mode="linear", align_corners=True)[:, 0].exp()
        return cleaned_(view, filtered(view["x"], response))


@dataclass(frozen=True)
class BandMask(RowChange):
    """A band of ``share`` of the frequencies (a range) filtered out, at a random place.

    Source: the frequency masks of Park et al. 2019, SpecAugment, done to the waveform.
    """

    share: tuple[float, float] = (0.05, 0.25)

    def __post_init__(self) -> None:
        super().__post_init__()
        _range("band-mask.share", self.share, 0.0, 1.0)

    def draw(self, view: View, draws: Draws) -> tuple[Tensor, ...]:
        return (draws.uniform(len(view["x"]), 2),)

    def done(self, view: View, drawn: tuple[Tensor, ...]) -> Tensor:
        x, (low, high), (u,) = view["x"], self.share, drawn
        part = low + (high - low) * u[:, 0]
        first = u[:, 1] * (1 - part)
        place = torch.linspace(0, 1, TAPS // 2 + 1, device=x.device)
        taken = (place >= first[:, None]) & (place <= (first + part)[:, None])
        return cleaned_(view, filtered(x, 1 - taken.float()))


@dataclass(frozen=True)
class TimeMask(RowChange):
    """A stretch of ``share`` of the length (a range) silenced.

    Source: the time masks of Park et al. 2019, SpecAugment.
    """

    share: tuple[float, float] = (0.05, 0.25)

    def __post_init__(self) -> None:
        super().__post_init__()
        _range("time-mask.share", self.share, 0.0, 1.0)

    def draw(self, view: View, draws: Draws) -> tuple[Tensor, ...]:
        return (draws.uniform(len(view["x"]), 2),)

    def done(self, view: View, drawn: tuple[Tensor, ...]) -> Tensor:
        x, length, (low, high), (u,) = view["x"], lengths(view), self.share, drawn
        part = (low + (high - low) * u[:, 0]) * length
        first = u[:, 1] * (length - part)
        step = torch.arange(x.shape[2], device=x.device)
        hidden = (step >= first[:, None].round()) & (step < (first + part)[:, None].round())
        masked: Tensor = x.masked_fill(hidden[:, None], 0)
        return masked


def filtered(x: Tensor, response: Tensor) -> Tensor:
    """Each recording through its own filter, without delay.

    Args:
        x: ``[B, C, T]``.
        response: gain at frequencies evenly spaced from 0 to half the rate, ``[B, TAPS // 2 + 1]``.
    """
    taps = torch.fft.irfft(response.float(), n=2 * (TAPS // 2))
    taps = taps.roll(TAPS // 2, 1)
    taps = torch.cat((taps, taps[:, :1]), 1)  # symmetric, of odd length
    taps = taps * torch.hann_window(TAPS + 2, periodic=False, device=x.device)[1:-1]
    # overlap-save: blocks that fit in the cache, of which what their ends would wrap into is left out
    length, step = x.shape[2], BLOCK - TAPS + 1
    padded = F.pad(x.float(), (TAPS // 2, -length % step + TAPS // 2))
    spectrum = torch.fft.rfft(padded.unfold(2, BLOCK, step)) * torch.fft.rfft(taps, n=BLOCK)[:, None, None]
    found = torch.fft.irfft(spectrum, n=BLOCK)[..., TAPS - 1 :]
    return found.flatten(2)[..., :length].to(x.dtype)


def cleaned_(view: View, x: Tensor) -> Tensor:
    """``x``, zero beyond the ends of the recordings, in place."""
    return blanked_(x, view["length"]) if "length" in view else x
