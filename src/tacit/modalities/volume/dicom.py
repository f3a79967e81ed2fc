"""DICOM series: the slices of one examination, in files of their own, as a volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tacit.errors import needs
from tacit.modalities.volume.decode import Scan, Unreadable
from tacit.modalities.volume.space import Floats, upright

ENDING = ".dcm"
UNEVEN = 0.05
"""How much, of the distance between slices, one of them may be out of place."""


def library() -> ModuleType:
    """The library that reads DICOM.

    Raises:
        MissingExtra: if it is not installed.
    """
    return needs("pydicom", "volume", "reading DICOM series")


def has_preamble(path: Path) -> bool:
    """Whether a file says in its first bytes that it is DICOM, whatever its name."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def series_in(paths: Sequence[Path]) -> tuple[dict[tuple[Path, str], list[Any]], list[tuple[Path, str]]]:
    """The headers of slices by their folder and series, and the files that are none, with the reason.

    Raises:
        MissingExtra: if the library is not installed.
    """
    pydicom = library()
    found: dict[tuple[Path, str], list[Any]] = {}
    bad: list[tuple[Path, str]] = []
    for path in paths:
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            header.filename = str(path)
            found.setdefault((path.parent, str(header.SeriesInstanceUID)), []).append(header)
        except (pydicom.errors.InvalidDicomError, OSError, EOFError, AttributeError, ValueError, KeyError) as error:
            bad.append((path, f"it is no slice of a DICOM series: {' '.join(str(error).split()):.120}"))
    return found, bad


def looked(headers: Sequence[Any]) -> Scan:
    """The facts of a series, from the headers of its slices.

    Raises:
        Unreadable: where the slices do not make a volume.
    """
    first = headers[0]
    if int(getattr(first, "NumberOfFrames", 1)) > 1:
        raise Unreadable("it has many frames in one file, which is not read; convert it to NIfTI")
    if int(getattr(first, "SamplesPerPixel", 1)) != 1:
        raise Unreadable("its slices are in colour")
    if len(headers) < 2:
        raise Unreadable("it is a single slice")
    try:
        shapes = {(int(h.Rows), int(h.Columns)) for h in headers}
        gaps = {tuple(float(v) for v in h.PixelSpacing) for h in headers}
        turns = np.array([[float(v) for v in h.ImageOrientationPatient] for h in headers])
        places = np.array([[float(v) for v in h.ImagePositionPatient] for h in headers])
    except (AttributeError, TypeError, ValueError) as error:
        raise Unreadable(f"a slice does not say where it lies: {error}") from None
    if len(shapes) > 1 or len(gaps) > 1 or np.abs(turns - turns[0]).max() > 1e-3:
        raise Unreadable("its slices differ in size, spacing or direction")
    across, down = turns[0, :3], turns[0, 3:]
    through = np.cross(across, down)
    depth = places @ through
    order = np.argsort(depth)
    steps = np.diff(depth[order])
    usual = float(np.median(steps))
    if usual < 1e-4 or float(steps.min()) < 1e-4:
        raise Unreadable("several of its slices lie at one place")
    if float(np.abs(steps - usual).max()) > UNEVEN * usual:
        at = int(np.abs(steps - usual).argmax())
        raise Unreadable(f"its slices lie {usual:g} mm apart, and once {steps[at]:g}: is one missing?")
    (rows, columns), (down_gap, across_gap) = shapes.pop(), gaps.pop()
    if min(down_gap, across_gap) <= 0 or not np.isfinite([down_gap, across_gap]).all():
        raise Unreadable(f"its pixels are {down_gap:g} x {across_gap:g} mm apart")
    directions = np.stack([through, down, across], 1)
    files = [str(headers[i].filename) for i in order]
    _, axes = upright(np.empty((1, 1, 1, 1), np.float32), directions)
    own_sides, own_gaps = (len(files), rows, columns), (usual, down_gap, across_gap)
    d, h, w = axes
    return Scan(
        1, (own_sides[d], own_sides[h], own_sides[w]), (own_gaps[d], own_gaps[h], own_gaps[w]),
        lambda: upright(voxels(files)[None], directions)[0],
    )  # fmt: skip


def voxels(files: Sequence[str]) -> Floats:
    """Slices in the given order, in the unit that they declare (Hounsfield's for CT): float32 ``[N, rows, columns]``.

    Raises:
        Unreadable: for a slice that cannot be decoded, or has been cut short.
    """
    pydicom = library()
    made = []
    for file in files:
        try:
            data = pydicom.dcmread(file)
            pixels = data.pixel_array.astype(np.float32)
        except (pydicom.errors.InvalidDicomError, OSError, EOFError, AttributeError, ValueError, KeyError, RuntimeError,
                NotImplementedError) as error:  # fmt: skip
            raise Unreadable(f"{Path(file).name}: {' '.join(str(error).split()):.160}") from None
        made.append(pixels * float(getattr(data, "RescaleSlope", 1)) + float(getattr(data, "RescaleIntercept", 0)))
    return np.stack(made)
