"""Reading point clouds: files, folders, lists and arrays become one kind of source."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.console import Bar
from tacit.data import Source
from tacit.errors import DataError, OptionError, needs
from tacit.modalities.looking import Claim, path_of, shape_of, shown
from tacit.modalities.points.columns import GROUPS, Cloud, Unreadable, checked_columns
from tacit.modalities.points.folders import WIDTHS, classes_of, holds_points, listed, looks_like_cloud
from tacit.modalities.points.formats import OWN, archive, loaded, located, of_array, read_cloud
from tacit.sources import Stored, Stretches, as_labels, unpacked

ENDINGS = OWN
THREADS = 4
LABELS = ("y", "labels", "label", "targets")
KIND_GROUPS = ("group", "groups")
Rows = NDArray[np.float32]


def recognises(data: Any) -> Claim:
    """Lists of files of points are points, and so are folders and .npz files of arrays named like them, and lists of
    arrays of equal width and different length; arrays ``[N, points, 3 to 9]`` may be."""
    path = path_of(data)
    if path is not None:
        return Claim.SURE if holds_points(path) else _perhaps(shape_of(data))
    x, _, _ = unpacked(data)
    if isinstance(x, (list, tuple)) and x:
        if all(isinstance(item, (str, os.PathLike)) for item in x):
            return Claim.SURE if all(Path(item).suffix.lower() in OWN for item in x) else Claim.NO
        if all(isinstance(item, (np.ndarray, Tensor)) and looks_like_cloud(tuple(item.shape)) for item in x[:10]):
            # series of one data set have equally many channels, whatever their length
            return Claim.SURE if len({len(item) for item in x[:10]}) > 1 else Claim.PERHAPS
        return Claim.NO
    return _perhaps(shape_of(data))


def _perhaps(shape: tuple[int, ...] | None) -> Claim:
    usual = shape is not None and len(shape) == 3 and shape[2] in WIDTHS and shape[1] > shape[2]
    return Claim.PERHAPS if usual else Claim.NO


@dataclass(frozen=True)
class Found:
    """Clouds as they were read, and what is known of them besides."""

    clouds: list[Cloud]
    where: Callable[[int], str]
    facts: dict[str, Any]
    names: list[str] | None = None
    labels: Any = None
    groups: Any = None
    skipped: list[tuple[str, str]] | None = None


def open_source(
    data: Any,
    *,
    columns: tuple[str, ...] | str | None = None,
    features: tuple[str, ...] | str | None = None,
    scaling: Literal["auto", "each", "all"] = "auto",
    points: int = 1024,
    most: int = 20_000,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open point clouds, each of any number of points.

    Args:
        data: a folder of ``.ply``, ``.xyz`` or ``.bin`` files, or of ``.npy`` or ``.npz`` files of one cloud each
            (class folders become labels), one such file, or a list of them; an array ``[N, points, 3 + F]``, also from
            an .npy or .npz file, or a list of arrays ``[points_i, 3 + F]``; a tuple of an array or a list and its
            labels (and, as a third part, its groups).
        columns: what the numbers of a point are, for files and arrays that do not say it: ``x``, ``y``, ``z``, ``nx``,
            ``ny``, ``nz`` (normals), ``r``, ``g``, ``b`` (colours, divided by 255 if any is above 1), ``intensity``,
            any other name, or ``-`` for one to leave out. By default x, y, z and, of 4, intensity; of 6 and 9, normals
            where three numbers have length 1, else colours; ``.bin`` files are x, y, z, intensity as float32.
        features: what is used of them besides places: names of ``normals``, ``colours``, ``intensity`` and single
            columns, or ``none``. By default the first three where most clouds have them; of columns that were named,
            all.
        scaling: what coordinates are divided by: ``each`` cloud's own size, which is for things of which only the shape
            counts, or one number for ``all``. By default ``all`` for ``.bin`` files, else ``each``. Every cloud is
            moved to its middle.
        points: how many points of a cloud views have, at most.
        most: how many points of a cloud are kept in memory; of larger ones a random part, the same each time.
        progress: show a bar.
        once: as for every reader; nothing here is kept for later.

    Raises:
        DataError: for data that cannot be read, clouds without a feature that others have, and features that are not
            finite (normals that are not become zero; points without a place are left out); it names the file. Files
            that cannot be read are left out and counted.
        MissingExtra: for .ply files where the library that reads them is not installed.
        OptionError: for an impossible value of an option.
    """
    for name, value in (("points", points), ("most", most)):
        if value < 1:
            raise OptionError(f"{name} must be at least 1, not {value}")
    named = checked_columns(columns)
    found = _found(data, named, progress)
    wanted = _features(found, features, named is not None)
    rows, dropped = [], 0
    for i, cloud in enumerate(found.clouds):
        kept, lost = _finite(cloud.take(wanted), wanted, found.where(i))
        rows.append(_middle(_thinned(kept, most)))
        dropped += lost
    count = len(rows)
    where = shown(data) if found.names is None else f"'{found.facts['path']}'"
    labels, classes = as_labels(found.labels, count, where) if found.labels is not None else (None, None)
    groups = as_labels(found.groups, count, f"groups of {where}")[0] if found.groups is not None else None
    if scaling == "auto":
        lidar = found.names is not None and all(name.lower().endswith(".bin") for name in found.names)
        scaling = "all" if lidar else "each"
    reading = {"columns": list(named) if named else None, "features": list(wanted) or "none", "scaling": scaling,
               "points": points, "most": most}  # fmt: skip
    facts = found.facts | {
        "features": list(wanted), "without_place": dropped,
        "reading": {name: value for name, value in reading.items() if value is not None},
    }  # fmt: skip
    return Stored(
        "points", Stretches.of([torch.from_numpy(row) for row in rows]), facts, names=found.names, labels=labels,
        classes=classes, groups=groups, skipped=found.skipped or [],
        named_by="index" if found.names is None else "path",
    )  # fmt: skip


def _found(data: Any, columns: tuple[str, ...] | None, progress: bool) -> Found:
    x, y, groups = unpacked(data)
    path = path_of(x)
    paths = isinstance(x, (list, tuple)) and bool(x) and all(isinstance(item, (str, os.PathLike)) for item in x)
    if path is None and not paths:
        return _arrays(x, y, groups, columns, shown(x), {"kind": "array"})
    if path is not None and (len(shape_of(path) or ()) == 3 or _many(path)):
        return _array_file(path, columns)
    return _files(x, y, groups, columns, progress)


def _many(path: Path) -> bool:
    """Whether an .npz file holds many clouds under a name that only points have."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        return located(archive(path))[0].ndim == 3
    except Unreadable:
        return False


def _array_file(path: Path, columns: tuple[str, ...] | None) -> Found:
    facts = {"kind": "array", "path": str(path)}
    try:
        if path.suffix.lower() == ".npy":
            place, added, arrays = loaded(path), None, {}
        else:
            arrays = archive(path)
            place, added = located(arrays)
    except Unreadable as error:
        raise DataError(f"cannot read '{path}': {error}") from None
    y, groups = (next((arrays[name] for name in some if name in arrays), None) for some in (LABELS, KIND_GROUPS))
    return _arrays(place, y, groups, columns, f"'{path}'", facts, added)


def _arrays(
    x: Any, y: Any, groups: Any, columns: tuple[str, ...] | None, where: str, facts: dict[str, Any],
    added: dict[str, NDArray[Any]] | None = None,
) -> Found:  # fmt: skip
    if isinstance(x, (np.ndarray, Tensor)):
        if x.ndim != 3:
            raise DataError(f"{where}: an array of clouds is [N, points, 3 or more], not of shape {list(x.shape)}")
    elif not isinstance(x, (list, tuple)):
        raise DataError(f"cannot read points from {where}; give files ({', '.join(OWN)}) or arrays [points, 3 or more]")
    if not len(x):
        raise DataError(f"{where} has no clouds in it")
    clouds: list[Cloud] = []
    for i, item in enumerate(x):
        array = item.detach().cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
        try:
            own = {name: values[i] for name, values in (added or {}).items() if len(values) == len(x)}
            clouds.append(of_array(array, columns, own))
        except Unreadable as error:
            raise DataError(f"{where}, cloud {i}: {error}") from None
        if columns is None and not added:
            columns = clouds[0].names  # those after the first are read as it was
    return Found(clouds, lambda i: f"{where}, cloud {i}", facts, labels=y, groups=groups)


def _files(x: Any, y: Any, groups: Any, columns: tuple[str, ...] | None, progress: bool) -> Found:
    paths, names, where = listed(x)
    if any(path.suffix.lower() == ".ply" for path in paths):
        needs("plyfile", "points", "reading .ply files")

    def read(path: Path) -> Cloud | str:
        try:
            return read_cloud(path, columns)
        except (Unreadable, OSError) as error:
            return str(error)

    clouds: list[Cloud] = []
    kept: list[int] = []
    skipped: list[tuple[str, str]] = []
    with Bar("read", total=len(paths), quiet=not progress) as bar, ThreadPoolExecutor(THREADS) as pool:
        for i, got in enumerate(pool.map(read, paths)):
            if isinstance(got, str):
                skipped.append((names[i], got))
            else:
                clouds.append(got)
                kept.append(i)
            bar.at(i + 1)
    if not clouds:
        name, why = skipped[0]
        raise DataError(f"none of the {len(paths)} files of {where} can be read; '{name}': {why}")
    shown_names = [names[i] for i in kept]
    facts = {"kind": "folder" if isinstance(x, (str, os.PathLike)) else "files", "path": where.strip("'")}
    labels = classes_of(shown_names)
    given = []
    for value, what in ((y, "labels"), (groups, "groups")):
        if value is not None and len(value) != len(paths):
            raise DataError(f"{where}: there are {len(paths)} files and {len(value)} {what}; give one a file")
        given.append(None if value is None else [value[i] for i in kept])
    return Found(
        clouds, lambda i: f"'{shown_names[i]}' in {where}", facts, shown_names,
        labels if given[0] is None else given[0], given[1], skipped,
    )  # fmt: skip


def _features(found: Found, wanted: tuple[str, ...] | str | None, named: bool) -> tuple[str, ...]:
    """What is used besides places; every cloud has it."""
    if isinstance(wanted, str):
        wanted = () if wanted == "none" else tuple(wanted.replace(",", " ").split())
    if wanted is None:
        counts = Counter(name for cloud in found.clouds for name in cloud.features())
        usual = [name for name, count in counts.items() if count > len(found.clouds) / 2]
        order = [*(name for name in GROUPS if name in usual), *(name for name in usual if name not in GROUPS)]
        wanted = tuple(name for name in order if named or name in GROUPS)
    else:
        wanted = tuple(sorted(wanted, key=lambda name: [*GROUPS, name].index(name)))  # normals first
    for i, cloud in enumerate(found.clouds):
        lacking = next((name for name in wanted if not cloud.has(name)), None)
        if lacking is not None:
            has = ", ".join(cloud.features()) or "none"
            raise DataError(f"{found.where(i)} has no {lacking} (its features: {has}); leave it out, or say which "
                            "features to use, e.g. --set data.features=none")  # fmt: skip
    return wanted


def _finite(values: NDArray[np.floating], features: Sequence[str], where: str) -> tuple[NDArray[np.floating], int]:
    """Points that have a place, normals that are no numbers as zero, and how many points had no place."""
    real = np.isfinite(values[:, :3]).all(1)
    if not real.any():
        raise DataError(f"{where} has no point with a place: all coordinates are NaN or infinite")
    kept = values[real]
    if features[:1] == ("normals",):
        kept[:, 3:6] = np.where(np.isfinite(kept[:, 3:6]).all(1, keepdims=True), kept[:, 3:6], 0)
    bad = ~np.isfinite(kept)
    if bad.any():
        row, column = (int(place[0]) for place in np.nonzero(bad))
        names = [part for name in features for part in GROUPS.get(name, (name,))]
        raise DataError(f"{where}: '{names[column - 3]}' of a point is {kept[row, column]}; leave this feature or the "
                        "cloud out")  # fmt: skip
    return kept, int((~real).sum())


def _thinned(values: NDArray[np.floating], most: int) -> NDArray[np.floating]:
    if len(values) <= most:
        return values
    chosen = np.random.default_rng([len(values), most]).choice(len(values), most, replace=False)
    return values[np.sort(chosen)]


def _middle(values: NDArray[np.floating]) -> Rows:
    """Places from the mean of the cloud, told in full precision, since those on a map have large numbers: float32
    ``[3 + F, n]``."""
    moved = values.astype(np.float64)
    moved[:, :3] -= moved[:, :3].mean(0)
    return np.ascontiguousarray(moved.T.astype(np.float32))
