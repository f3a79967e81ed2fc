"""Crops, flips and resizing of a batch, each sample with its own box, as products with banded matrices.

An antialiased resize is separable and linear, so the crop, the flip and the resize of one sample are two small
matrices: ``out = rows @ image @ columns.T``. They equal ``torchvision``'s ``resized_crop(antialias=True)``: weights
outside the box are zero and each row sums to one. Large matrices are narrow bands, which are applied block by block.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TypeVar

import torch
from torch import Tensor

from tacit.parts.draws import Draws

TRIES = 10
"""How many boxes are drawn before the central one is taken, as in ``torchvision.transforms.RandomResizedCrop``."""
NUMBERS = 2 * TRIES + 3
"""Uniform numbers that one crop and flip need."""
CHUNK = 3 << 17
"""Numbers that are worked on at a time on a CPU: a chunk with its scratch space stays in the second-level cache."""
BLOCK = 32
"""Outputs of a band matrix that are computed together; 32 with their neighbours keep matrix units busy."""


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
    """The largest centred boxes whose true aspect is that of ``target`` (height, width), in whole true pixels."""
    true_h, true_w = true_size(size, aspect, count)
    wanted = target[1] / target[0]
    height = (true_w / wanted).round().clamp_min(1).minimum(true_h)
    width = (true_h * wanted).round().clamp_min(1).minimum(true_w)
    top, left = ((true_h - height) / 2).floor(), ((true_w - width) / 2).floor()
    return _stored(Boxes(top, left, height, width, torch.zeros(count)), size, true_h, true_w)


def _stored(boxes: Boxes, size: tuple[int, int], true_h: Tensor, true_w: Tensor) -> Boxes:
    """Boxes in true pixels as boxes in stored pixels."""
    down, across = size[0] / true_h, size[1] / true_w
    return Boxes(boxes.top * down, boxes.left * across, boxes.height * down, boxes.width * across, boxes.flip)


@dataclass
class Axis:
    """Where the outputs along one axis lie among the inputs, in pixels; on the CPU.

    Attributes:
        centre: of each output, ``[N, out]``.
        support: half-width of the triangle that averages, ``[N]``; 1 where the box is enlarged.
        first, end: the whole pixels that the box touches, ``[N]``.
    """

    centre: Tensor
    support: Tensor
    first: Tensor
    end: Tensor

    @classmethod
    def of(cls, start: Tensor, length: Tensor, outputs: int) -> Axis:
        step = length / outputs
        centre = torch.addcmul(start[:, None], step[:, None], torch.arange(0.5, outputs))
        # 1e-3: a box of whole pixels stays one when its edges were scaled and rounded.
        return cls(centre, step.clamp_min(1.0), (start + 1e-3).floor(), (start + length - 1e-3).ceil())


@dataclass
class Crops:
    """What :func:`crop_resize` needs to know of ``N`` boxes, worked out for many samples at once."""

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, boxes: Boxes, size: tuple[int, int]) -> Crops:
        """Crops that are resized to ``size``."""
        rows = Axis.of(boxes.top, boxes.height, size[0])
        columns = Axis.of(boxes.left, boxes.width, size[1])
        mirrored = (2.0 * boxes.left + boxes.width)[:, None] - columns.centre
        columns.centre = torch.where(boxes.flip[:, None] > 0.0, mirrored, columns.centre)
        return cls(rows, columns)


def blocks(side: int, device: torch.device) -> list[tuple[int, int]]:
    """``(first, end)`` of the outputs that are computed together: all of a small image, and on an accelerator."""
    step = side if device.type != "cpu" or side <= 2 * BLOCK else BLOCK
    return [(low, min(low + step, side)) for low in range(0, side, step)]


def crop_resize(x: Tensor, crops: Crops, out: Tensor | None = None) -> Tensor:
    """Cut out boxes and resize them, antialiased: ``[N, C, h, w] -> [N, C, H, W]`` (``out``, float32).

    uint8 pixels are scaled to [0, 1]; float pixels stay as they are.
    """
    gain = 1 / 255 if x.dtype == torch.uint8 else 1.0
    top, bottom = int(crops.rows.first.min()), int(crops.rows.end.max())
    left, right = int(crops.columns.first.min()), int(crops.columns.end.max())
    x = x[:, :, top:bottom, left:right].float()
    averages = bool((crops.rows.support > 1.0).any()) or bool((crops.columns.support > 1.0).any())
    if not averages and x.device.type == "cpu" and crops.columns.centre.shape[1] > 2 * BLOCK:
        return torch.mul(_look_up(x, _edged(crops.rows) - top, _edged(crops.columns) - left), gain, out=out)
    columns = _matrices(crops.columns, left, right, averages, x.device)
    wide = x.new_empty(len(x), x.shape[1] * (bottom - top), columns.shape[1])
    _multiply_columns(x.flatten(1, 2), columns, crops.columns, left, gain, wide)
    rows = _matrices(crops.rows, top, bottom, averages, x.device)
    if out is None:
        out = x.new_empty(*x.shape[:2], rows.shape[1], columns.shape[1])
    _multiply_rows(wide, rows, crops.rows, top, out)
    return out


def _edged(axis: Axis) -> Tensor:
    """Centres for two neighbours' interpolation: beyond the outermost pixels' centres, the outermost alone."""
    return axis.centre.maximum(axis.first[:, None] + 0.5).minimum(axis.end[:, None] - 0.5)


def _matrices(axis: Axis, low: int, high: int, averages: bool, device: torch.device) -> Tensor:
    """``[N, out, high - low]``: the weights of the pixels ``low .. high``, as ``interpolate(antialias=True)`` has them.

    A triangle of half-width ``support`` around each centre, cut at the box and normalised to sum one.
    """
    pixel = torch.arange(low + 0.5, high, device=device)
    if not averages:
        return torch.sub(pixel, _edged(axis).to(device)[:, :, None]).abs_().neg_().add_(1.0).clamp_min_(0.0)
    weights = torch.sub(pixel, axis.centre.to(device)[:, :, None]).abs_()
    weights.mul_((-1.0 / axis.support).to(device)[:, None, None]).add_(1.0).clamp_min_(0.0)
    first, end = axis.first.to(device)[:, None], axis.end.to(device)[:, None]
    weights.mul_(((pixel > first) & (pixel < end))[:, None].float())
    return weights.div_(weights.sum(-1, keepdim=True))


def _bands(axis: Axis, low: int, high: int, device: torch.device) -> list[tuple[int, int, int, int]]:
    """``(first output, end, first input, end)``: outside of these the matrices are zero. Inputs count from ``low``."""
    parts = blocks(axis.centre.shape[1], device)
    if len(parts) == 1:
        return [(*parts[0], 0, high - low)]
    ends = axis.centre[:, [a for a, _ in parts]], axis.centre[:, [b - 1 for _, b in parts]]
    near = (torch.minimum(*ends) - axis.support[:, None]).amin(0).clamp(low, high - 1).floor().int() - low
    far = (torch.maximum(*ends) + axis.support[:, None]).amax(0).clamp(low + 1, high).ceil().int() - low
    return [(*part, a, b) for part, a, b in zip(parts, near.tolist(), far.tolist(), strict=True)]


def _multiply_columns(x: Tensor, matrices: Tensor, axis: Axis, low: int, gain: float, out: Tensor) -> None:
    """``out = gain * x @ matrices.T``, ``[N, rows, in] -> [N, rows, out]``."""
    weights, none = matrices.transpose(1, 2), x.new_empty(())
    bands = _bands(axis, low, low + x.shape[2], x.device)
    for first, end, near, far in bands:
        a, b = x[:, :, near:far], weights[:, near:far, first:end]
        if len(bands) == 1:
            torch.baddbmm(none, a, b, beta=0, alpha=gain, out=out)
        else:
            out[:, :, first:end] = torch.baddbmm(none, a, b, beta=0, alpha=gain)


def _multiply_rows(x: Tensor, matrices: Tensor, axis: Axis, low: int, out: Tensor) -> None:
    """``out = matrices @ x`` for every channel: ``[N, C * in, W] -> [N, C, out, W]``."""
    n, channels, height, width = out.shape
    x, flat = x.view(n * channels, -1, width), out.view(n * channels, height, width)
    bands = _bands(axis, low, low + x.shape[1], x.device)
    for first, end, near, far in bands:
        part = matrices[:, None, first:end, near:far].expand(n, channels, end - first, far - near).flatten(0, 1)
        if len(bands) == 1:
            torch.bmm(part, x[:, near:far], out=flat)
        else:
            flat[:, first:end] = torch.bmm(part, x[:, near:far])


def _look_up(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Linear interpolation at ``rows [N, H]`` and ``columns [N, W]``: for large enlargements faster than matrices."""
    height, width = x.shape[2:]
    grid = x.new_empty(len(x), rows.shape[1], columns.shape[1], 2)
    grid[..., 0] = (columns * (2.0 / width) - 1.0)[:, None]
    grid[..., 1] = (rows * (2.0 / height) - 1.0)[:, :, None]
    return torch.nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def chunk_rows(count: int, numbers: int, device: torch.device) -> int:
    """How many samples of ``numbers`` numbers each to work on at a time: all of them on an accelerator."""
    return max(count, 1) if device.type != "cpu" else max(1, CHUNK // max(numbers, 1))


def crop_all(x: Tensor, boxes: Boxes, size: tuple[int, int]) -> Tensor:
    """:func:`crop_resize` of a whole batch, a chunk at a time."""
    out = torch.empty(len(x), x.shape[1], *size, device=x.device)
    crops, rows = Crops.of(boxes, size), chunk_rows(len(x), out[:1].numel(), x.device)
    for i in range(0, len(x), rows):
        part = slice(i, i + rows)
        crop_resize(x[part], take_rows(crops, part), out[part])
    return out


def crop_flip(
    x: Tensor,
    aspect: Tensor | None,
    draws: Draws,
    size: tuple[int, int],
    scale: tuple[float, float] = (0.2, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
) -> tuple[Tensor, dict[str, Tensor]]:
    """A random resized crop and a random horizontal flip of every sample.

    Args:
        x: uint8 or float ``[B, C, h, w]``.
        aspect: true width over height ``[B]``, or None; see :func:`random_boxes` for it and what follows.
        draws: where the numbers come from.
        size: height and width of the result.

    Returns:
        Images in [0, 1] (uint8 input) or in the input's range (float), ``[B, C, H, W]`` float32, and ``theta``
        (``[B, 2, 3]``) and ``flip`` (``[B]``) on the device of ``x``.
    """
    stored = (x.shape[2], x.shape[3])
    u = Draws(draws.generator).uniform(len(x), NUMBERS)
    boxes = random_boxes(u, stored, aspect, scale, ratio, flip)
    params = {"theta": boxes.theta(stored), "flip": boxes.flip}
    return crop_all(x, boxes, size), {key: value.to(x.device) for key, value in params.items()}
