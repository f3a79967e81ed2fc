"""Arrays, lists and array files as frames."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.errors import DataError
from tacit.modalities.caches import as_tensor, fits
from tacit.modalities.looking import ARRAYS, array_problem, shown
from tacit.modalities.video.stores import Frames

KEYS = ("x", "X", "videos", "video", "data", "arr_0")
LABELS = ("y", "labels", "targets")
GROUPS = ("group", "groups")
CHECKED_BYTES = 64 << 20
LAYOUTS = ("TCHW", "THWC")
CHANNELS = (1, 3, 4)
"""Numbers of channels by which an axis is known."""


def load_array(path: Path, memory: int | None) -> tuple[Any, Any, Any]:
    """The videos of an .npy or .npz file, and the labels and groups that an .npz may have; a large .npy is mapped.

    Raises:
        DataError: if it cannot be read, holds Python objects, or does not say which array the videos are.
    """
    if path.suffix.lower() not in ARRAYS or not os.path.isfile(path):
        raise DataError(f"cannot read videos from '{path}'; give a folder, a video file, an .npy or an .npz file")
    try:
        mapped = path.suffix.lower() == ".npy" and not fits(os.path.getsize(path), memory)
        loaded = np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded, None, None
        with loaded as archive:
            key = next((name for name in KEYS if name in archive), None)
            if key is None:
                raise DataError(
                    f"'{path}' has no array named {', '.join(KEYS[:-1])}; it has {', '.join(archive.files)}"
                )
            y, groups = (next((archive[n] for n in some if n in archive), None) for some in (LABELS, GROUPS))
            return archive[key], y, groups
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read '{path}': {array_problem(path, error)}") from None


def read_arrays(x: Any, where: str, stride: int, layout: str | None) -> Frames:
    """Frames of ``[N, T, C, H, W]``, of one video ``[T, C, H, W]``, or of a list of such; without a copy of an array.

    Args:
        where: what an error calls them.
        stride: every so many frames are read.
        layout: ``TCHW`` or ``THWC``; None: as the sizes of the axes tell.

    Raises:
        DataError: for another shape or type, numbers that are not finite, or videos of different frames.
    """
    if isinstance(x, (list, tuple)):
        return _listed(x, where, stride, layout)
    if not isinstance(x, (np.ndarray, Tensor)):
        raise DataError(
            f"cannot read videos from {shown(x)}; give files, a folder, an array [N, T, C, H, W] or a list of arrays"
        )
    if x.ndim not in (4, 5):
        raise DataError(f"{where} has shape {list(x.shape)}; videos are [N, T, C, H, W], or one of them [T, C, H, W]")
    if 0 in tuple(x.shape):
        raise DataError(f"{where} has no frames in it: its shape is {list(x.shape)}")
    pixels = _real(x, where)
    count, length = (1, len(pixels)) if pixels.ndim == 4 else tuple(pixels.shape[:2])
    last = _channels_last(tuple(pixels.shape[-3:]), where, layout)
    pixels = pixels.reshape(count * length, *pixels.shape[-3:])
    start = torch.arange(count) * length
    frames = Frames(pixels, start, torch.full((count,), -(-length // stride)), stride, last, isinstance(x, np.memmap))
    return _checked(frames, where)


def _listed(x: Any, where: str, stride: int, layout: str | None) -> Frames:
    if not x:
        raise DataError(f"{where} has no videos in it")
    items: list[Tensor] = []
    for i, item in enumerate(x):
        this = f"{where}, video {i}"
        if not isinstance(item, (np.ndarray, Tensor)) or item.ndim != 4:
            raise DataError(f"{this}: it should be an array [T, C, H, W], not {shown(item)}")
        if 0 in tuple(item.shape):
            raise DataError(f"{this} has no frames in it: its shape is {list(item.shape)}")
        made = _real(item, this)
        if items and (made.shape[1:] != items[0].shape[1:] or made.dtype != items[0].dtype):
            raise DataError(
                f"{this} has frames {list(made.shape[1:])} of {_named(made)}, and those before "
                f"{list(items[0].shape[1:])} of {_named(items[0])}; they must agree"
            )
        items.append(made)
    last = _channels_last(tuple(items[0].shape[1:]), where, layout)
    length = torch.tensor([len(item) for item in items])
    flat = torch.cat(items)
    read = torch.div(length + stride - 1, stride, rounding_mode="floor")
    return _checked(Frames(flat, length.cumsum(0) - length, read, stride, last), where)


def _named(pixels: Tensor) -> str:
    return str(pixels.dtype).removeprefix("torch.")


def _real(x: Any, where: str) -> Tensor:
    if isinstance(x, np.ndarray):
        if x.dtype.kind not in "buif":
            raise DataError(f"{where} has type {x.dtype}; videos are real numbers, e.g. uint8 or float32")
        return as_tensor(x)
    if x.is_complex():
        raise DataError(f"{where} is complex; videos are real numbers, e.g. uint8 or float32")
    return x.detach().cpu()


def channels_last(shape: tuple[int, ...]) -> bool | None:
    """Whether frames of this shape are ``[H, W, C]`` and not ``[C, H, W]``; None where the shape does not tell."""
    first, last = shape[0] in CHANNELS, shape[2] in CHANNELS
    return None if first == last else last


def _channels_last(shape: tuple[int, ...], where: str, layout: str | None) -> bool:
    if layout is not None:
        return layout == "THWC"
    found = channels_last(shape)
    if found is None and shape[0] in CHANNELS:
        raise DataError(f"{where}: frames of shape {list(shape)} may be [C, H, W] or [H, W, C]; say --set "
                        "data.layout=TCHW or THWC")  # fmt: skip
    return bool(found)


def _checked(frames: Frames, where: str) -> Frames:
    """The frames, once they are known to be finite.

    Raises:
        DataError: naming the video and the frame of the first number that is not.
    """
    pixels = frames.pixels
    if not pixels.is_floating_point() and pixels.dtype in (torch.bool, torch.uint8, torch.uint16):
        return frames
    parts = pixels.split(max(1, CHECKED_BYTES // (pixels[0].numel() * pixels.element_size())))
    if not pixels.is_floating_point():
        frames.narrow = all(part.min() >= 0 and part.max() <= 255 for part in parts)
        return frames
    before = 0
    for part in parts:
        bad = ~torch.isfinite(part).flatten(1).all(1)
        if bad.any():
            number = before + int(bad.nonzero()[0])
            video = int((frames.start <= number).sum()) - 1
            raise DataError(
                f"{where}: frame {number - int(frames.start[video])} of video {video} holds NaN or infinite values; "
                "leave it out"
            )
        before += len(part)
    return frames
