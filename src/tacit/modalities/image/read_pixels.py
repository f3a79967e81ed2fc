"""From one picture, as Pillow or an array holds it, to the pixels of one stored shape."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from tacit.errors import DataError, OptionError

LAYOUTS = ("NCHW", "NHWC")
MOST_CHANNELS = 16
LARGEST_AS_IS = 512
SQUARE = 256
MARGIN = 1.15
"""Side of the stored squares over the side that is trained at, so that a crop keeps its detail."""

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
DEPTHS: dict[str, float] = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""Stored types and the value of white in each, in order of what can hold what."""

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Look:
    """What an image needs of its store: size in pixels as it is seen, channels, and one of :data:`DEPTHS`."""

    width: int
    height: int
    channels: int
    depth: str


@dataclass(frozen=True)
class Plan:
    """The shape and type that all images of a data set are stored in; ``square``: they are squashed to it."""

    channels: int
    height: int
    width: int
    depth: str
    square: bool


class Misfit(Exception):
    """An image that the plan has no room for."""

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.look = look


def plan_of(looks: Sequence[Look], image_size: int | None = None) -> Plan:
    """The store for images that look like this.

    Images of one size, at most 512 pixels a side, are stored as they are. Others are squashed into squares
    whose side is 1.15 times ``image_size``, or else their median short side, at most 256.

    Raises:
        DataError: if images differ in channels by more than grey and colour.
    """
    counts = sorted({look.channels for look in looks})
    if len(counts) > 1 and counts != [1, 3]:
        raise DataError(f"images of one data set must have equally many channels, these have {counts}")
    depth = max((look.depth for look in looks), key=list(DEPTHS).index)
    sizes = {(look.height, look.width) for look in looks}
    height, width = next(iter(sizes))
    if len(sizes) == 1 and max(height, width) <= LARGEST_AS_IS:
        return Plan(counts[-1], height, width, depth, square=False)
    if image_size is None:
        side = min(SQUARE, int(statistics.median(min(look.height, look.width) for look in looks)))
    else:
        side = round(MARGIN * image_size)
    return Plan(counts[-1], side, side, depth, square=True)


def look_at(thing: Image.Image | np.ndarray) -> Look:
    """What an open picture (its header is enough), or an array ``[C, H, W]``, needs of its store."""
    if isinstance(thing, np.ndarray):
        channels, height, width = thing.shape
        return Look(width, height, channels, str(thing.dtype))
    width, height = thing.size
    if orientation(thing) >= 5:
        width, height = height, width
    depth = "float32" if thing.mode == "F" else "uint16" if thing.mode.startswith("I") else "uint8"
    return Look(width, height, 1 if thing.mode in GREY_MODES else 3, depth)


def open_picture(path: str) -> Image.Image:
    """Open an image file, its header at least; the pixels are read when they are asked for."""
    image = Image.open(path)
    if image.format == "TIFF" and orientation(image) != 1:
        image.load()  # Pillow turns a TIFF itself while loading, and only then is its size as it is seen
    return image


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 where there is none."""
    # a PNG may hold its EXIF block behind the pixels, and asking for that would decode them
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if value in TURNS else 1


def pixels_of(thing: Image.Image | np.ndarray, plan: Plan) -> np.ndarray:
    """The picture as the plan has it: ``[C, H, W]``.

    Raises:
        Misfit: if the plan has no room for its size, colour or depth.
        ValueError: if its values are not finite or lie beyond 16 bits.
    """
    look = look_at(thing)
    depths = list(DEPTHS)
    if (
        (look.channels != plan.channels and (look.channels, plan.channels) != (1, 3))
        or depths.index(look.depth) > depths.index(plan.depth)
        or (not plan.square and (look.height, look.width) != (plan.height, plan.width))
    ):
        raise Misfit(look)
    x = _resized(thing, plan) if isinstance(thing, np.ndarray) else _decoded(thing, plan)
    if x.dtype == np.float32 and not np.isfinite(x).all():
        raise ValueError("holds NaN or infinite values")
    if look.depth != plan.depth:
        x = x * np.float32(DEPTHS[plan.depth] / DEPTHS[look.depth])
    return np.broadcast_to(x, (plan.channels, *x.shape[1:])).astype(plan.depth, copy=False)


def _decoded(image: Image.Image, plan: Plan) -> np.ndarray:
    """A Pillow image as ``[C, H, W]`` of the plan's size, in its own depth; grey keeps one channel."""
    turn = TURNS.get(orientation(image))
    size = (plan.width, plan.height)
    if plan.square:
        image.draft(None, size)  # a JPEG then decodes at a half, a quarter or an eighth
    image = _plain(image)
    deep = image.mode.startswith("I")
    if plan.square and image.size != size:
        if deep:  # Pillow filters 16-bit pixels as floats only
            image = Image.fromarray(np.asarray(image).astype(np.float32))
        image = image.resize(size, Image.Resampling.BILINEAR)
    if turn is not None:
        image = image.transpose(turn)
    x = np.asarray(image)
    if deep:
        if x.size and (x.min() < 0 or x.max() > 65535):
            raise ValueError("has integer pixels beyond 16 bits")
        x = np.rint(x).astype(np.uint16)
    return x[None] if x.ndim == 2 else x.transpose(2, 0, 1)


def _plain(image: Image.Image) -> Image.Image:
    """The image as L, RGB, I, I;16 or F; what is transparent lies on white."""
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        return image
    grey = image.mode in GREY_MODES
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _resized(x: np.ndarray, plan: Plan) -> np.ndarray:
    """An array ``[C, H, W]`` at the plan's size, antialiased."""
    if x.shape[1:] == (plan.height, plan.width):
        return x
    wide = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))[None]
    out = F.interpolate(wide, (plan.height, plan.width), mode="bilinear", antialias=True)[0].numpy()
    return out if x.dtype == np.float32 else np.rint(out).clip(0, DEPTHS[str(x.dtype)]).astype(x.dtype)


def as_picture(thing: Any, where: str, layout: str | None = None) -> Image.Image | np.ndarray:
    """A Pillow image as it is; a tensor or an array as ``[C, H, W]`` of type uint8, uint16 or float32.

    Args:
        where: what to call it in an error, e.g. ``item 7``.
        layout: ``NCHW`` or ``NHWC``, where the shape does not tell.

    Raises:
        DataError: if it is neither, of another rank, empty, not finite, or of integers outside 0..255.
    """
    if isinstance(thing, Image.Image):
        thing.load()  # someone else's image: a loaded one is not changed by drafting
        return thing
    if isinstance(thing, torch.Tensor):
        thing = thing.detach().cpu()
        thing = (thing.float() if thing.dtype == torch.bfloat16 else thing).numpy()
    if not isinstance(thing, np.ndarray):
        raise DataError(
            f"{where} is {type(thing).__name__}; images are Pillow images, arrays or tensors of rank 2 or 3"
        )
    if thing.ndim not in (2, 3) or not thing.size:
        raise DataError(f"{where} has shape {list(thing.shape)}; an image is [H, W], [C, H, W] or [H, W, C], not empty")
    if thing.ndim == 2:
        thing = thing[None]
    elif channels_axis(thing.shape, where, layout) == 2:
        thing = thing.transpose(2, 0, 1)
    kind = thing.dtype.kind
    if kind == "b":
        return thing.astype(np.uint8) * np.uint8(255)
    if kind == "f":
        wrong = np.count_nonzero(~np.isfinite(thing))
        if wrong:
            raise DataError(f"{where} holds {wrong} NaN or infinite values; images must be finite")
        return thing.astype(np.float32, copy=False)
    if str(thing.dtype) in ("uint8", "uint16"):
        return thing
    if kind in "iu" and thing.min() >= 0 and thing.max() <= 255:
        return thing.astype(np.uint8)
    what = f"values {thing.min()} to {thing.max()} of type" if kind in "iu" else "type"
    raise DataError(f"{where} has {what} {thing.dtype}; give uint8, uint16 or float32")


def channels_axis(shape: tuple[int, ...], where: str, layout: str | None = None) -> int:
    """The axis of the channels among the last three of ``shape``: 0 or 2.

    It is the one with at most 16 entries and fewer than both others.

    Raises:
        DataError: if the shape does not tell and ``layout`` is not given.
        OptionError: if ``layout`` is neither ``NCHW`` nor ``NHWC``.
    """
    if layout is not None:
        if layout not in LAYOUTS:
            raise OptionError(f"layout must be NCHW or NHWC, not '{layout}'")
        return 0 if layout == "NCHW" else 2
    first, middle, last = shape[-3:]
    front = first <= MOST_CHANNELS and first < min(middle, last)
    back = last <= MOST_CHANNELS and last < min(first, middle)
    if front != back:
        return 0 if front else 2
    raise DataError(
        f"the shape {list(shape)} of {where} does not tell where its channels are; say layout='NCHW' or layout='NHWC'"
    )
