"""Views of time series: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.data import Batch
from tacit.modalities.series.changes import (
    ChannelDrop,
    Crop,
    FrequencyMask,
    Jitter,
    MagnitudeWarp,
    Permutation,
    Scaling,
    TimeMask,
)
from tacit.modalities.series.spec import Spec
from tacit.views.base import View, Views, check_channels
from tacit.views.changes import ROLES, Chain, Chained, Own, chained
from tacit.views.stretches import Neighbours, clean

STRONG: Chain = (
    Crop(),
    Permutation(p=0.0),
    MagnitudeWarp(p=0.0),
    Scaling(p=0.8),
    ChannelDrop(p=0.0),
    TimeMask(p=0.5),
    FrequencyMask(p=0.0),
    Jitter(p=0.8),
)
"""What is off (p=0) costs nothing and is turned on by ``--set views.permutation=0.5``."""
CHAINS: dict[str, Chain] = {
    "strong": STRONG,
    "weak": (Crop((0.7, 1.0)),),
    "local": (Crop((0.15, 0.4)), *STRONG[1:]),
    "frequency": (FrequencyMask((0.1, 0.4)), Scaling(p=0.5)),
}
RAW = 256
"""Time steps that a series is averaged down to where it stands for itself."""


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x`` (float32 ``[B, C, T]``, normalised), ``length`` where series differ in it, and ``stretch``
    (``[B, 2]``: start and size of what was cropped, as shares of the series) where it is cropped.

    The recipes that methods ask for by name are chains of the transformations in
    :mod:`tacit.modalities.series.changes`. Besides there are ``neighbours`` (two windows that follow each other,
    nothing added: Tonekaboni et al. 2021, Unsupervised Representation Learning for Time Series with Temporal
    Neighborhood Coding) and ``frequency`` (two views with bands of frequencies masked).

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: statistics of the data.
        options: ``<transformation>.<parameter>``, e.g. ``jitter.sigma=0.2``; see
            :func:`tacit.views.changes.chained`.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {"neighbours": Neighbours, "frequency": ("frequency", "frequency")}
    return chained(recipe, Normalise(spec), CHAINS, own, **options)


RECIPES = (*ROLES, "neighbours", "frequency")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the whole series, normalised."""
    return Chained(Normalise(spec), [()])


class Normalise:
    """A batch as a view: zero mean and unit variance by channel, padding zero."""

    def __init__(self, spec: Spec) -> None:
        self.mean, self.scale = torch.tensor(spec.mean), 1 / torch.tensor(spec.std)

    def __call__(self, batch: Batch) -> View:
        x = batch["x"]
        check_channels(x, len(self.mean), "series")
        mean, scale = (v.to(x.device)[:, None] for v in (self.mean, self.scale))
        view: View = {"x": (x.float() - mean) * scale}
        if "length" in batch:
            view["length"] = batch["length"]
        return clean(view, view["x"])


def raw(view: View) -> Tensor:
    """Values as vectors ``[B, C * T]``; longer series are averaged down to 256 steps, and those of different lengths
    drawn out to as many."""
    x = view["x"]
    if "length" not in view:
        return (F.adaptive_avg_pool1d(x, RAW) if x.shape[2] > RAW else x).flatten(1)
    from tacit.modalities.series.changes import look_up

    last = (view["length"] - 1)[:, None]
    return look_up(x, torch.linspace(0, 1, RAW, device=x.device) * last).flatten(1)
