"""Reading volumes: files, folders, series of slices and arrays become one kind of source."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from tacit.console import Bar
from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.looking import ARRAYS, Claim, are_paths, ending_of, endings_in, path_of, shape_of, shown
from tacit.modalities.naming import known_of
from tacit.modalities.volume.arrays import loaded, stacked
from tacit.modalities.volume.decode import NIFTI, Scan, Unreadable
from tacit.modalities.volume.dicom import ENDING, has_preamble
from tacit.modalities.volume.folders import has_no_ending, listed
from tacit.modalities.volume.room import Room
from tacit.modalities.volume.space import Floats, Sides, Three, check_finite, common, fitted, resampled, standardised
from tacit.sources import Stored, Whole, as_labels, unpacked

ENDINGS = (*NIFTI, ENDING)
THREADS = 8
AHEAD = 16
"""Volumes that are decoded ahead of those that are put in place."""


def recognises(data: Any) -> Claim:
    """Arrays of rank 5 with few channels, folders of arrays of rank 3 and of DICOM files without an ending are volumes;
    arrays of rank 4 may be."""
    path = path_of(data)
    if path is not None and path.is_dir():
        return _folder(path)
    items = data if isinstance(data, (list, tuple)) else []
    if items and all(isinstance(item, (str, os.PathLike)) for item in items):
        return Claim.SURE if all(ending_of(Path(item), ENDINGS) for item in items) else Claim.NO
    shape = shape_of(data)
    if shape is None or not all(shape):
        return Claim.NO
    if len(shape) == 5:
        return Claim.SURE if shape[1] <= 4 < min(shape[2:]) else Claim.PERHAPS
    return Claim.PERHAPS if len(shape) == 4 and min(shape[1:]) > 4 else Claim.NO


def _folder(path: Path) -> Claim:
    counts = endings_in(path)
    if sum(counts[ending] for ending in ARRAYS) > sum(counts.values()) / 2:
        first = next((p for p in sorted(path.rglob("*")) if ending_of(p, ARRAYS) and not p.name.startswith(".")), path)
        shape = shape_of(first) or ()
        if len(shape) == 3 and min(shape) > 4:
            return Claim.SURE
        return Claim.PERHAPS if len(shape) == 4 and min(shape[1:]) > 4 else Claim.NO
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    bare = [name for name in names if has_no_ending(Path(name))]
    return Claim.SURE if len(bare) > len(names) / 2 and has_preamble(path / bare[0]) else Claim.NO


def open_source(
    data: Any,
    *,
    spacing: float | tuple[float, float, float] | None = None,
    size: int | tuple[int, int, int] | None = None,
    intensity: Literal["standardised", "kept"] = "standardised",
    clip: tuple[float, float] | None = None,
    fill: float | None = None,
    pattern: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    memory: int | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open volumes, brought to one spacing and one size.

    Args:
        data: a folder of ``.nii``, ``.nii.gz``, ``.npy`` and ``.npz`` files and of DICOM series (the slices of a series
            in one folder), at any depth; class folders become labels. One such file, or a list of them. An ``.npy`` or
            ``.npz`` file or an array ``[N, D, H, W]`` or ``[N, C, D, H, W]``; a tuple of an array and its labels (and,
            as a third part, its groups).
        spacing: mm from one voxel to the next along D, H and W; volumes at another are resampled. By default the median
            of all, or coarser where the median volume would have more than 128 voxels along a side. Of arrays, and of
            files that do not say it: the spacing that they have.
        size: voxels along D, H and W; larger volumes are cut to their middle, smaller ones are continued by their
            smallest value. By default that of the median volume, a multiple of 8 where they differ.
        intensity: ``standardised``: each channel of each volume is brought to zero mean and unit variance, as magnetic
            resonance needs it; ``kept``: values have a unit that all volumes share, as in computed tomography.
        clip: values below the first and above the second are set to these.
        fill: what stands for values that are not finite; without it they are refused.
        pattern: a regular expression with groups named ``label`` or ``group`` (or both) that is searched for in each
            file's path, e.g. ``sub-(?P<group>[0-9]+)``.
        cache: folder for volumes that do not fit in memory; by default ``$TACIT_CACHE`` or ``~/.cache/tacit``.
        memory: the most bytes of voxels to hold in memory; 40% of what is available by default.
        progress: show a bar.
        once: as for every reader; nothing here is kept for later.

    Raises:
        DataError: for data that cannot be read, volumes of different numbers of channels, and values that are not
            finite; it names the file. Files that cannot be decoded are left out and counted.
        MissingExtra: for files where the library that decodes them is not installed.
        OptionError: for an impossible value of an option.
    """
    gap, sides = _threes(spacing, size)
    if clip is not None and not clip[0] < clip[1]:
        raise OptionError(f"clip must be two numbers, low < high, not {clip!r}")
    if fill is not None and not np.isfinite(fill):
        raise OptionError(f"fill must be a finite number, not {fill}")

    def finished(values: Floats, where: str) -> Floats:
        if fill is not None:
            values = np.where(np.isfinite(values), values, np.float32(fill))
        check_finite(values, where)
        values = values if clip is None else values.clip(*clip)
        return standardised(values) if intensity == "standardised" else values

    again = {"spacing": gap, "size": sides, "intensity": intensity, "clip": clip, "fill": fill, "pattern": pattern}
    again = {name: value for name, value in again.items() if value is not None and value != "standardised"}
    room = Room(cache, memory)
    x, y, groups = unpacked(data)
    path = path_of(x)
    names: list[str] | None
    skipped: list[tuple[str, str]]
    one_array = path is not None and path.suffix.lower() in ARRAYS and path.is_file() and y is None
    if one_array or (path is None and not are_paths(x)):
        if pattern is not None:
            raise OptionError(f"pattern is for files, which {shown(x)} is not")
        where = f"'{path}'" if one_array else shown(x)
        facts: dict[str, Any] = {"kind": "array"} | ({"path": str(path)} if one_array else {})
        array, y = loaded(path) if one_array and path is not None else (x, y)
        items = stacked(array, where)
        depth, height, width = items.shape[2:]
        size_found = sides or (depth, height, width)
        store = room.filled(
            (len(items), items.shape[1], *size_found),
            (fitted(finished(item, f"{where}, volume {i}"), size_found) for i, item in enumerate(items)),
        )
        labels, classes = as_labels(y, len(items), where) if y is not None else (None, None)
        grouped = as_labels(groups, len(items), f"groups of {where}")[0] if groups is not None else None
        names, skipped, by, gap_found = None, [], "index", gap
    else:
        names, openers, skipped, where = listed(x)
        if y is not None and pattern is not None:
            raise OptionError("pattern takes labels from the files' paths: give it or labels, not both")
        if y is not None and len(names) != len(y):
            raise DataError(f"{where} has {len(names)} volumes, and there are {len(y)} labels; give one a volume")
        scans, bad = _looked(names, openers, where)
        gap_found, size_found = _agreed(scans, names, gap, sides, where)
        store, kept = _filled(scans, names, (gap_found, size_found), finished, where, room, bad, progress)
        left = [names[i] for i in kept]
        # a folder for each patient makes no classes
        labels, classes, grouped = known_of(left, (y, groups), len(names), kept, pattern, where, least=2)
        skipped = sorted([*skipped, *((names[i], reason) for i, reason in bad.items())])
        names, by = left, "path"
        facts = {"kind": "folder" if path is not None and path.is_dir() else "files", "path": where}
    again |= {"size": tuple(size_found)} | ({} if gap_found is None else {"spacing": gap_found})
    facts |= {"channels": store.shape[1], "stored": list(size_found), "spacing": gap_found, "reading": again}
    return Stored(
        "volume", Whole(store), facts, names=names, labels=labels, classes=classes, groups=grouped, skipped=skipped,
        named_by=by,
    )  # fmt: skip


def _threes(
    spacing: float | tuple[float, float, float] | None, size: int | tuple[int, int, int] | None
) -> tuple[Three | None, Sides | None]:
    gap = (spacing,) * 3 if isinstance(spacing, (int, float)) else spacing
    sides = (size,) * 3 if isinstance(size, int) else size
    if gap is not None and not (len(gap) == 3 and all(0 < g < float("inf") for g in gap)):
        raise OptionError(f"spacing must be a positive number of mm, or three of them for D, H and W, not {spacing!r}")
    if sides is not None and not (len(sides) == 3 and all(n >= 1 for n in sides)):
        raise OptionError(f"size must be a positive number of voxels, or three of them for D, H and W, not {size!r}")
    return gap, sides


def _looked(
    names: Sequence[str], openers: Sequence[Callable[[], Scan]], where: str
) -> tuple[dict[int, Scan], dict[int, str]]:
    """What is known of each volume that can be read, by position, and why the others cannot."""

    def look(opener: Callable[[], Scan]) -> Scan | str:
        try:
            return opener()
        except Unreadable as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(look, openers))
    scans = {i: scan for i, scan in enumerate(found) if isinstance(scan, Scan)}
    bad = {i: scan for i, scan in enumerate(found) if isinstance(scan, str)}
    if not scans:
        raise DataError(f"none of the {len(names)} volumes of {where} can be read; '{names[0]}': {bad[0]}")
    counts = Counter(scan.channels for scan in scans.values())
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = next(i for i, scan in scans.items() if scan.channels != usual)
        raise DataError(
            f"'{names[odd]}' in {where} has {scans[odd].channels} channels, and most volumes have {usual}; leave it out"
        )
    return scans, bad


def _agreed(
    scans: dict[int, Scan], names: Sequence[str], gap: Three | None, sides: Sides | None, where: str
) -> tuple[Three | None, Sides]:
    """The spacing and the size of all volumes."""
    unknown = [i for i, scan in scans.items() if scan.spacing is None]
    if unknown and len(unknown) < len(scans) and gap is None:
        raise DataError(
            f"'{names[unknown[0]]}' in {where} does not say how far its voxels lie apart, and other files do; save it "
            "as an .npz file with 'spacing' (mm along D, H, W), or say what it has with --set data.spacing"
        )
    spacings = [scan.spacing or gap for scan in scans.values()]
    known = None if None in spacings else [s for s in spacings if s is not None]
    return common([scan.sides for scan in scans.values()], known, gap, sides)


def _filled(
    scans: dict[int, Scan],
    names: Sequence[str],
    wanted: tuple[Three | None, Sides],
    finished: Callable[[Floats, str], Floats],
    where: str,
    room: Room,
    bad: dict[int, str],
    progress: bool,
) -> tuple[Tensor, list[int]]:
    """All volumes in one tensor, and which those are that could be decoded; ``bad`` learns why others could not."""
    gap, sides = wanted

    def read(i: int) -> Floats | str:
        scan = scans[i]
        try:
            values = finished(scan.read(), f"'{names[i]}' in {where}")
        except Unreadable as error:
            return str(error)
        if gap is not None and scan.spacing is not None:
            values = resampled(values, scan.spacing, gap)
        return fitted(values, sides)

    order, kept = list(scans), []
    channels = next(iter(scans.values())).channels

    def rows() -> Iterator[Floats]:
        done = 0
        with Bar("read", total=len(order), quiet=not progress) as bar, ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(order), AHEAD):  # no more of them in memory at a time
                part = order[start : start + AHEAD]
                for i, got in zip(part, pool.map(read, part), strict=True):
                    if isinstance(got, str):
                        bad[i] = got
                    else:
                        kept.append(i)
                        yield got
                    done += 1
                    bar.at(done)

    store = room.filled((len(order), channels, *sides), rows())
    if not kept:
        first = order[0]
        raise DataError(f"none of the {len(names)} volumes of {where} can be read; '{names[first]}': {bad[first]}")
    return store, kept
