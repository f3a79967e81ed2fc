"""Clips played in other ways than they were filmed: faster, to and fro, out of order, unevenly.

What is drawn are numbers of frames: functions of the lengths and of uniform numbers alone, for pretext tasks of any
sort.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.modalities.video.changes import Crop, Flip, Whole, frames_at
from tacit.modalities.video.spec import scaled
from tacit.parts.draws import Draws
from tacit.views.base import View, Views

PLAYED = ("as it is", "to and fro", "out of order", "unevenly")
"""The temporal transformations, by their label."""


def speeds_within(window: int, frames: int, most: int) -> int:
    """How many of the speeds 1, 2, 4, ... (``most`` of them) a clip of ``frames`` frames can have in ``window``."""
    return max(1, min((window // frames).bit_length(), most))


def in_order(u: Tensor, frames: int, window: int, speed: Tensor) -> Tensor:
    """Every ``speed``-th frame (int64 ``[B]``) from a random place on, by uniform ``u`` (``[B, 1]``): int64
    ``[B, T]``."""
    first = (u[:, 0] * (window - frames * speed + 1)).long()
    return first[:, None] + speed[:, None] * torch.arange(frames, device=u.device)


def to_and_fro(u: Tensor, frames: int, window: int, speed: Tensor) -> Tensor:
    """Forward and then backward at a speed (int64 ``[B]``): ``T`` entries in a row of 2 T - 4, so that it always turns.

    The way back is shifted by less than a step (by 0 or 1 frame at speed 1), so that it does not show the same frames.
    By uniform ``u`` (``[B, 3]``): int64 ``[B, T]``, T at least 4.
    """
    span = ((frames - 1) * speed).clamp_max(window)
    first = (u[:, 0] * (window - span + 1)).long()
    shift = torch.where(speed > 1, 1 + (u[:, 1] * (speed - 1)).long(), (u[:, 1] * 2).long())
    ahead = torch.arange(frames - 2, device=u.device)
    there = speed[:, None] * ahead
    back = speed[:, None] * ahead.flip(0) + shift[:, None]
    begin = (u[:, 2] * (frames - 3)).long()
    whole = first[:, None] + torch.cat((there, back), 1)
    return whole.gather(1, begin[:, None] + torch.arange(frames, device=u.device))


def out_of_order(u: Tensor, frames: int, window: int) -> Tensor:
    """``T`` frames in a row from a random place on, in random order, by uniform ``u`` (``[B, 1 + T]``): int64
    ``[B, T]``."""
    first = (u[:, 0] * (window - frames + 1)).long()
    return first[:, None] + u[:, 1:].argsort(1)


def unevenly(u: Tensor, frames: int, window: int, fastest: int) -> Tensor:
    """``T`` frames in order with steps of 1 to ``fastest`` frames, each drawn for itself; where ``fastest`` is less
    than 4, frames of a stretch of ``2 T`` (or all there are) with equal chances.

    By uniform ``u`` (``[B, 1 + window]``): int64 ``[B, T]``.
    """
    if fastest >= 4:
        first = (u[:, 0] * (window - frames * fastest + 1)).long()
        step = 1 + (u[:, 1 : 1 + frames] * fastest).long()
        return first[:, None] + step.cumsum(1) - 1
    span = min(2 * frames, window)
    first = (u[:, 0] * (window - span + 1)).long()
    return first[:, None] + u[:, 1 : 1 + span].argsort(1)[:, :frames].sort(1).values


class TemporalTransformations(Views):
    """Four clips of every sample, each played in another way (:data:`PLAYED`, in this order).

    The first two have a speed of 1, 2, 4, ..., the same for both. Boxes and flips are drawn for every clip, so that
    traces of the codec between neighbouring frames tell nothing. Each view has ``played``, the label of its way, and
    the first two have ``speed``, the power of two of theirs, int64 ``[B]``; ``speeds`` is how many of them there are.

    Source: Jenni, Meishvili & Favaro 2020, Video Representation Learning by Recognizing Temporal Transformations, and
    the authors' program.

    Args:
        prepare: gives whole samples and says how long and large clips are.
        speeds: how many speeds there are at most; samples must be 2^(speeds - 1) clips long for all of them.
        crop: height and width of the boxes as a share of the frame's.
        flip: probability that a clip is mirrored.

    Raises:
        OptionError: for impossible values, clips of less than 4 frames, and samples that are no longer than a clip.
    """

    def __init__(self, prepare: Whole, *, speeds: int = 4, crop: float = 0.875, flip: float = 0.5) -> None:
        if speeds < 1:
            raise OptionError(f"speeds must be at least 1, not {speeds}")
        if not 0 < crop <= 1:
            raise OptionError(f"crop must be a share above 0 and at most 1, not {crop}")
        self.prepare, self.speeds, self.frames = prepare, speeds, prepare.frames
        self.crop = Crop(prepare.size, (crop * crop, crop * crop), (1.0, 1.0))
        self.flip = Flip(p=flip)
        if self.frames < 4:
            raise OptionError(
                f"temporal transformations need clips of at least 4 frames, not {self.frames} (data.frames)"
            )

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        whole = self.prepare(batch)["x"]
        count, window, frames = len(whole), whole.shape[2], self.frames
        if window <= frames:
            raise OptionError(
                f"temporal transformations need samples longer than a clip: these have {window} frames, and clips "
                f"{frames}; give longer ones (data.window) or shorter clips (data.frames)"
            )
        speeds = speeds_within(window, frames, self.speeds)
        power = (draws.uniform(count) * speeds).long()
        speed = 2**power
        ways = (
            in_order(draws.uniform(count, 1), frames, window, speed),
            to_and_fro(draws.uniform(count, 3), frames, window, speed),
            out_of_order(draws.uniform(count, 1 + frames), frames, window),
            unevenly(draws.uniform(count, 1 + window), frames, window, 2 ** (speeds - 1)),
        )
        made: list[View] = []
        for way, at in enumerate(ways):
            view: View = {"x": scaled(frames_at(whole, at)), "start": at[:, 0]}
            view["played"] = torch.full((count,), way, device=whole.device)
            if way < 2:
                view |= {"speed": power, "speeds": speeds}
            made.append(self.flip(self.crop(view, draws), draws))
        return made
