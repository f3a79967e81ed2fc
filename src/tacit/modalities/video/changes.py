"""Transformations of videos, for the whole batch at once, the same for all frames of a clip.

They work on ``x`` ``[B, C, T, H, W]``: uint8 until a clip was taken, then float32, scaled to [0, 1] where pixels were
uint8. Colour changes are linear and do not clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.modalities.video.spec import Spec, scaled
from tacit.parts.draws import Draws
from tacit.views.base import View
from tacit.views.changes import Change
from tacit.views.stretches import check_not_negative, check_shares

LUMA = (0.299, 0.587, 0.114)


class Whole:
    """A batch as a view before any change: the whole sample, pixels as they are stored.

    Attributes:
        frames, size: of a clip.
    """

    def __init__(self, spec: Spec) -> None:
        self.frames, self.size = spec.frames, spec.size

    def __call__(self, batch: Batch) -> View:
        return {"x": batch["x"]}


@dataclass(frozen=True)
class Clip(Change):
    """``frames`` frames in a row from a random place of the sample, or every second, third, ... up to ``fastest``, so
    far as the sample is long enough. The view then has ``start`` (its first frame) and ``step`` (frames from one to
    the next), int64 ``[B]`` each."""

    frames: int = 16
    fastest: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames < 1 or self.fastest < 1:
            raise OptionError(f"clip.frames and clip.fastest must be at least 1, not {self.frames} and {self.fastest}")
        _all_or_none(self)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        window = x.shape[2]
        if window < self.frames:
            raise OptionError(
                f"a clip of {self.frames} frames cannot be taken of {window}; give fewer (views.clip.frames) or longer "
                "samples (data.window)"
            )
        u = draws.uniform(len(x), 2)
        most = min(self.fastest, (window - 1) // (self.frames - 1)) if self.frames > 1 else 1
        step = 1 + (u[:, 0] * most).long()
        start = (u[:, 1] * (window - (self.frames - 1) * step)).long()
        at = start[:, None] + step[:, None] * torch.arange(self.frames, device=x.device)
        return view | {"x": scaled(frames_at(x, at)), "start": start, "step": step}


@dataclass(frozen=True)
class Crop(Change):
    """A box of every frame, the same in all, brought to ``size`` (height, width), by linear interpolation.

    ``scale`` is the range of its share of the area, ``ratio`` that of its width over its height relative to the
    frame's. The view then has ``theta`` (``[B, 2, 3]``).
    """

    size: tuple[int, int] = (112, 112)
    scale: tuple[float, float] = (0.3, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("crop.scale", self.scale)
        if not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise OptionError(f"crop.ratio must be two numbers, 0 < low <= high, not {self.ratio!r}")
        if min(self.size) < 1:
            raise OptionError(f"crop.size must be two positive numbers of pixels, not {self.size!r}")
        _all_or_none(self)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        u = draws.uniform(len(x), 4)
        area = self.scale[0] + (self.scale[1] - self.scale[0]) * u[:, 0]
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        root = (0.5 * (low + (high - low) * u[:, 1])).exp()
        width, height = (area.sqrt() * root).clamp_max(1), (area.sqrt() / root).clamp_max(1)
        theta = torch.zeros(len(x), 2, 3, device=x.device)
        theta[:, 0, 0], theta[:, 1, 1] = width, height
        theta[:, 0, 2] = (2 * u[:, 2] - 1) * (1 - width)
        theta[:, 1, 2] = (2 * u[:, 3] - 1) * (1 - height)
        return view | {"x": boxes(x, theta, self.size, self.scale[0]), "theta": theta}


@dataclass(frozen=True)
class Flip(Change):
    """Left and right exchanged in all frames; ``p=0`` where they mean something."""

    p: float = 0.5

    def change(self, view: View, draws: Draws) -> View:
        made = view | {"x": view["x"].flip(4)}
        if "theta" in view:
            made["theta"] = view["theta"] * torch.tensor([-1.0, 1.0, 1.0], device=view["theta"].device)
        return made


@dataclass(frozen=True)
class Jitter(Change):
    """Brightness, contrast, saturation and hue of all frames of a clip changed alike, in this order.

    ``brightness``, ``contrast`` and ``saturation`` are the widths of ranges of factors around 1, ``hue`` the largest
    turn in whole circles, about the grey axis. Without three channels only the first two are changed.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("brightness", "contrast", "saturation", "hue"):
            check_not_negative(f"jitter.{name}", getattr(self, name))

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        batch, channels = x.shape[:2]
        u = 2 * draws.uniform(batch, 4) - 1
        widths = (self.brightness, self.contrast, self.saturation)
        bright, contrast, saturation = (
            (1 + width * u[:, i]).clamp_min(0)[:, None, None] for i, width in enumerate(widths)
        )
        matrix = bright * contrast * torch.eye(channels, device=x.device)
        weights = _luma(channels, x.device)
        level = (x.mean((2, 3, 4)) * weights).sum(1)[:, None] * bright[:, 0] * (1 - contrast[:, 0])
        if channels == 3:
            grey = weights.expand(3, 3)
            matrix = (saturation * torch.eye(3, device=x.device) + (1 - saturation) * grey) @ matrix
            matrix = turned(2 * math.pi * self.hue * u[:, 3]) @ matrix  # grey stays grey under both: so does level
        changed = torch.baddbmm(level.expand(batch, channels)[..., None], matrix, x.flatten(2))
        return view | {"x": changed.view_as(x)}


@dataclass(frozen=True)
class Grey(Change):
    """No colour: every channel becomes the lightness (of other than three channels, the mean)."""

    p: float = 0.2

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        weights = _luma(x.shape[1], x.device)
        return view | {"x": torch.einsum("bc...,c->b...", x, weights)[:, None].expand_as(x).contiguous()}


@dataclass(frozen=True)
class Blur(Change):
    """Every frame blurred by a Gaussian whose standard deviation is drawn from ``sigma`` (a range, in pixels), cut at
    the border and made to sum to one."""

    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.sigma[0] <= self.sigma[1] < math.inf:
            raise OptionError(f"blur.sigma must be two numbers, 0 < low <= high, not {self.sigma!r}")

    def change(self, view: View, draws: Draws) -> View:
        x, (low, high) = view["x"], self.sigma
        sigma = low + (high - low) * draws.uniform(len(x), 1, 1)
        rows, columns = (_gaussian(sigma, side, x.device)[:, None] for side in x.shape[3:])
        made = rows @ x.flatten(1, 2) @ columns.transpose(2, 3)
        return view | {"x": made.unflatten(1, tuple(x.shape[1:3]))}


def frames_at(x: Tensor, at: Tensor) -> Tensor:
    """Frames of each video: ``[B, C, W, H, W']`` at int64 ``[B, T]`` is ``[B, C, T, H, W']``."""
    rows = torch.arange(len(x), device=x.device)[:, None]
    return x.transpose(1, 2)[rows, at].transpose(1, 2)


def boxes(x: Tensor, theta: Tensor, size: tuple[int, int], smallest: float = 1.0) -> Tensor:
    """Boxes of all frames brought to a size: the affine grid ``theta`` (``[B, 2, 3]``) as
    ``torch.nn.functional.affine_grid`` has it, without aligned corners.

    Frames so large that even the smallest box (a share of the area) would have to be made smaller are averaged down
    before.
    """
    most = [math.ceil(side / smallest**0.5) for side in size]
    if x.shape[3] > most[0] or x.shape[4] > most[1]:
        x = resized(x, (min(most[0], x.shape[3]), min(most[1], x.shape[4])))
    flat = x.flatten(1, 2)
    grid = F.affine_grid(theta.to(flat.dtype), [len(x), flat.shape[1], *size], align_corners=False)
    made = F.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    return made.unflatten(1, tuple(x.shape[1:3]))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """All frames at another size, antialiased."""
    made = F.interpolate(x.flatten(1, 2), size, mode="bilinear", antialias=True, align_corners=False)
    return made.unflatten(1, tuple(x.shape[1:3]))


def turned(angle: Tensor) -> Tensor:
    """Rotations of colours about the grey axis by angles ``[B]``: ``[B, 3, 3]``."""
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    third = torch.full((3, 3), 1 / 3, device=angle.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=angle.device) / 3**0.5
    return cos * torch.eye(3, device=angle.device) + (1 - cos) * third + sin * cross


def _luma(channels: int, device: torch.device) -> Tensor:
    return torch.tensor(LUMA if channels == 3 else (1 / channels,) * channels, device=device)


def _gaussian(sigma: Tensor, side: int, device: torch.device) -> Tensor:
    place = torch.arange(side, device=device, dtype=torch.float32)
    weights = (-0.5 * ((place[:, None] - place) / sigma.to(device)).square()).exp()
    return weights / weights.sum(2, keepdim=True)


def _all_or_none(change: Change) -> None:
    if change.p not in (0.0, 1.0):
        raise OptionError(
            f"{change.name()} changes the shape and is done to all or to none: p is 0 or 1, not {change.p}"
        )
