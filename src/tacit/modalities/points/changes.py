"""Transformations of point clouds that move points or change what they have, for the whole batch at once.

They work on ``x`` (``[B, 3 + F, N]``: places, normals if there are any, other features; zero where padded). A view also
has ``length`` (int64 ``[B]``), ``normals`` (whether the numbers after the place are one) and ``theta`` (float32
``[B, 3, 4]``): the map from places in the whole normalised cloud to those in the view, so that methods can tell which
places of two views are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.parts.draws import Draws
from tacit.views.base import View
from tacit.views.changes import Change
from tacit.views.stretches import check_not_negative, clean

AXES = {"x": 0, "y": 1, "z": 2}


def mapped(view: View, matrix: Tensor, shift: Tensor | None = None) -> View:
    """The view after a linear map of its places (``[B, 3, 3]``), of its normals as befits them, and a shift (``[B,
    3]``)."""
    x = view["x"]
    matrix = matrix.to(x.dtype)
    places = matrix @ x[:, :3]
    if shift is not None:
        places = places + shift[..., None].to(x.dtype)
    parts = [places]
    if view["normals"]:
        # what is orthogonal to the surface is mapped by the inverse transpose
        turned = torch.linalg.inv(matrix.float()).transpose(1, 2).to(x.dtype) @ x[:, 3:6]
        length = x[:, 3:6].norm(dim=1, keepdim=True)
        parts.append(turned * (length / turned.norm(dim=1, keepdim=True).clamp_min(1e-12)))
    parts.append(x[:, 3 + 3 * bool(view["normals"]) :])
    theta = matrix.float() @ view["theta"]
    if shift is not None:
        theta = torch.cat((theta[..., :3], theta[..., 3:] + shift[..., None].float()), 2)
    return clean(view | {"theta": theta}, torch.cat(parts, 1))


def rotations(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices about unit axes ``[B, 3]`` by angles ``[B]`` (rad), by Rodrigues' formula: ``[B, 3, 3]``."""
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), 1).view(-1, 3, 3)
    s, c = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return torch.eye(3, device=axis.device) + s * cross + (1 - c) * cross @ cross


@dataclass(frozen=True)
class Turn(Change):
    """A rotation about the ``axis`` x, y or z by an angle of at most ``degrees``; about ``any``, a random axis, every
    rotation being equally likely for 180 degrees."""

    axis: Literal["x", "y", "z", "any"] = "z"
    degrees: float = 180.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axis not in (*AXES, "any"):
            raise OptionError(f"turn.axis must be one of x, y, z, any, not {self.axis!r}")
        if not 0 <= self.degrees <= 180:
            raise OptionError(f"turn.degrees must be from 0 to 180, not {self.degrees}")

    def change(self, view: View, draws: Draws) -> View:
        batch = len(view["x"])
        if self.axis == "any":
            # a random unit quaternion; one of smaller angle keeps its axis
            q = torch.nn.functional.normalize(draws.normal(batch, 4), dim=1)
            q = torch.where(q[:, :1] < 0, -q, q)
            angle = 2 * q[:, 0].clamp(max=1).acos() * (self.degrees / 180)
            axis = torch.nn.functional.normalize(q[:, 1:], dim=1)
        else:
            angle = (2 * draws.uniform(batch) - 1) * math.radians(self.degrees)
            axis = torch.eye(3, device=angle.device)[AXES[self.axis]].expand(batch, -1)
        return mapped(view, rotations(axis, angle))


@dataclass(frozen=True)
class Flip(Change):
    """A reflection that turns x into -x; after a turn about z, one in any upright plane."""

    def change(self, view: View, draws: Draws) -> View:
        mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], device=view["x"].device))
        return mapped(view, mirror.expand(len(view["x"]), -1, -1))


@dataclass(frozen=True)
class Scaling(Change):
    """Larger or smaller by a factor from the range ``factor``, evenly on a logarithmic scale; with ``axes`` by another
    one along each of x, y and z."""

    factor: tuple[float, float] = (0.8, 1.25)
    axes: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.factor[0] <= self.factor[1] < math.inf:
            raise OptionError(f"scaling.factor must be two positive numbers, low <= high, not {self.factor!r}")

    def change(self, view: View, draws: Draws) -> View:
        low, high = (math.log(value) for value in self.factor)
        drawn = (low + (high - low) * draws.uniform(len(view["x"]), 3 if self.axes else 1)).exp()
        return mapped(view, torch.diag_embed(drawn.expand(-1, 3)))


@dataclass(frozen=True)
class Shift(Change):
    """Moved by at most ``reach`` (where 1 is the size of a cloud, or of all on average) along each axis."""

    reach: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("shift.reach", self.reach)

    def change(self, view: View, draws: Draws) -> View:
        by = self.reach * (2 * draws.uniform(len(view["x"]), 3) - 1)
        return mapped(view, torch.eye(3, device=by.device).expand(len(by), -1, -1), by)


@dataclass(frozen=True)
class Jitter(Change):
    """Normal noise of standard deviation ``sigma`` on every place, at most ``clip`` times as much."""

    sigma: float = 0.02
    clip: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("jitter.sigma", self.sigma)
        check_not_negative("jitter.clip", self.clip)

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        noise = normal_along(draws, len(x), 3, x.shape[2]).clamp(-self.clip, self.clip) * self.sigma
        return clean(view, torch.cat((x[:, :3] + noise.to(x.dtype), x[:, 3:]), 1))


@dataclass(frozen=True)
class Tint(Change):
    """Every feature that is no normal times its own factor, exp of a normal number of standard deviation ``contrast``,
    plus its own number of standard deviation ``brightness``, alike for all points of a cloud."""

    contrast: float = 0.2
    brightness: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("tint.contrast", self.contrast)
        check_not_negative("tint.brightness", self.brightness)

    def change(self, view: View, draws: Draws) -> View:
        x, first = view["x"], 3 + 3 * bool(view["normals"])
        drawn = draws.normal(len(x), 2, max(x.shape[1] - first, 1), 1).to(x.dtype)
        if x.shape[1] == first:
            return view
        tinted = x[:, first:] * (self.contrast * drawn[:, 0]).exp() + self.brightness * drawn[:, 1]
        return clean(view, torch.cat((x[:, :first], tinted), 1))


@dataclass(frozen=True)
class Forget(Change):
    """All features but the place become zero, which is their mean."""

    def change(self, view: View, draws: Draws) -> View:
        x = view["x"]
        return view | {"x": torch.cat((x[:, :3], torch.zeros_like(x[:, 3:])), 1)}


def normal_along(draws: Draws, *shape: int) -> Tensor:
    """Standard normal numbers for every place of padded samples, by Box and Muller's formula."""
    u, v = draws.along(*shape), draws.along(*shape)
    return (-2 * u.log()).sqrt() * (2 * math.pi * v).cos()
