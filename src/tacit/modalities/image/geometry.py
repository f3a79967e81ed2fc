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

    def __getitem__(self, rows: Tensor | slice) -> Boxes:
        return Boxes(self.top[rows], self.left[rows], self.height[rows], self.width[rows], self.flip[rows])

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
class Bands:
    """One matrix a sample, ``weights [N, out, in]``, and where it is not zero.

    Attributes:
        blocks: ``(first output, end, first input, end)``: outside of these every matrix is zero.
    """

    weights: Tensor
    blocks: list[tuple[int, int, int, int]]


def resize_bands(
    start: Tensor, length: Tensor, flip: Tensor | None, inputs: int, outputs: int, device: torch.device
) -> Bands:
    """Antialiased linear resizing of the interval ``[start, start + length)`` of ``inputs`` pixels to ``outputs``.

    A triangle of half-width ``max(length / outputs, 1)`` around each output's centre, cut at the interval's whole
    pixels and normalised to sum one, as ``torch.nn.functional.interpolate(antialias=True)`` has it. ``start``,
    ``length`` and ``flip`` are ``[N]`` on the CPU.
    """
    step = length / outputs
    first, end = start.floor(), (start + length - 1e-3).ceil()
    at = torch.arange(outputs) + 0.5
    centre = start[:, None] + step[:, None] * at
    if flip is not None:
        centre = torch.where(flip[:, None] > 0, (2 * start + length)[:, None] - centre, centre)
    support = step.clamp_min(1)
    blocks = _blocks(centre, support, first, end, inputs, outputs, device)
    pixel = torch.arange(inputs, device=device) + 0.5
    if not bool((step > 1).any()):
        # No averaging: a centre beyond the outermost pixels' centres takes the outermost pixel alone.
        inside = centre.maximum(first[:, None] + 0.5).minimum(end[:, None] - 0.5).to(device)
        weights = torch.sub(pixel, inside[:, :, None]).abs_().neg_().add_(1).clamp_min_(0)
        return Bands(weights, blocks)
    weights = torch.sub(pixel, centre.to(device)[:, :, None]).abs_()
    weights = weights.mul_((-1 / support).to(device)[:, None, None]).add_(1).clamp_min_(0)
    first, end = first.to(device)[:, None], end.to(device)[:, None]
    weights = weights.mul_(((pixel > first) & (pixel < end))[:, None].float())
    return Bands(weights.div_(weights.sum(-1, keepdim=True)), blocks)


def _blocks(
    centre: Tensor,
    support: Tensor,
    first: Tensor,
    end: Tensor,
    inputs: int,
    outputs: int,
    device: torch.device,
) -> list[tuple[int, int, int, int]]:
    if device.type != "cpu" or max(inputs, outputs) <= 2 * BLOCK:
        return [(0, outputs, 0, inputs)]
    blocks = []
    for low in range(0, outputs, BLOCK):
        high = min(low + BLOCK, outputs)
        edges = centre[:, [low, high - 1]]
        near = (edges.amin(1) - support).floor().maximum(first).minimum(end - 1).amin()
        far = (edges.amax(1) + support).ceil().minimum(end).maximum(first + 1).amax()
        blocks.append((low, high, int(near), int(far)))
    return blocks


def apply_bands(x: Tensor, rows: Bands, columns: Bands, gain: float = 1.0) -> Tensor:
    """``gain * rows @ x @ columns.T`` for every sample and channel: ``[N, C, h, w] -> [N, C, H, W]``."""
    n, channels, height, width = x.shape
    out_h, out_w = rows.weights.shape[1], columns.weights.shape[1]
    top, bottom = min(b[2] for b in rows.blocks), max(b[3] for b in rows.blocks)
    x = x[:, :, top:bottom].reshape(n, channels * (bottom - top), width)
    weights = columns.weights.transpose(1, 2)
    if len(columns.blocks) == 1:
        wide = _product(x, weights, gain)
    else:
        wide = x.new_empty(n, channels * (bottom - top), out_w)
        for low, high, near, far in columns.blocks:
            wide[:, :, low:high] = _product(x[:, :, near:far], weights[:, near:far, low:high], gain)
    wide = wide.view(n * channels, bottom - top, out_w)
    out = x.new_empty(n * channels, out_h, out_w)
    for low, high, near, far in rows.blocks:
        part = rows.weights[:, None, low:high, near:far].expand(n, channels, high - low, far - near)
        part = part.reshape(n * channels, high - low, far - near)
        if high - low == out_h:
            torch.bmm(part, wide[:, near - top : far - top], out=out)
        else:
            out[:, low:high] = torch.bmm(part, wide[:, near - top : far - top])
    return out.view(n, channels, out_h, out_w)


def _product(a: Tensor, b: Tensor, gain: float) -> Tensor:
    return torch.bmm(a, b) if gain == 1 else torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=gain)


def crop_resize(x: Tensor, boxes: Boxes, size: tuple[int, int]) -> Tensor:
    """Cut out ``boxes`` and resize them to ``size``, antialiased: uint8 or float ``[N, C, h, w]`` to float ``[N, C, H, W]``.

    uint8 pixels are scaled to [0, 1]; float pixels stay as they are.
    """
    height, width = x.shape[2:]
    gain = 1 / 255 if x.dtype == torch.uint8 else 1.0
    columns = resize_bands(boxes.left, boxes.width, boxes.flip, width, size[1], x.device)
    rows = resize_bands(boxes.top, boxes.height, None, height, size[0], x.device)
    return apply_bands(x.float(), rows, columns, gain)


def chunk_rows(count: int, numbers: int, device: torch.device) -> int:
    """How many samples of ``numbers`` numbers each to work on at a time: all of them on an accelerator."""
    return max(count, 1) if device.type != "cpu" else max(1, CHUNK // max(numbers, 1))


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
    rows = chunk_rows(len(x), x.shape[1] * max(stored[0] * stored[1], size[0] * size[1]), x.device)
    parts = [crop_resize(x[i : i + rows], boxes[i : i + rows], size) for i in range(0, len(x), rows)]
    params = {"theta": boxes.theta(stored), "flip": boxes.flip}
    return torch.cat(parts), {key: value.to(x.device) for key, value in params.items()}
