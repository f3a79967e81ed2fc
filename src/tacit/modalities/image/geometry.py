"""Crops, flips and resizing of a batch, each sample with its own box, as products with banded matrices.

An antialiased resize is separable and linear, so the crop, the flip and the resize of one sample are two small
matrices: ``out = rows @ image @ columns.T``. They equal ``torchvision``'s ``resized_crop(antialias=True)``: weights
outside the box are zero and each row sums to one. Large matrices are narrow bands, which are applied block by block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.modalities.image.boxes import NUMBERS, Boxes, random_boxes, take_rows
from tacit.modalities.image.memory import fresh, scratch
from tacit.parts.draws import Draws

CHUNK = 3 << 17
"""Numbers that are worked on at a time on a CPU: a chunk with its scratch space stays in the second-level cache."""
BLOCK = 32
"""Outputs of a band matrix that are computed together; 32 with their neighbours keep matrix units busy."""


@dataclass
class Axis:
    """Where the outputs along one axis lie among the inputs, in pixels; on the CPU.

    Attributes:
        centre: of each output, ``[N, out]``.
        inner: the same, but not beyond the centres of the outermost pixels of the box, ``[N, out]``.
        support: half-width of the triangle that averages, ``[N]``; 1 where the box is enlarged.
        first, end: the whole pixels that the box touches, ``[N]``.
    """

    centre: Tensor
    inner: Tensor
    support: Tensor
    first: Tensor
    end: Tensor

    @classmethod
    def of(cls, start: Tensor, length: Tensor, flip: Tensor | None, outputs: int) -> Axis:
        step = length / outputs
        centre = torch.addcmul(start[:, None], step[:, None], torch.arange(0.5, outputs))
        if flip is not None:
            centre = torch.where(flip[:, None] > 0.0, (2.0 * start + length)[:, None] - centre, centre)
        # 1e-3: a box of whole pixels stays one when its edges were scaled and rounded.
        first, end = (start + 1e-3).floor(), (start + length - 1e-3).ceil()
        inner = centre.maximum(first[:, None] + 0.5).minimum(end[:, None] - 0.5)
        return cls(centre, inner, step.clamp_min(1.0), first, end)

    def span(self, inputs: int) -> tuple[int, int]:
        """The inputs that some sample needs; of a small image all, which is not worth the looking."""
        return (0, inputs) if inputs <= 2 * BLOCK else (int(self.first.min()), int(self.end.max()))


@dataclass
class Crops:
    """What :func:`crop_resize` needs to know of ``N`` boxes, worked out for many samples at once.

    ``averages`` (bool ``[N]``) tells where some axis is made smaller.
    """

    rows: Axis
    columns: Axis
    averages: Tensor

    @classmethod
    def of(cls, boxes: Boxes, size: tuple[int, int]) -> Crops:
        """Crops that are resized to ``size``."""
        averages = (boxes.height > size[0]) | (boxes.width > size[1])
        rows = Axis.of(boxes.top, boxes.height, None, size[0])
        return cls(rows, Axis.of(boxes.left, boxes.width, boxes.flip, size[1]), averages)


def blocks(side: int, device: torch.device) -> list[tuple[int, int]]:
    """``(first, end)`` of the outputs that are computed together: all of a small image, and on an accelerator."""
    step = side if device.type != "cpu" or side <= 2 * BLOCK else BLOCK
    return [(low, min(low + step, side)) for low in range(0, side, step)]


def crop_resize(x: Tensor, crops: Crops, out: Tensor | None = None) -> Tensor:
    """Cut out boxes and resize them, antialiased: ``[N, C, h, w] -> [N, C, H, W]`` (``out``, float32).

    uint8 pixels are scaled to [0, 1]; float pixels stay as they are.
    """
    gain = 1 / 255 if x.dtype == torch.uint8 else 1.0
    (top, bottom), (left, right) = crops.rows.span(x.shape[2]), crops.columns.span(x.shape[3])
    x = x[:, :, top:bottom, left:right]
    x = scratch("source", *x.shape, device=x.device).copy_(x)
    averages = bool(crops.averages.any())
    if not averages and x.device.type == "cpu" and crops.columns.centre.shape[1] > 2 * BLOCK:
        return torch.mul(_look_up(x, crops.rows.inner - top, crops.columns.inner - left), gain, out=out)
    columns = _matrices(crops.columns, left, right, averages, x.device)
    wide = scratch("wide", len(x), x.shape[1] * (bottom - top), columns.shape[1], device=x.device)
    _multiply_columns(x.flatten(1, 2), columns, crops.columns, left, gain, wide)
    rows = _matrices(crops.rows, top, bottom, averages, x.device)
    if out is None:
        out = x.new_empty(*x.shape[:2], rows.shape[1], columns.shape[1])
    _multiply_rows(wide, rows, crops.rows, top, out)
    return out


def _matrices(axis: Axis, low: int, high: int, averages: bool, device: torch.device) -> Tensor:
    """``[N, out, high - low]``: the weights of the pixels ``low .. high``, as ``interpolate(antialias=True)`` has them.

    A triangle of half-width ``support`` around each centre, cut at the box and normalised to sum one. Where nothing is
    averaged, moving the centre inwards does the same.
    """
    pixel = torch.arange(low + 0.5, high, device=device)
    if not averages:
        near = torch.sub(pixel, axis.inner.to(device)[:, :, None]).abs_()
        return torch.sub(torch.ones((), device=device), near, out=near).clamp_min_(0.0)
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
    out = fresh(len(x), x.shape[1], *size, device=x.device)
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
    u = draws.on("cpu").uniform(len(x), NUMBERS)
    boxes = random_boxes(u, stored, aspect, scale, ratio, flip)
    params = {"theta": boxes.theta(stored), "flip": boxes.flip}
    return crop_all(x, boxes, size), {key: value.to(x.device) for key, value in params.items()}
