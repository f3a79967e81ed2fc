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
class Bands:
    """One matrix a sample, ``weights [N, out, in]``, and where it is not zero.

    Attributes:
        blocks: ``(first output, end, first input, end)``: outside of these every matrix is zero.
    """

    weights: Tensor
    blocks: list[tuple[int, int, int, int]]


@dataclass
class _Axis:
    """Where the outputs along one axis lie among the inputs; all ``[N]`` or ``[N, out]``, on the CPU.

    ``first`` and ``end`` are the whole pixels that the box touches; ``support`` is the half-width of the averaging
    triangle, 1 where the box is enlarged.
    """

    centre: Tensor
    support: Tensor
    first: Tensor
    end: Tensor
    averages: bool

    @classmethod
    def of(cls, start: Tensor, length: Tensor, flip: Tensor | None, outputs: int) -> _Axis:
        step = length / outputs
        centre = torch.addcmul(start[:, None], step[:, None], torch.arange(0.5, outputs))
        if flip is not None:
            centre = torch.where(flip[:, None] > 0.0, (2.0 * start + length)[:, None] - centre, centre)
        averages = bool((step > 1.0).any())
        first, end = start.floor(), (start + length - 1e-3).ceil()
        if not averages:
            # A centre beyond the outermost pixels' centres takes the outermost pixel alone.
            centre = centre.maximum(first[:, None] + 0.5).minimum(end[:, None] - 0.5)
        return cls(centre, step.clamp_min(1.0), first, end, averages)

    def crop(self) -> tuple[int, int]:
        """Cut off the inputs that no sample needs: returns what is left and counts from its beginning."""
        low, high = int(self.first.min()), int(self.end.max())
        self.centre, self.first, self.end = self.centre - low, self.first - low, self.end - low
        return low, high

    def bands(self, inputs: int, device: torch.device) -> Bands:
        """The matrices; as ``torch.nn.functional.interpolate(antialias=True)`` weighs."""
        pixel = torch.arange(0.5, inputs, device=device)
        weights = torch.sub(pixel, self.centre.to(device)[:, :, None]).abs_()
        if not self.averages:
            return Bands(weights.neg_().add_(1.0).clamp_min_(0.0), self._blocks(inputs, device))
        weights.mul_((-1.0 / self.support).to(device)[:, None, None]).add_(1.0).clamp_min_(0.0)
        first, end = self.first.to(device)[:, None], self.end.to(device)[:, None]
        weights.mul_(((pixel > first) & (pixel < end))[:, None].float())
        return Bands(weights.div_(weights.sum(-1, keepdim=True)), self._blocks(inputs, device))

    def _blocks(self, inputs: int, device: torch.device) -> list[tuple[int, int, int, int]]:
        outputs = self.centre.shape[1]
        if device.type != "cpu" or max(inputs, outputs) <= 2 * BLOCK:
            return [(0, outputs, 0, inputs)]
        lows = torch.arange(0, outputs, BLOCK)
        highs = (lows + BLOCK).clamp_max(outputs)
        a, b = self.centre[:, lows], self.centre[:, highs - 1]
        near = (torch.minimum(a, b) - self.support[:, None]).floor().amin(0).clamp(0, inputs - 1).int()
        far = (torch.maximum(a, b) + self.support[:, None]).ceil().amax(0).clamp(1, inputs).int()
        return list(zip(lows.tolist(), highs.tolist(), near.tolist(), far.tolist(), strict=True))


def apply_bands(x: Tensor, rows: Bands, columns: Bands, gain: float = 1.0, out: Tensor | None = None) -> Tensor:
    """``gain * rows @ x @ columns.T`` for every sample and channel: ``[N, C, h, w] -> [N, C, H, W]``."""
    n, channels, height, width = x.shape
    out_h, out_w = rows.weights.shape[1], columns.weights.shape[1]
    if out is None:
        out = x.new_empty(n, channels, out_h, out_w)
    x = x.reshape(n, channels * height, width)
    weights = columns.weights.transpose(1, 2)
    if len(columns.blocks) == 1:
        wide = torch.baddbmm(x.new_empty(()), x, weights, beta=0, alpha=gain)
    else:
        wide = x.new_empty(n, channels * height, out_w)
        for low, high, near, far in columns.blocks:
            part = torch.baddbmm(x.new_empty(()), x[:, :, near:far], weights[:, near:far, low:high], beta=0, alpha=gain)
            wide[:, :, low:high] = part
    wide, flat = wide.view(n * channels, height, out_w), out.view(n * channels, out_h, out_w)
    for low, high, near, far in rows.blocks:
        part = rows.weights[:, None, low:high, near:far].expand(n, channels, high - low, far - near)
        part = part.reshape(n * channels, high - low, far - near)
        if high - low == out_h:
            torch.bmm(part, wide[:, near:far], out=flat)
        else:
            flat[:, low:high] = torch.bmm(part, wide[:, near:far])
    return out


def crop_resize(x: Tensor, boxes: Boxes, size: tuple[int, int], out: Tensor | None = None) -> Tensor:
    """Cut out ``boxes`` and resize them to ``size``, antialiased.

    uint8 pixels are scaled to [0, 1]; float pixels stay as they are.

    Args:
        x: uint8 or float ``[N, C, h, w]``.
        boxes: one a sample.
        size: height and width of the result.
        out: where to write the result, float32 ``[N, C, H, W]``.
    """
    gain = 1 / 255 if x.dtype == torch.uint8 else 1.0
    columns = _Axis.of(boxes.left, boxes.width, boxes.flip, size[1])
    rows = _Axis.of(boxes.top, boxes.height, None, size[0])
    left, right = columns.crop()
    top, bottom = rows.crop()
    x = x[:, :, top:bottom, left:right].float()
    if x.device.type == "cpu" and min(size) > 2 * BLOCK and not (columns.averages or rows.averages):
        return torch.mul(_look_up(x, rows.centre, columns.centre), gain, out=out)
    return apply_bands(x, rows.bands(bottom - top, x.device), columns.bands(right - left, x.device), gain, out)


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
    rows = chunk_rows(len(x), out[:1].numel(), x.device)
    for i in range(0, len(x), rows):
        crop_resize(x[i : i + rows], take_rows(boxes, slice(i, i + rows)), size, out[i : i + rows])
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
