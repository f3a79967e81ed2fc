"""Views of videos: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.data import Batch
from tacit.modalities.video.changes import Blur, Clip, Crop, Flip, Grey, Jitter, Whole, resized
from tacit.modalities.video.playback import TemporalTransformations
from tacit.modalities.video.spec import Spec, scaled
from tacit.parts.draws import Draws
from tacit.views.base import View, Views, check_channels
from tacit.views.changes import ROLES, Chain, Chained, Own, chained

BLUR_FROM = 64
"""Shortest side at which views are blurred; smaller frames have no detail to spare."""
RAW = (8, 16, 16)
"""Frames, rows and columns that a clip is averaged down to where it stands for itself."""


def chains_of(spec: Spec) -> dict[str, Chain]:
    """What views are made of, for clips of the spec's length and size."""
    half = (max(1, (spec.size[0] + 1) // 2), max(1, (spec.size[1] + 1) // 2))
    colours: Chain = (Flip(), Jitter(p=0.8), Grey(p=0.2), Blur(p=0.5 if min(spec.size) >= BLUR_FROM else 0.0))
    clip = Clip(spec.frames)
    return {
        "strong": (clip, Crop(spec.size), *colours),
        "weak": (clip, Crop(spec.size, (0.5, 1.0)), Flip()),
        "local": (Clip(max(1, (spec.frames + 1) // 2)), Crop(half, (0.1, 0.3)), *colours),
        "clips": (clip,),
    }


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x`` (float32 ``[B, C, T, H, W]``, normalised), ``start`` and ``step`` (its first frame and the
    frames from one to the next, int64 ``[B]``) where a clip was drawn, and ``theta`` (``[B, 2, 3]``) where it was
    cropped. What is drawn for a clip is the same for all its frames.

    The recipes that methods ask for by name are chains of the transformations in
    :mod:`tacit.modalities.video.changes`. Besides there are ``clips``, two clips of one video with nothing changed
    (Feichtenhofer et al. 2021, A Large-Scale Study on Unsupervised Spatiotemporal Representation Learning), and
    ``temporal-transformations`` (:class:`tacit.modalities.video.playback.TemporalTransformations`).

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: shape and statistics of the data.
        options: ``<transformation>.<parameter>``, e.g. ``clip.fastest=2``; see
            :func:`tacit.views.changes.chained`.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {
        "clips": ("clips", "clips"),
        "temporal-transformations": TemporalTransformations,
    }
    return Finished(chained(recipe, Whole(spec), chains_of(spec), own, **options), spec)


RECIPES = (*ROLES, "clips", "temporal-transformations")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the clip in the middle of the sample."""
    return Finished(Chained(Whole(spec), [()]), spec)


class Finished(Views):
    """Views brought to what encoders take: where no clip was drawn the one in the middle, where nothing was cropped the
    whole frame at the spec's size, zero mean and unit variance by channel. Videos of other channels are refused.

    Args:
        views: gives float frames where it has drawn clips, and stored ones where not.
    """

    def __init__(self, views: Views, spec: Spec) -> None:
        self.views, self.spec = views, spec
        self.mean, self.scale = torch.tensor(spec.mean), 1 / torch.tensor(spec.std)

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        return [self.finish(view) for view in self.views.make(batch, draws)]

    def finish(self, view: View) -> View:
        """One view as encoders take it."""
        x = view["x"]
        check_channels(x, self.spec.channels, "videos")
        if "start" not in view:
            frames = min(self.spec.frames, x.shape[2])
            first = (x.shape[2] - frames) // 2
            x = scaled(x[:, :, first : first + frames])
        if "theta" not in view and tuple(x.shape[3:]) != tuple(self.spec.size):
            x = resized(x, self.spec.size)
        mean, scale = (v.to(x.device)[:, None, None, None] for v in (self.mean, self.scale))
        return view | {"x": (x - mean) * scale}


def raw(view: View) -> Tensor:
    """Pixels as vectors: ``[B, C * t * h * w]``; longer and larger clips are averaged down to 8 frames of 16x16."""
    x = view["x"].float()
    small = tuple(min(side, most) for side, most in zip(x.shape[2:], RAW, strict=True))
    return (F.adaptive_avg_pool3d(x, small) if small != tuple(x.shape[2:]) else x).flatten(1)
