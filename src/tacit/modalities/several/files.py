"""Samples of several parts in files: folders, tables with columns of paths, archives of arrays."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import DataError
from tacit.modalities.columns import TABLES, check_columns, read_table
from tacit.modalities.delimited import check_utf8
from tacit.modalities.looking import ARRAYS, MANY, array_problem, ending_of, path_of
from tacit.modalities.several.matching import stem

JSON = ".jsonl"
LOOKED_AT = 100
"""Rows of a table by which a column of paths is told."""


@dataclass(frozen=True)
class Layout:
    """What a reader was told of the parts."""

    parts: dict[str, str]
    label: str | None = None
    group: str | None = None
    delimiter: str | None = None


@dataclass
class Columns:
    """The parts of a table: paths, values or smaller tables, and what else its columns say."""

    parts: dict[str, Any]
    names: list[str]
    labels: Any
    groups: Any
    kinds: dict[str, str] = field(default_factory=dict)


def paths_of(data: Any) -> list[str] | None:
    """A list of paths as text; None for anything else."""
    if not isinstance(data, list) or not data or not all(isinstance(item, (str, os.PathLike)) for item in data):
        return None
    return [os.fspath(item) for item in data]


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its ending."""
    return ending_of(path, (*TABLES, JSON)) is not None


def _entries(folder: Path) -> list[Path]:
    """The subfolders with something in them and the files of data, in order of name."""
    kept = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() or ending_of(path, (*TABLES, *ARRAYS, JSON)):
            kept.append(path)
    return kept


def files_in(folder: Path, most: int | None = None) -> list[str]:
    """Paths of the files below a folder, or of so many of the first, relative to it, hidden ones left out."""
    found: list[str] = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(at).relative_to(folder)
        found += [str(below / name) for name in sorted(files) if not name.startswith(".")][:most]
        if most is not None and len(found) >= most:
            break
    return found[:most]


def lie_apart(folder: Path) -> bool:
    """Whether each of several subfolders holds files of one ending, another one in each, and the same names."""
    folders = [path for path in _entries(folder) if path.is_dir()]
    if len(folders) < 2 or len(folders) > 20:
        return False
    endings, names = [], []
    for path in folders:
        files = files_in(path, MANY)
        if not files:
            return False
        counts = Counter(Path(name).suffix.lower() for name in files)
        endings.append(counts.most_common(1)[0][0])
        names.append({stem(name) for name in files})
    shared = set.intersection(*names)
    return len(set(endings)) == len(endings) and 2 * len(shared) > max(map(len, names))


def from_folder(folder: Path) -> dict[str, Any]:
    """The parts of a folder: its subfolders and files of data, by their names without ending.

    Raises:
        DataError: if there are not two, or two of one name.
    """
    parts: dict[str, Any] = {}
    for path in _entries(folder):
        name = path.name if path.is_dir() else path.stem
        if name in parts:
            raise DataError(f"the folder '{folder}' has two parts named '{name}'")
        parts[name] = path
    if not parts:
        raise DataError(f"the folder '{folder}' has no parts: no folders, tables or array files in it")
    return parts


def array_files(data: Any) -> tuple[list[str], list[str]] | None:
    """Paths and names of .npy files, one a sample: those of a folder that holds mostly such, or of a list that holds
    nothing else; None for anything else."""
    listed, path = paths_of(data), path_of(data)
    if listed is not None:
        return (listed, listed) if all(ending_of(Path(item), (".npy",)) for item in listed) else None
    if path is None or not path.is_dir():
        return None
    names = files_in(path)
    arrays = [name for name in names if ending_of(Path(name), (".npy",))]
    return ([str(path / name) for name in arrays], arrays) if 2 * len(arrays) > len(names) else None


def read_arrays(paths: list[str], names: list[str]) -> tuple[list[Any], list[str], list[tuple[str, str]]]:
    """The arrays of .npy files, their names, and names and reasons of those that cannot be read.

    Raises:
        DataError: if none can.
    """
    arrays, kept, skipped = [], [], []
    for path, name in zip(paths, names, strict=True):
        try:
            arrays.append(np.load(path, allow_pickle=False))
            kept.append(name)
        except (OSError, ValueError, EOFError) as error:
            skipped.append((name, array_problem(Path(path), error)))
    if not arrays:
        raise DataError(f"none of the {len(names)} arrays can be read; the first, '{names[0]}': {skipped[0][1]}")
    return arrays, kept, skipped


def from_archive(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file by name.

    Raises:
        DataError: if it is none, is damaged or holds Python objects.
    """
    if path.suffix.lower() != ".npz":
        raise DataError(
            f"cannot read samples of several parts from '{path}'; give a folder, an .npz file of arrays or a table "
            f"({', '.join((*TABLES, JSON))})"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read '{path}': {array_problem(path, error)}") from None


def from_table(data: Any, layout: Layout) -> Columns:
    """The parts of a table: columns of paths, columns that were named, and as a part of kind ``table`` all others.

    Paths are relative to the table's folder, or to the current one for a data frame.

    Raises:
        DataError: for a table that cannot be read, has no part, or has an empty cell where a part should be.
    """
    path = path_of(data)
    where = f"'{path}'" if path is not None else "the table"
    table = _read_lines(path) if path is not None and ending_of(path, (JSON,)) else read_table(data, layout.delimiter)
    beside = [name for name in (layout.label, layout.group) if name is not None]
    check_columns(table, where, beside)
    base = path.parent if path is not None else Path.cwd()
    parts: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    for name in table.column_names:
        if name in beside or (layout.parts and name not in layout.parts):
            continue
        cells = table[name]
        first = cells.drop_null()[:LOOKED_AT].to_pylist()
        paths = all(isinstance(cell, str) for cell in first) and any(os.path.isfile(base / cell) for cell in first)
        if not paths and name not in layout.parts:
            continue
        if cells.null_count:
            row = next(i for i, cell in enumerate(cells.to_pylist()) if cell is None)
            raise DataError(f"{where}: row {row + 1} has nothing in column '{name}', so that part is missing")
        values = cells.to_pylist()
        parts[name] = [str(base / cell) for cell in values] if paths else _values(values, where, name)
    rest = [name for name in layout.parts if name not in parts]
    left = [name for name in table.column_names if name not in parts and name not in beside]
    if not layout.parts and left:
        rest = ["table"]
        kinds["table"] = "table"
    for name in rest:
        if layout.parts.get(name, "table") != "table" or not left:
            raise DataError(f"{where} has no column '{name}'; it has {', '.join(table.column_names[:20])}")
        parts[name] = table.select(left)
    labels, groups = (table[n].to_numpy() if n is not None else None for n in (layout.label, layout.group))
    return Columns(parts, [str(i) for i in range(table.num_rows)], labels, groups, kinds)


def _values(values: list[Any], where: str, name: str) -> Any:
    """Cells as a kind takes them: text as it is, lists of numbers as arrays.

    Raises:
        DataError: for cells that are neither.
    """
    if all(isinstance(value, str) for value in values):
        return values
    if all(isinstance(value, (list, np.ndarray)) for value in values):
        try:
            return [np.asarray(value, dtype=np.float32) for value in values]
        except (TypeError, ValueError):
            raise DataError(f"{where}: column '{name}' holds lists that are no arrays of numbers") from None
    raise DataError(
        f"{where}: column '{name}' should hold paths, text or lists of numbers, not {type(values[0]).__name__}; "
        "columns of numbers and categories together are a part of kind table"
    )


def _read_lines(path: Path) -> Any:
    """A table from a file with one JSON object a line.

    Raises:
        DataError: if it is empty or damaged.
    """
    import pyarrow as pa
    from pyarrow import json

    try:
        check_utf8(path)
        table = json.read_json(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"cannot read '{path}': {reason}") from None
    if not table.num_rows:
        raise DataError(f"'{path}' has no rows")
    return table
