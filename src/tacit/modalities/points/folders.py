"""Which files of points there are, and what their folders tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from tacit.errors import DataError
from tacit.modalities.looking import ARRAYS, endings_in, names_in, path_of, shape_of
from tacit.modalities.points.formats import ADDED, FILES, OWN, POINTS

SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
"""Folders of these names are parts of a data set and no classes."""
WIDTHS = (3, 4, 6, 7, 9)
"""Numbers a point that arrays of points usually have."""
FEWEST = 16
"""Rows from which on a narrow table looks like points."""


def listed(data: Any) -> tuple[list[Path], list[str], str]:
    """The files of points of a folder (sorted, hidden ones left out), a file or a list of files: paths, the names to
    show, and what an error calls them all. In a folder with files that are points by their ending, arrays are left
    out.

    Raises:
        DataError: if there are none.
    """
    path = path_of(data)
    if path is None:
        paths = [Path(os.path.expanduser(item)) for item in data]
        wrong = next((item for item in paths if item.suffix.lower() not in FILES), None)
        if wrong is not None:
            raise DataError(f"cannot read points from '{wrong}'; give files with one of the endings {', '.join(FILES)}")
        return paths, [item.as_posix() for item in paths], f"a list of {len(paths)} files"
    if path.is_file():
        if path.suffix.lower() not in FILES:
            raise DataError(f"cannot read points from '{path}'; give files with one of the endings {', '.join(FILES)}")
        return [path], [path.name], f"'{path.parent}'"
    if not path.is_dir():
        raise DataError(f"there is no file or folder '{path}'")
    names = list(_files(path, OWN)) or list(_files(path, ARRAYS))
    if not names:
        raise DataError(f"there are no files of points ({', '.join(FILES)}) in '{path}'")
    return [path / name for name in sorted(names)], sorted(names), f"'{path}'"


def _files(path: Path, endings: Sequence[str]) -> Any:
    for folder, inner, files in os.walk(path, followlinks=False):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in endings:
                yield Path(folder, name).relative_to(path).as_posix()


def classes_of(names: Sequence[str]) -> list[str] | None:
    """The innermost folder of each file that is no part of a data set, where all have one and they differ."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    own = [next((part for part in reversed(path) if part.lower() not in SPLITS), None) for path in folders]
    if None in own or len(set(own)) < 2:
        return None
    return [str(part) for part in own]


def looks_like_cloud(shape: tuple[int, ...] | None) -> bool:
    """Whether an array of this shape could be one cloud, a point a row."""
    return shape is not None and len(shape) == 2 and shape[1] in WIDTHS and shape[0] >= FEWEST


def holds_points(path: Path) -> bool:
    """Whether an .npz file names its arrays as points are named, and has no edges between them; of a folder, whether
    its first array files do, or are tables of points."""
    if path.is_dir():
        if not any(endings_in(path)[ending] for ending in ARRAYS):
            return False
        some = [path / name for name in islice(_files(path, ARRAYS), 5)]
        return bool(some) and all(holds_points(one) or looks_like_cloud(shape_of(one)) for one in some)
    names = names_in(path)
    return bool(names & {*POINTS, *ADDED} - {"intensity"}) and "edge_index" not in names
