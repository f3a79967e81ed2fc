"""Volumes in one array: .npy and .npz files, numpy arrays and tensors."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import DataError
from tacit.modalities.looking import KEYS, array_problem, shown

LABELS = ("y", "labels", "targets")


def loaded(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The volumes in an array file (an .npy is mapped), and the labels beside them, if any.

    Raises:
        DataError: for a damaged file, Python objects, or an .npz that does not say which array is meant.
    """
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        with np.load(path, allow_pickle=False) as archive:
            rest = [name for name in archive.files if name not in (*LABELS, "spacing")]
            name = next((key for key in (*KEYS, "volumes") if key in archive), rest[0] if len(rest) == 1 else None)
            if name is None:
                raise DataError(f"'{path}' has the arrays {', '.join(rest) or 'none'}; name that of the volumes 'x'")
            values = archive[name]
            near = (archive[key] for key in LABELS if key in archive)
            return values, next((y for y in near if y.ndim and len(y) == len(values)), None)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read '{path}': {array_problem(path, error)}") from None


def stacked(x: Any, where: str) -> NDArray[np.float32]:
    """Volumes ``[N, C, D, H, W]`` from an array of rank 4 or 5, or a list of arrays of one shape of rank 3 or 4.

    Raises:
        DataError: for anything else, or none.
    """
    if isinstance(x, (list, tuple)) and len(x):
        parts = [_numpy(item) for item in x]
        shapes = {part.shape for part in parts}
        if len(shapes) > 1:
            raise DataError(f"{where}: its arrays have different shapes, {sorted(map(list, shapes))[:2]} among them; "
                            "write them to files, which are brought to one size")  # fmt: skip
        x = np.stack(parts)
    if not isinstance(x, (np.ndarray, Tensor)):
        raise DataError(f"cannot read volumes from {shown(x)}; give files, or an array [N, D, H, W] or [N, C, D, H, W]")
    array = _numpy(x)
    if array.dtype.kind not in "iufb":
        raise DataError(f"{where} has type {array.dtype}; voxels are real numbers")
    if array.ndim not in (4, 5) or 0 in array.shape:
        raise DataError(
            f"{where}: an array of volumes is [N, D, H, W] or [N, C, D, H, W], not of shape {list(array.shape)}"
        )
    return array.astype(np.float32, copy=False).reshape(len(array), -1, *array.shape[-3:])


def _numpy(x: Any) -> NDArray[Any]:
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
