"""Rendered scenes of solid things, with class, pose, and exact maps of class, depth and surface normals.

They stand for the rendered images of Newell and Deng, "How Useful is Self-Supervised Pretraining for Visual Tasks?"
(CVPR 2020): ten kinds of things, and texture, colour, viewpoint and lighting that are switched on one by one. Here
things are unions of convex solids, whose first point on a line of sight has a closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.parts.draws import mix

Planes = list[tuple[float, float, float, float]]
"""A convex solid: the points p with ``n . p <= d`` for each row ``(*n, d)``."""

PARTS = ("train", "test")
BINS = 5
"""Of the pose: fifths of a turn about the vertical axis."""
ELEVATION = math.radians(30)
"""How far the camera looks down."""
NEAR, FAR, WALL = 2.0, 3.5, 5.0
"""Distances of the things' middles, and of the wall behind them."""
FOCUS = 2.0
"""A thing's half width over its distance, times this, is its share of half of the image."""
CHUNK = 50


def _box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Planes:
    """From one corner to the other; x to the right, y up, z away from the camera."""
    rows: Planes = []
    for axis, (low, high) in enumerate((x, y, z)):
        unit = [float(axis == i) for i in range(3)]
        rows += [(unit[0], unit[1], unit[2], high), (-unit[0], -unit[1], -unit[2], -low)]
    return rows


def _wedge(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Planes:
    """A box without what is above the plane from its low edge at the right to its high edge at the left."""
    run, rise = x[1] - x[0], y[1] - y[0]
    length = math.hypot(run, rise)
    normal = (rise / length, run / length)
    return [row for row in _box(x, y, z) if row[1] != 1.0] + [(*normal, 0.0, normal[0] * x[1] + normal[1] * y[0])]


def _pyramid(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Planes:
    """Over the box's base, with the tip above its middle."""
    rows: Planes = [(0.0, -1.0, 0.0, -y[0])]
    rise = y[1] - y[0]
    for axis, (low, high) in ((0, x), (2, z)):
        half = (high - low) / 2
        length = math.hypot(half, rise)
        for sign in (1.0, -1.0):
            n = [0.0, half / length, 0.0]
            n[axis] = sign * rise / length
            rows.append((n[0], n[1], n[2], n[1] * y[1] + n[axis] * (low + high) / 2))
    return rows


THINGS: dict[str, tuple[Planes, ...]] = {
    "corner": (_box((-0.8, 0.8), (-0.6, -0.2), (-0.3, 0.3)), _box((-0.8, -0.4), (-0.6, 0.8), (-0.3, 0.3))),
    "stairs": (
        _box((-0.75, -0.25), (-0.6, 0.6), (-0.4, 0.4)), _box((-0.25, 0.25), (-0.6, 0.2), (-0.4, 0.4)),
        _box((0.25, 0.75), (-0.6, -0.2), (-0.4, 0.4)),
    ),
    "chair": (
        _box((-0.5, 0.5), (-0.1, 0.1), (-0.5, 0.5)), _box((-0.5, -0.3), (0.1, 0.9), (-0.5, 0.5)),
        _box((-0.2, 0.2), (-0.8, -0.1), (-0.2, 0.2)),
    ),
    "arrow": (_box((-0.9, 0.3), (-0.15, 0.15), (-0.2, 0.2)), _wedge((0.3, 0.9), (-0.5, 0.5), (-0.2, 0.2))),
    "gate": (
        _box((-0.8, -0.4), (-0.7, 0.4), (-0.3, 0.3)), _box((0.6, 0.8), (-0.7, 0.4), (-0.3, 0.3)),
        _box((-0.8, 0.8), (0.4, 0.7), (-0.3, 0.3)),
    ),
    "hammer": (_box((-0.15, 0.15), (-0.9, 0.4), (-0.15, 0.15)), _box((-0.3, 0.8), (0.4, 0.8), (-0.25, 0.25))),
    "ramp": (_wedge((-0.8, 0.8), (-0.5, 0.5), (-0.5, 0.5)),),
    "house": (
        _box((-0.6, 0.6), (-0.7, 0.1), (-0.4, 0.4)), _pyramid((-0.6, 0.6), (0.1, 0.8), (-0.4, 0.4)),
        _box((0.2, 0.45), (0.1, 0.9), (-0.15, 0.1)),
    ),
    "signpost": (_box((-0.1, 0.1), (-0.9, 0.9), (-0.1, 0.1)), _box((0.1, 0.9), (0.1, 0.7), (-0.08, 0.08))),
    "tower": (
        _box((-0.7, 0.7), (-0.8, -0.4), (-0.5, 0.5)), _box((-0.7, -0.1), (-0.4, 0.4), (-0.5, 0.1)),
        _pyramid((-0.7, -0.1), (0.4, 0.95), (-0.5, 0.1)),
    ),
}  # fmt: skip
"""The ten kinds; none looks the same from two sides."""


@dataclass(frozen=True)
class Scenes:
    """N rendered scenes of K things each.

    The camera looks along z: x goes to the right, y downwards, and the depth z away from it.

    Attributes:
        images: uint8 ``[N, 3, S, S]``.
        kind: of each thing, int64 ``[N, K]``: places in :data:`THINGS`.
        pose: which fifth of a turn it stands at, int64 ``[N, K]``, 0 to 4.
        distance: of its middle, float32 ``[N, K]``.
        classes: int64 ``[N, S, S]``: 0 for the wall, else 1 + the kind.
        depth: float32 ``[N, S, S]``, in the units of the things, which are about 1.7 across; 5 for the wall.
        normals: of length 1 and turned to the camera, float32 ``[N, 3, S, S]``; (0, 0, -1) for the wall.
        boxes: around the pixels of each thing, hidden ones too, float32 ``[N, K, 4]``: x0, y0, x1, y1 in pixels from
            the left and upper edge of the image; zeros for a thing that lies between the pixels.
        visible: share of these pixels that nothing nearer hides, float32 ``[N, K]``.
    """

    images: np.ndarray
    kind: np.ndarray
    pose: np.ndarray
    distance: np.ndarray
    classes: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray

    def labelled_boxes(self, least: float = 0.5) -> np.ndarray:
        """Kind, box and whether it is difficult, float32 ``[N, K, 6]``, as
        :func:`tacit.modalities.image.read_boxes.box_rows` takes them.

        Args:
            least: a thing with a smaller visible share is difficult; one that is hidden wholly has an empty place, -1.
        """
        hard = self.visible < least
        rows = np.concatenate([self.kind[..., None], self.boxes, hard[..., None]], -1).astype(np.float32)
        return np.where(self.visible[..., None] > 0, rows, np.float32(-1))


def rendered_scenes(
    part: str = "train",
    count: int = 1000,
    seed: int = 0,
    size: int = 32,
    things: int = 1,
    *,
    texture: bool = True,
    colour: bool = True,
    viewpoint: bool = True,
    lighting: bool = True,
) -> Scenes:
    """Things at random places and distances, of which a nearer one hides what is behind it.

    Args:
        part: ``train`` or ``test``: other draws of the same things.
        count: number of scenes.
        seed: the same seed gives the same scenes.
        size: side of the images in pixels, at least 16.
        things: in each scene.
        texture: stripes of random direction, width and contrast; else plain.
        colour: random colours of things and wall; else one grey for all things, and one for the wall.
        viewpoint: things are turned about the vertical axis by any angle; else all are at the middle of pose 0.
        lighting: light from a random side; else from the upper left.

    Raises:
        OptionError: if an argument is out of its range.
    """
    if part not in PARTS:
        raise OptionError(f"part must be 'train' or 'test', not '{part}'")
    for name, value, least in (("count", count, 1), ("size", size, 16), ("things", things, 1)):
        if value < least:
            raise OptionError(f"{name} must be at least {least}, not {value}")
    generator = torch.Generator().manual_seed(mix(seed, PARTS.index(part), 0x5CE))
    drawn = [
        _chunk(min(CHUNK, count - start), size, things, generator, (texture, colour, viewpoint, lighting))
        for start in range(0, count, CHUNK)
    ]
    return Scenes(**{name: np.concatenate([made[name] for made in drawn]) for name in drawn[0]})


def _chunk(n: int, size: int, k: int, generator: torch.Generator, switches: tuple[bool, ...]) -> dict[str, Any]:
    texture, colour, viewpoint, lighting = switches

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    kind = torch.randint(len(THINGS), (n, k), generator=generator)
    distance = uniform(NEAR, FAR, n, k)
    room = (1 - 0.9 * FOCUS / distance).clamp_min(0.1)  # where the middle may lie without much of it cut off
    middle = uniform(-1, 1, n, k, 2) * room[..., None]
    turn = uniform(0, 2 * math.pi, n, k) if viewpoint else torch.full((n, k), math.pi / BINS)
    rotation = _rotation(turn)
    planes = _solids()[kind]  # [n, k, pieces, planes, 4]
    turned = torch.cat([planes[..., :3] @ rotation[:, :, None].mT, planes[..., 3:]], -1)
    pixel = (torch.arange(size) + 0.5) * (2 / size) - 1
    sight = torch.stack(torch.meshgrid(pixel, pixel, indexing="xy"), -1)  # (x, y) of each pixel
    place = (sight - middle[:, :, None, None]) * distance[..., None, None, None] / FOCUS
    t, normal = first_hit(turned, place)
    depth = (t + distance[..., None, None]).minimum(torch.tensor(WALL))
    own = depth < WALL  # [n, k, S, S]
    depth, front = depth.min(1)  # [n, S, S]
    hit = depth < WALL
    pick = front[:, None, None].expand(-1, 1, 3, -1, -1)
    normal = normal.movedim(-1, 2).gather(1, pick)[:, 0]
    away = torch.tensor([0.0, 0.0, -1.0])[:, None, None]
    normal = torch.where(hit[:, None], normal, away)
    classes = torch.where(hit, 1 + kind.gather(1, front.flatten(1)).view_as(front), 0)

    colours = (
        uniform(0.3, 1.0, n, k + 1, 3) if colour else torch.tensor([0.85] * k + [0.4])[:, None].expand(n, k + 1, 3)
    )
    which = torch.where(hit, front, k)
    shade = colours.gather(1, which.flatten(1)[..., None].expand(-1, -1, 3)).mT.reshape(n, 3, size, size)
    if texture:
        shade = shade * _stripes(place, t, rotation, front, hit, uniform)
    light = torch.stack([uniform(-1, 1, n), uniform(-1, 0.2, n), uniform(-1.2, -0.4, n)], 1)
    if not lighting:
        light = torch.tensor([-0.5, -0.7, -0.8]).expand(n, 3)
    light = light / light.norm(dim=1, keepdim=True)
    bright = 0.3 + 0.7 * (normal * light[:, :, None, None]).sum(1, keepdim=True).clamp_min(0)
    images = (shade * bright * 255).round().to(torch.uint8)
    pose = (turn * (BINS / (2 * math.pi))).long().clamp_max(BINS - 1)
    seen = own & (front[:, None] == torch.arange(k)[:, None, None])
    made = {"images": images, "kind": kind, "pose": pose, "distance": distance, "classes": classes}
    made |= {"boxes": _extents(own), "visible": seen.sum((2, 3)) / own.sum((2, 3)).clamp_min(1)}
    return {name: x.numpy() for name, x in (made | {"depth": depth, "normals": normal}).items()}


def _extents(masks: Tensor) -> Tensor:
    """x0, y0, x1, y1 of what is true in masks ``[..., S, S]``: float32 ``[..., 4]``; zeros where nothing is."""
    ends = []
    for axis in (-2, -1):  # what is in each column, and in each row
        some = masks.any(axis).float()
        ends.append((some.argmax(-1), (some.shape[-1] - some.flip(-1).argmax(-1)) * some.amax(-1)))
    return torch.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], -1).float()


def first_hit(planes: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Where lines along z first meet unions of convex solids.

    Args:
        planes: solids ``[..., M, P, 4]``: the points p with ``n . p <= d`` for each row ``(*n, d)``.
        place: x and y of lines, ``[..., H, W, 2]``.

    Returns:
        ``z`` of the first point, ``[..., H, W]``, infinite where the line misses; and the normal there,
        ``[..., H, W, 3]``.
    """
    normal, offset = planes[..., None, None, :3], planes[..., None, None, 3]
    left = offset - (normal[..., :2] * place[..., None, None, :, :, :]).sum(-1)  # n_z z <= left
    along = normal[..., 2]
    z = left / torch.where(along == 0, 1.0, along)
    near = torch.where(along < 0, z, -torch.inf).max(-3)
    far = torch.where(along > 0, z, torch.inf).amin(-3)
    outside = ((along == 0) & (left < 0)).any(-3)
    met = torch.where((near.values <= far) & ~outside, near.values, torch.inf)
    t, piece = met.min(-3)
    plane = near.indices.gather(-3, piece.unsqueeze(-3)).squeeze(-3)
    flat = planes[..., :3].flatten(-3, -2)  # [..., M * P, 3]
    row = (piece * planes.shape[-2] + plane).flatten(-2)
    found = flat.gather(-2, row[..., None].expand(*row.shape, 3))
    return t, found.view(*t.shape, 3)


def _rotation(turn: Tensor) -> Tensor:
    """From a thing's own axes (y up) to the camera's (y down), ``[..., 3, 3]``."""
    cos, sin, zero, one = turn.cos(), turn.sin(), torch.zeros_like(turn), torch.ones_like(turn)
    about = torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).unflatten(-1, (3, 3))
    c, s = math.cos(ELEVATION), math.sin(ELEVATION)
    # what is up comes nearer, as the camera looks down; then y is turned round
    tilt = torch.tensor([[1.0, 0.0, 0.0], [0.0, -c, -s], [0.0, -s, c]])
    return tilt @ about


def _solids() -> Tensor:
    """All kinds with as many solids and planes, ``[kinds, M, P, 4]``."""
    most = max(len(pieces) for pieces in THINGS.values())
    never, always = (0.0, 0.0, 0.0, -1.0), (0.0, 0.0, 0.0, 1.0)
    rows = []
    for pieces in THINGS.values():
        filled = [*pieces, *([never] * 6 for _ in range(most - len(pieces)))]
        rows.append([list(piece) + [always] * (6 - len(piece)) for piece in filled])
    return torch.tensor(rows)


def _stripes(place: Tensor, t: Tensor, rotation: Tensor, front: Tensor, hit: Tensor, uniform: Any) -> Tensor:
    """Factors of brightness ``[n, 1, S, S]``: stripes that are fixed to the things; the wall is plain."""
    n, k = t.shape[:2]
    point = torch.cat([place, torch.where(t.isfinite(), t, 0)[..., None]], -1)
    own = (point.flatten(2, 3) @ rotation).view_as(point)  # back to the thing's own axes
    wave = torch.nn.functional.normalize(uniform(-1, 1, n, k, 3), dim=-1) * uniform(4, 12, n, k)[..., None]
    phase, depth = uniform(0, 2 * math.pi, n, k), uniform(0.2, 0.6, n, k)
    on = ((own * wave[:, :, None, None]).sum(-1) + phase[..., None, None]).sin() > 0
    factor = torch.where(on, 1.0, 1 - depth[..., None, None]).gather(1, front[:, None])[:, 0]
    return torch.where(hit, factor, 1.0)[:, None]


__all__ = ["BINS", "THINGS", "Scenes", "first_hit", "rendered_scenes"]
