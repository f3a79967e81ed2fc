"""Images in one array: .npy and .npz files, numpy arrays and tensors, checked and used where they lie."""

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
from tacit.modalities.image.read_pixels import channels_axis
from tacit.modalities.image.stores import Store
from tacit.modalities.looking import array_problem

IMAGES = ("x", "X", "images", "data", "arr_0")
LABELS, GROUPS = ("y", "labels", "targets"), ("group", "groups")
BOXES = "boxes"
"""Boxes around things, which are labels where there are no others; see :mod:`tacit.modalities.image.read_boxes`."""
LABELLING = {(1, kind) for kind in "iubfU"} | {(2, kind) for kind in "bf"}
"""Ranks and types of arrays that are labels whatever they hold."""
CHECKED_BYTES = 64 << 20


Loaded = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
"""Images, labels and groups."""


def load_array(path: Path, memory: int | None = None) -> Loaded:
    """The images of an .npy or .npz file, and its labels and groups where an .npz has them; a large .npy is mapped.

    Raises:
        DataError: if the file is damaged, holds Python objects, or does not say which array the images are.
    """
    try:
        if path.suffix.lower() == ".npy":
            mapped = not fits(os.path.getsize(path), memory)
            return np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False), None, None
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"'{path}' is no .npz file but a single array; name it .npy")
            images = archive[_images_name(archive, path)]
            labels = (archive[name] for name in LABELS if name in archive)
            boxes = archive[BOXES] if BOXES in archive and archive[BOXES].ndim == 3 else None
            groups = (archive[name] for name in GROUPS if name in archive)
            return (
                images,
                next((y for y in labels if is_labels(y, len(images))), boxes),
                next((group for group in groups if group.shape == (len(images),)), None),
            )
    except FileNotFoundError as error:
        raise DataError(f"there is no '{path}'; give a folder of images, an .npy or an .npz file") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        why = array_problem(path, error).replace("not read", "not read; save numbers, e.g. np.savez(file, x=images)")
        raise DataError(f"cannot read '{path}': {why}") from error


def _images_name(archive: Any, path: Path) -> str:
    for name in IMAGES:
        if name in archive:
            return name
    ranks = {name: archive[name].ndim for name in archive.files}
    fitting = [name for name, rank in ranks.items() if rank in (3, 4)]
    if len(fitting) != 1:
        found = ", ".join(f"'{name}' of rank {rank}" for name, rank in ranks.items()) or "nothing"
        raise DataError(
            f"'{path}' does not say which array holds the images: it has {found}; "
            "name one 'x' or 'images', of rank 3 or 4"
        )
    return fitting[0]


def is_labels(y: np.ndarray, count: int) -> bool:
    """Whether an array can label so many images: classes or numbers ``[N]``, several numbers ``[N, k]``, or several
    classes at once, ``[N, k]`` of booleans or of 1, 0 and -1 (unknown)."""
    several = y.ndim == 2 and y.dtype.kind in "iu" and y.shape[1] > 1 and bool(np.isin(y, (-1, 0, 1)).all())
    return len(y) == count and (several or (y.ndim, y.dtype.kind) in LABELLING)


def store_array(array: np.ndarray | Tensor, where: str, layout: str | None = None) -> Store:
    """A store over ``[N, H, W]``, ``[N, C, H, W]`` or ``[N, H, W, C]``, without a copy.

    Args:
        where: what to call the array in an error, e.g. its file.
        layout: ``NCHW`` or ``NHWC``, where the shape does not tell.

    Raises:
        DataError: if it is empty, of another rank, of no real numbers, or holds NaN or infinite values.
    """
    shape = tuple(array.shape)
    if len(shape) not in (3, 4):
        raise DataError(
            f"{where} has rank {len(shape)} (shape {list(shape)}); images are [N, H, W], [N, C, H, W] or [N, H, W, C]"
        )
    if 0 in shape:
        raise DataError(f"{where} has no images in it: its shape is {list(shape)}")
    if isinstance(array, np.ndarray) and array.dtype.kind not in "buif":
        raise DataError(f"{where} has type {array.dtype}; images are real numbers, e.g. uint8 or float32")
    mapped = isinstance(array, np.memmap)
    pixels = as_tensor(array) if isinstance(array, np.ndarray) else array.detach().cpu()
    if pixels.is_complex():
        raise DataError(f"{where} is complex; images are real numbers, e.g. uint8 or float32")
    last = len(shape) == 4 and channels_axis(shape, where, layout) == 2
    store = Store(pixels if len(shape) == 4 else pixels[:, None], channels_last=last, mapped=mapped)
    if pixels.is_floating_point():
        _check_finite(pixels, where)
    elif pixels.dtype not in (torch.bool, torch.uint8, torch.uint16):
        store.narrow = all(part.min() >= 0 and part.max() <= 255 for part in _parts(pixels))
    return store


def _parts(pixels: Tensor) -> tuple[Tensor, ...]:
    """The images in runs of bounded size, so that a mapped file is checked in bounded memory."""
    return pixels.split(max(1, CHECKED_BYTES // (pixels[0].numel() * pixels.element_size())))


def _check_finite(pixels: Tensor, where: str) -> None:
    wrong, first, start = 0, 0, 0
    for part in _parts(pixels):
        bad = ~torch.isfinite(part).flatten(1)
        count = int(bad.sum())
        if count and not wrong:
            first = start + int(bad.any(1).nonzero()[0])
        wrong += count
        start += len(part)
    if wrong:
        values = "value" if wrong == 1 else "values"
        raise DataError(
            f"{where} holds {wrong} NaN or infinite {values}, the first in image {first}; images must be finite"
        )
