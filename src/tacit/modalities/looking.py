"""Telling what data are without reading them: from types, shapes, endings and the headers of array files."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

MANY = 400
"""Files of a folder that are looked at."""
ARRAYS = (".npy", ".npz")
KEYS = ("x", "X", "images", "data", "arr_0")
"""Names under which an .npz file may hold the samples, in order of preference."""


class Claim(IntEnum):
    """How sure a kind is that data are its own: ``PERHAPS`` where another reading is at least as natural."""

    NO = 0
    PERHAPS = 1
    SURE = 2


def path_of(data: Any) -> Path | None:
    """Text and paths as an absolute path; None for anything else."""
    return Path(os.path.expanduser(data)).absolute() if isinstance(data, (str, os.PathLike)) else None


def riff_end(start: bytes) -> int:
    """The least size of a RIFF file (AVI, WAV) by its first 8 bytes; 0 where they do not say."""
    promised = int.from_bytes(start[4:8], "little")
    # programs that write to a pipe leave 0 or the largest number; some forget the byte that makes it even
    return 0 if promised in (0, 0xFFFFFFFF) else promised + 7


def ending_of(path: Path, endings: Iterable[str]) -> str | None:
    """Which of the endings the file's name has; of ``.gz`` and ``.nii.gz`` the longer one."""
    name = path.name.lower()
    return max((ending for ending in endings if name.endswith(ending)), key=len, default=None)


def endings_in(folder: Path, most: int = MANY) -> Counter[str]:
    """How often each ending occurs among the first files of a folder and its subfolders, hidden ones left out.

    A file with several endings (``a.nii.gz``) counts under each (``.gz`` and ``.nii.gz``).
    """
    counts: Counter[str] = Counter()
    seen = 0
    for _, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                continue
            parts = name.lower().split(".")[1:]
            counts.update({"." + ".".join(parts[i:]) for i in range(max(0, len(parts) - 2), len(parts))})
            seen += 1
            if seen >= most:
                return counts
    return counts


def shape_of(data: Any) -> tuple[int, ...] | None:
    """The shape of an array, a tensor or what an array file holds, and of the first of ``(x, y)``; None for the rest.

    Nothing but headers is read, and nothing is unpickled.
    """
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], (np.ndarray, Tensor)):
        labelled = isinstance(data[1], (np.ndarray, Tensor)) and data[1].ndim >= 1 and len(data[1]) == len(data[0])
        return tuple(data[0].shape) if labelled else None
    if isinstance(data, (np.ndarray, Tensor)):
        return tuple(data.shape)
    path = path_of(data)
    if path is None or not path.is_file() or path.suffix.lower() not in ARRAYS:
        return None
    try:
        if path.suffix.lower() == ".npy":
            return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape)
        with zipfile.ZipFile(path) as archive:
            name = next((key for key in KEYS if f"{key}.npy" in archive.namelist()), None)
            if name is None:
                return None
            with archive.open(f"{name}.npy") as file:
                major, _ = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                return tuple(read(file)[0])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # the reader says what is wrong with it


def array_problem(path: Path, error: Exception) -> str:
    """Why an ``.npy`` or ``.npz`` file cannot be read, in a few words.

    Args:
        error: what NumPy, zipfile or zlib said: of a file of any other sort NumPy says that it holds pickled data.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(6)
    except FileNotFoundError:
        return "there is no such file"
    except OSError as refused:
        return str(refused.strerror or refused)
    if not start:
        return "it is empty"
    pickled = start[0] == 0x80 and start[1:2] < b"\x06"
    if pickled or "Object arrays" in str(error) or "Python objects" in str(error):
        return "it holds Python objects, which are not read"
    if not (start == b"\x93NUMPY" or start[:2] == b"PK"):
        return "it is no file of NumPy arrays"
    return "it is damaged or has been cut short"


def names_in(path: Path) -> set[str]:
    """Names of the arrays in an ``.npz`` file; none of any other file."""
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def shown(data: Any) -> str:
    """A value in a few words: its text where that is short, else its type with its shape or length."""
    name = type(data).__name__
    if hasattr(data, "shape"):
        return f"{name} of shape {list(data.shape)}"
    if isinstance(data, (str, os.PathLike)):
        return f"'{os.fspath(data)!s:.200}'"
    return f"{name} of length {len(data)}" if hasattr(data, "__len__") else name


def are_paths(data: Any) -> bool:
    """Whether data are a list of paths."""
    return isinstance(data, (list, tuple)) and bool(data) and all(isinstance(item, (str, os.PathLike)) for item in data)
