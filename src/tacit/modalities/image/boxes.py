"""Where images are cropped: boxes drawn for a whole batch, each sample its own."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TypeVar

import torch
from torch import Tensor

TRIES = 10
"""How many boxes are drawn before the central one is taken, as in ``torchvision.transforms.RandomResizedCrop``."""
NUMBERS = 2 * TRIES + 3
"""Uniform numbers that one crop and flip need."""

T = TypeVar("T")


def join_rows(parts: list[T]) -> T:
    """Several dataclasses of tensors as one, each field concatenated along the rows."""
    first = parts[0]
    joined = []
    for field in fields(first):  # type: ignore[arg-type]
        rows = [getattr(part, field.name) for part in parts]
        joined.append(join_rows(rows) if is_dataclass(rows[0]) else torch.cat(rows))
    return type(first)(*joined)


def take_rows(rows: T, index: Tensor | slice) -> T:
    """The rows at ``index`` of a dataclass of tensors."""
    values = (getattr(rows, field.name) for field in fields(rows))  # type: ignore[arg-type]
    return type(rows)(*(take_rows(v, index) if is_dataclass(v) else v[index] for v in values))


@dataclass
class Boxes:
    """Crop boxes in stored pixels, one a row: ``top``, ``left``, ``height``, ``width`` and ``flip`` (0 or 1), ``[N]``.

    The numbers are float and live on the CPU, where the shape of the work is decided.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor

    def theta(self, size: tuple[int, int]) -> Tensor:
        """The boxes as affine grids ``[N, 2, 3]`` of ``torch.nn.functional.affine_grid`` (``align_corners=False``).

        Output coordinates in [-1, 1] map to coordinates of the stored image of ``size`` (height, width); a flip is
        a negative scale along the width.
        """
        height, width = size
        zero = torch.zeros_like(self.top)
        along = self.width / width * (1 - 2 * self.flip)
        row_x = torch.stack([along, zero, (2 * self.left + self.width) / width - 1], 1)
        row_y = torch.stack([zero, self.height / height, (2 * self.top + self.height) / height - 1], 1)
        return torch.stack([row_x, row_y], 1)


def true_size(size: tuple[int, int], aspect: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """Height and width ``[count]`` that the images have in their true geometry, in whole pixels.

    Args:
        size: stored height and width; an image may have been squashed to it.
        aspect: true width over height, ``[count]``; None stands for an image that is stored as it is.
    """
    height, width = size
    if aspect is None:
        return torch.full((count,), float(height)), torch.full((count,), float(width))
    aspect = aspect.detach().to("cpu", torch.float64)
    area = float(height * width)
    return tuple(t.sqrt().round().clamp_min(1).float() for t in (area / aspect, area * aspect))  # type: ignore[return-value]


def random_boxes(
    u: Tensor,
    size: tuple[int, int],
    aspect: Tensor | None = None,
    scale: tuple[float, float] = (0.2, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
) -> Boxes:
    """Boxes distributed as those of ``torchvision.transforms.RandomResizedCrop``, all samples at once.

    Area and aspect are drawn :data:`TRIES` times and the first whole-pixel box that fits is taken; where none does,
    the largest central box whose aspect is within ``ratio``.

    Args:
        u: uniform numbers on the CPU, ``[N, NUMBERS]``.
        size: stored height and width.
        aspect: true width over height, ``[N]``; boxes are drawn in true geometry and mapped to stored pixels.
        scale: range of the share of the area.
        ratio: range of width over height.
        flip: probability of a horizontal flip.
    """
    true_h, true_w = true_size(size, aspect, len(u))
    h, w = true_h[:, None], true_w[:, None]
    area = h * w * (scale[0] + (scale[1] - scale[0]) * u[:, :TRIES])
    low, high = torch.tensor(ratio).log().tolist()
    shape = torch.exp(low + (high - low) * u[:, TRIES : 2 * TRIES])
    box_w, box_h = (area * shape).sqrt().round(), (area / shape).sqrt().round()
    fits = (box_w > 0) & (box_h > 0) & (box_w <= w) & (box_h <= h)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    found = fits.any(1)
    widest, tallest = (h * ratio[1]).round().minimum(w), (w / ratio[0]).round().minimum(h)
    width = torch.where(found, box_w.gather(1, first)[:, 0], widest[:, 0])
    height = torch.where(found, box_h.gather(1, first)[:, 0], tallest[:, 0])
    free_h, free_w = true_h - height, true_w - width
    u_top, u_left, u_flip = u[:, 2 * TRIES], u[:, 2 * TRIES + 1], u[:, 2 * TRIES + 2]
    top = torch.where(found, (u_top * (free_h + 1)).floor().minimum(free_h), (free_h / 2).floor())
    left = torch.where(found, (u_left * (free_w + 1)).floor().minimum(free_w), (free_w / 2).floor())
    return _stored(Boxes(top, left, height, width, (u_flip < flip).float()), size, true_h, true_w)


def central_boxes(count: int, size: tuple[int, int], aspect: Tensor | None, target: tuple[int, int]) -> Boxes:
    """The largest centred boxes whose true aspect is that of ``target`` (height, width).

    In whole pixels, unless the image was squashed to its stored ``size`` (``aspect``, as in :func:`true_size`).
    """
    h, w = (torch.full((count,), float(side)) for side in size)
    aspect = w / h if aspect is None else aspect.detach().to("cpu", torch.float32)
    wanted = target[1] / target[0] * (w / h) / aspect
    width, height = (h * wanted).minimum(w), (w / wanted).minimum(h)
    top, left = (h - height) / 2, (w - width) / 2
    squashed = (aspect * h / w - 1.0).abs() > 1e-4
    height, width = (torch.where(squashed, t, t.round().clamp_min(1.0)) for t in (height, width))
    top, left = (
        torch.where(squashed, t, ((side - box) / 2.0).floor()) for t, side, box in ((top, h, height), (left, w, width))
    )
    return Boxes(top, left, height, width, torch.zeros(count))


def _stored(boxes: Boxes, size: tuple[int, int], true_h: Tensor, true_w: Tensor) -> Boxes:
    """Boxes in true pixels as boxes in stored pixels."""
    down, across = size[0] / true_h, size[1] / true_w
    return Boxes(boxes.top * down, boxes.left * across, boxes.height * down, boxes.width * across, boxes.flip)
