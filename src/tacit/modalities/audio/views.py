"""Views of sound: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.data import Batch
from tacit.modalities.audio.changes import BandMask, Crop, Equalise, Gain, Noise, TimeMask
from tacit.modalities.audio.spec import Spec
from tacit.views.base import View, Views, check_channels
from tacit.views.changes import ROLES, Chain, Chained, Own, chained
from tacit.views.stretches import Neighbours, lengths

STRONG: Chain = (
    Crop(),
    Gain(p=0.8),
    Equalise(p=0.8),
    BandMask(p=0.3),
    TimeMask(p=0.3),
    Noise(p=0.5),
)
CHAINS: dict[str, Chain] = {
    "strong": STRONG,
    "weak": (Crop((0.7, 1.0)),),
    "local": (Crop((0.2, 0.5)), *STRONG[1:]),
    "crops": (Crop((0.4, 0.8)),),
}
HOP, BANDS, PARTS = 128, 32, 16


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x`` (float32 ``[B, C, T]``, the waveform, of a power of 1 over the data set), ``length`` where
    recordings or stretches of them differ in it, and ``start`` (where the stretch begins, in samples) where it is
    cropped.

    The recipes that methods ask for by name are chains of the transformations in
    :mod:`tacit.modalities.audio.changes`. Two change no value: ``crops`` (two stretches of the recording, which may
    overlap: Saeed et al. 2021, Contrastive Learning of General-Purpose Audio Representations) and ``neighbours`` (two
    that follow each other: Tonekaboni et al. 2021, Unsupervised Representation Learning for Time Series with Temporal
    Neighborhood Coding).

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: statistics of the data.
        options: ``<transformation>.<parameter>``, e.g. ``noise.decibels='(5, 20)'``; see
            :func:`tacit.views.changes.chained`.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {"crops": ("crops", "crops"), "neighbours": Neighbours}
    return chained(recipe, Normalise(spec), CHAINS, own, **options)


RECIPES = (*ROLES, "crops", "neighbours")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the whole recording."""
    return Chained(Normalise(spec), [()])


class Normalise:
    """A batch as a view: divided by the data's root mean square; padding is zero."""

    def __init__(self, spec: Spec) -> None:
        self.scale, self.channels = spec.scale, spec.channels

    def __call__(self, batch: Batch) -> View:
        check_channels(batch["x"], self.channels, "recordings", "; say --set data.mono=true" * (self.channels == 1))
        view: View = {"x": batch["x"].float() / self.scale}
        if "length" in batch:
            view["length"] = batch["length"]
        return view


def raw(view: View) -> Tensor:
    """The spectrogram as a small picture: log power of 32 bands in 16 equal parts of the recording, ``[B, C * 512]``.

    The samples themselves would say nothing of what is heard: a shift by one changes them all.
    """
    x = view["x"].float()
    count = (lengths(view) + HOP - 1) // HOP
    frames = int(count.max())
    before = HOP // 2
    filled = F.pad(x, (before, max(0, (frames + 1) * HOP - before - x.shape[2]))).flatten(0, 1)
    taps = torch.hann_window(2 * HOP, device=x.device)
    spectrum = torch.stft(filled, 2 * HOP, HOP, window=taps, center=False, return_complex=True)[..., :frames]
    power = (spectrum.abs().square() / taps.square().sum())[:, 1:].unflatten(1, (BANDS, -1)).mean(2)
    level = (power + 1e-6).log().unflatten(0, x.shape[:2]).transpose(0, 2)  # [32, C, B, frames]
    so_far = F.pad(level, (1, 0)).double().cumsum(3)
    edges = torch.arange(PARTS + 1, device=x.device) * count[:, None]
    first, last = edges[:, :-1] // PARTS, -(-edges[:, 1:] // PARTS)
    upper, lower = (so_far.gather(3, at.expand(*level.shape[:2], -1, -1)) for at in (last, first))
    return ((upper - lower) / (last - first)).float().permute(2, 1, 0, 3).flatten(1)
