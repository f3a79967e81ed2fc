"""One file as a cloud of points."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import needs
from tacit.modalities.looking import ARRAYS, KEYS, array_problem
from tacit.modalities.points.columns import GROUPS, PLACE, Cloud, Unreadable, named, plain_name, unit_colours

OWN = (".ply", ".xyz", ".bin")
FILES = (*OWN, *ARRAYS)
LIDAR = ("x", "y", "z", "intensity")
FAR = 1e7
"""In metres; no scanner on the ground sees farther, and numbers beyond are something else read as floats."""
POINTS = ("points", "xyz", "pos")
"""Names under which an .npz file may hold places."""
ADDED = {"normals": "normals", "colours": "colours", "colors": "colours", "rgb": "colours", "intensity": "intensity"}


def read_cloud(path: Path, columns: tuple[str, ...] | None) -> Cloud:
    """The points of a file; colours in [0, 1].

    Raises:
        Unreadable: if it cannot be read, has been cut short or is something else.
        MissingExtra: for .ply files where the library that reads them is not installed.
    """
    if not os.path.getsize(path):
        raise Unreadable("it is empty")
    ending = path.suffix.lower()
    read = {".ply": _ply, ".xyz": _xyz, ".bin": _bin, ".npy": _npy, ".npz": _npz}[ending]
    cloud = read(path, columns)
    if not len(cloud.values):
        raise Unreadable("it has no points in it")
    return cloud


def _ply(path: Path, columns: tuple[str, ...] | None) -> Cloud:
    plyfile: Any = needs("plyfile", "points", "reading .ply files")
    try:
        found = plyfile.PlyData.read(str(path), mmap="r")
    except UnicodeError:
        raise Unreadable("it does not begin as a .ply file does") from None
    except (plyfile.PlyParseError, OSError, ValueError) as error:
        raise Unreadable(_reason(error)) from None
    if "vertex" not in {element.name for element in found.elements}:
        raise Unreadable("it has no element 'vertex'")
    rows = found["vertex"].data
    properties = {plain_name(name): name for name in rows.dtype.names or () if rows.dtype[name].kind in "fiu"}
    missing = [name for name in PLACE if name not in properties]
    if missing:
        raise Unreadable(f"its points have no {missing[0]}")
    values = np.stack([rows[name].astype(np.float64) for name in properties.values()], 1)
    cloud = Cloud(tuple(properties), values)
    kinds = [rows.dtype[properties[name]] for name in GROUPS["colours"] if name in properties]
    whole = len(kinds) == 3 and all(kind.kind in "iu" for kind in kinds)
    return _coloured(cloud, 65535.0 if whole and kinds[0].itemsize == 2 else 255.0 if whole else None)


def _xyz(path: Path, columns: tuple[str, ...] | None) -> Cloud:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it is no text, or not in UTF-8") from None
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    header: tuple[str, ...] | None = None
    promised: int | None = None
    rows: list[str] = []
    numbers: list[int] = []
    for i, line in lines:
        if line.startswith(("#", "//")):
            names = _split(line.lstrip("#/ "))
            if not rows and {"x", "y", "z"} <= {plain_name(name) for name in names}:
                header = tuple(plain_name(name) for name in names)
        elif not rows and header is None and {"x", "y", "z"} <= {plain_name(name) for name in _split(line)}:
            header = tuple(plain_name(name) for name in _split(line))
        elif not rows and promised is None and re.fullmatch(r"\d+", line):
            promised = int(line)
        else:
            rows.append(line)
            numbers.append(i)
    if not rows:
        raise Unreadable("it has no points in it")
    if promised is not None and re.match(r"[A-Za-z]", rows[0]):
        raise Unreadable("it describes a molecule (elements with their places), and not a cloud of points")
    values = _table(rows, numbers)
    if promised is not None and promised != len(values):
        raise Unreadable(f"it has been cut short: it says that there are {promised} points, and has {len(values)}")
    return _coloured(named(values, columns or header), None)


def _split(line: str) -> list[str]:
    return [part for part in re.split(r"[\s,;]+", line) if part]


def _table(rows: list[str], numbers: list[int]) -> NDArray[np.float64]:
    """Lines of numbers as a table; the first line that does not fit is named."""
    clean = [row.replace(",", " ").replace(";", " ") for row in rows] if re.search("[,;]", rows[0]) else rows
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.loadtxt(clean, dtype=np.float64, ndmin=2, comments=None)
    except ValueError:
        pass
    width = len(clean[0].split())
    for line, row in zip(numbers, clean, strict=True):
        parts = row.split()
        for part in parts:
            try:
                float(part)
            except ValueError:
                raise Unreadable(f"line {line} has '{part[:40]}', which is no number") from None
        if len(parts) != width:
            raise Unreadable(f"line {line} has {len(parts)} numbers, and those before have {width}")
    raise Unreadable("its lines are no numbers")


def _bin(path: Path, columns: tuple[str, ...] | None) -> Cloud:
    columns = columns or LIDAR
    size, record = os.path.getsize(path), 4 * len(columns)
    if size % record:
        raise Unreadable(
            f"its {size} bytes are no whole number of points of {record} bytes ({len(columns)} float32 numbers): it "
            "has been cut short, or has other columns (--set data.columns='x y z intensity ring')"
        )
    values = np.fromfile(path, "<f4").reshape(-1, len(columns))
    cloud = named(values, columns)
    place = cloud.take(())
    finite = np.isfinite(place).all(1)
    if finite.any() and np.abs(place[finite]).max() > FAR:
        raise Unreadable("its numbers are no places of points; it is no file of float32 numbers, or has other columns")
    return _coloured(cloud, None)


def _npy(path: Path, columns: tuple[str, ...] | None) -> Cloud:
    return of_array(loaded(path), columns)


def loaded(path: Path) -> NDArray[Any]:
    """The array of an .npy file.

    Raises:
        Unreadable: if it is damaged or holds Python objects.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Unreadable(array_problem(path, error)) from None
    if not isinstance(values, np.ndarray):
        raise Unreadable("it is no .npy file")
    return values


def _npz(path: Path, columns: tuple[str, ...] | None) -> Cloud:
    arrays = archive(path)
    place, added = located(arrays)
    return of_array(place, columns, added)


def archive(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file.

    Raises:
        Unreadable: if it is damaged or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except Exception as error:  # of numpy, zipfile and zlib
        raise Unreadable(array_problem(path, error)) from None


def located(arrays: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The array of places among those of an .npz file, and what it has besides of each point.

    Raises:
        Unreadable: if there is none.
    """
    key = next((name for name in (*POINTS, *KEYS) if name in arrays), None)
    if key is None:
        raise Unreadable(f"it has no array named {', '.join((*POINTS, *KEYS))}; it has {', '.join(arrays)}")
    return arrays[key], {ADDED[name]: value for name, value in arrays.items() if name in ADDED}


def of_array(
    values: NDArray[Any], columns: tuple[str, ...] | None, added: dict[str, NDArray[Any]] | None = None
) -> Cloud:
    """A cloud of an array ``[n, k]`` of numbers with a point a row, and further arrays of the same points.

    Raises:
        Unreadable: for another shape or type.
    """
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise Unreadable(f"a cloud is an array [points, 3 or more] of numbers, not {values.dtype} {list(values.shape)}")
    if values.shape[1] < 3:
        turned = "; with the points along the second axis it must be transposed" if len(values) == 3 else ""
        raise Unreadable(f"a cloud is an array [points, 3 or more], not {list(values.shape)}{turned}")
    if not len(values):
        raise Unreadable("it has no points in it")
    whole = values.dtype.kind in "iu"
    cloud = _coloured(
        named(values.astype(np.float64), columns), 255.0 if whole and values.dtype.itemsize == 1 else None
    )
    for feature, array in (added or {}).items():
        names = GROUPS[feature]
        array = array[:, None] if array.ndim == 1 else array
        if array.shape != (len(values), len(names)) or array.dtype.kind not in "fiu":
            raise Unreadable(
                f"its {feature} are {list(array.shape)}, and should be numbers [{len(values)}, {len(names)}]"
            )
        if feature == "colours":
            top = float(np.iinfo(array.dtype).max) if array.dtype.kind == "u" else None
            array = unit_colours(array.astype(np.float64), top)
        cloud = Cloud((*cloud.names, *names), np.concatenate([cloud.values, array.astype(np.float64)], 1))
    return cloud


def _coloured(cloud: Cloud, most: float | None) -> Cloud:
    """The cloud with its colours in [0, 1]."""
    if not cloud.has("colours"):
        return cloud
    at = [cloud.names.index(name) for name in GROUPS["colours"]]
    values = cloud.values.copy()
    values[:, at] = unit_colours(values[:, at], most)
    return Cloud(cloud.names, values)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return "it has been cut short" if "early end" in text else text or "it is damaged"
