"""One file as a volume: NIfTI and numpy's arrays."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import needs
from tacit.modalities.looking import ARRAYS, KEYS, array_problem, ending_of
from tacit.modalities.volume.space import Floats, Sides, Three, upright

NIFTI = (".nii", ".nii.gz")
SPACING = ("spacing", "voxel_size")
"""Names under which an .npz file may say how far its voxels lie apart, in mm along D, H, W."""


class Unreadable(Exception):
    """A file that cannot be read as a volume; the message is the reason in a few words."""


@dataclass(frozen=True)
class Scan:
    """What is known of a volume before its voxels are read.

    Attributes:
        channels: number of channels.
        sides: voxels along D, H and W.
        spacing: along these, in mm; None where it is not known.
        read: gives the voxels, float32 ``[C, D, H, W]``; it raises :class:`Unreadable`.
    """

    channels: int
    sides: Sides
    spacing: Three | None
    read: Callable[[], Floats]


def looked(path: Path) -> Scan:
    """The facts of a file, from its header.

    Raises:
        Unreadable: if it cannot be read, or is no volume.
        MissingExtra: if the library that reads it is not installed.
    """
    try:
        if not os.path.getsize(path):
            raise Unreadable("it is empty")
        return _array(path) if ending_of(path, ARRAYS) else _nifti(path)
    except OSError as error:
        raise Unreadable(_reason(error)) from None


def _nifti(path: Path) -> Scan:
    nibabel = needs("nibabel", "volume", f"reading {' and '.join(NIFTI)} files")
    try:
        image = nibabel.load(path)
        shape, affine = tuple(int(n) for n in image.shape), np.asarray(image.affine, float)
        kind = np.dtype(image.get_data_dtype())
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, ValueError, zlib.error,
            EOFError) as error:  # fmt: skip
        raise Unreadable(_reason(error)) from None
    shape = shape[:3] + tuple(n for n in shape[3:] if n != 1)
    if len(shape) not in (3, 4) or min(shape) < 1 or min(shape[:3]) < 2:
        raise Unreadable(
            f"it has the shape {list(image.shape)}, and a volume has three axes of at least 2 voxels, and a fourth of "
            "channels"
        )
    if kind.kind not in "iufb":
        raise Unreadable(f"its voxels are {kind}, and should be real numbers")
    directions = affine[:3, :3] * np.array([[-1.0], [-1.0], [1.0]])  # NIfTI counts to the right and to the front
    gaps = np.linalg.norm(directions, axis=0)
    if not np.isfinite(directions).all() or (gaps < 1e-6).any():
        raise Unreadable(f"its voxels are {' x '.join(f'{g:g}' for g in gaps)} mm apart")

    def read() -> Floats:
        try:
            values = np.asarray(image.dataobj, np.float32)
        except (OSError, ValueError, EOFError, zlib.error) as error:
            raise Unreadable(_reason(error)) from None
        values = np.moveaxis(values.reshape(*shape[:3], -1), 3, 0)
        return upright(values, directions)[0]

    _, axes = upright(np.empty((1, 1, 1, 1), np.float32), directions)
    return Scan(shape[3] if len(shape) == 4 else 1, _by(axes, shape), _by(axes, gaps), read)


def _by(axes: list[int], values: Any) -> Any:
    return tuple(values[axis].item() if hasattr(values[axis], "item") else values[axis] for axis in axes)


def _array(path: Path) -> Scan:
    """``[D, H, W]`` or ``[C, D, H, W]``; an .npz may have ``spacing`` (three numbers) beside it."""
    try:
        if path.suffix.lower() == ".npy":
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            shape, kind, spacing = mapped.shape, mapped.dtype, None
            return _of_array(shape, kind, spacing, lambda: np.load(path, allow_pickle=False))
        with np.load(path, allow_pickle=False) as archive:
            spacing = _spacing(next((archive[name] for name in SPACING if name in archive), None))
            rest = [name for name in archive.files if name not in SPACING]
            name = next((key for key in (*KEYS, "volume", "image") if key in archive), None)
            if name is None and len(rest) != 1:
                raise Unreadable(f"it has the arrays {', '.join(rest) or 'none'}; name that of the voxels 'x'")
            held = name or rest[0]
        shape, kind = _header(path, held)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise Unreadable(array_problem(path, error)) from None

    def read() -> NDArray[Any]:
        with np.load(path, allow_pickle=False) as archive:
            return archive[held]

    return _of_array(shape, kind, spacing, read)


def _header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array in an .npz file, of which nothing else is read."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    return shape, kind


def _of_array(
    shape: tuple[int, ...], kind: np.dtype[Any], spacing: Three | None, read: Callable[[], NDArray[Any]]
) -> Scan:
    if kind.kind not in "iufb":
        odd = "it holds Python objects, which are not read"
        raise Unreadable(odd if kind.hasobject else f"its voxels are {kind}, and should be real numbers")
    if len(shape) not in (3, 4) or 0 in shape:
        raise Unreadable(f"it has the shape {list(shape)}, and a volume is [D, H, W] or [C, D, H, W]")

    def voxels() -> Floats:
        try:
            return np.asarray(read(), np.float32).reshape(-1, *shape[-3:])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise Unreadable(_reason(error)) from None

    depth, height, width = shape[-3:]
    return Scan(shape[0] if len(shape) == 4 else 1, (depth, height, width), spacing, voxels)


def _spacing(given: NDArray[Any] | None) -> Three | None:
    if given is None:
        return None
    gaps = np.asarray(given, float).ravel()
    if gaps.shape != (3,) or not np.isfinite(gaps).all() or not (gaps > 0).all():
        raise Unreadable(f"its spacing is {gaps.tolist()}, and should be three positive numbers of mm")
    d, h, w = gaps.tolist()
    return d, h, w


def _reason(error: Exception) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return f"{text or type(error).__name__:.160}"
