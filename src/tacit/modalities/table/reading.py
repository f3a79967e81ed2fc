"""Reading tables: files, folders of them, data frames and arrays become one kind of source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tacit.console import say
from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.columns import TABLES, check_columns, codes, is_frame, read_table
from tacit.modalities.looking import (
    ARRAYS,
    KEYS,
    Claim,
    array_problem,
    ending_of,
    endings_in,
    names_in,
    path_of,
    shape_of,
    shown,
)  # fmt: skip
from tacit.modalities.table import columns as cells
from tacit.modalities.table.schema import Column, Rows, Schema
from tacit.sources import Stored, as_labels, unpacked

ENDINGS: tuple[str, ...] = ()
"""None of its own: the endings of tables say nothing of what is in them."""
LABELS, GROUPS = ("y", "labels", "targets"), ("group", "groups")


def recognises(data: Any) -> Claim:
    """Tables and arrays ``[N, D]`` are its own; a folder of tables may be one table in parts, and rows of numbers among
    arrays of other names may be part of something else."""
    path = path_of(data)
    if path is not None and path.is_dir():
        counts = endings_in(path)
        return Claim.PERHAPS if any(counts[ending] for ending in TABLES) else Claim.NO
    if path is not None and ending_of(path, TABLES):
        return Claim.SURE
    first = unpacked(data)[0]
    if is_frame(first):
        return Claim.SURE
    shape = shape_of(data)
    if shape is None or len(shape) != 2:
        return Claim.NO
    pair = isinstance(data, tuple) and len(shape_of(data[1]) or ()) == 2  # targets, or two pictures
    among_others = path is not None and not names_in(path) <= {*KEYS, *LABELS, *GROUPS}
    return Claim.PERHAPS if pair or among_others else Claim.SURE


def open_source(
    data: Any,
    *,
    label: str | None = None,
    group: str | None = None,
    columns: tuple[str, ...] | str | None = None,
    leave_out: tuple[str, ...] | str = (),
    categorical: tuple[str, ...] | str = (),
    categories: int = 256,
    missing: tuple[str, ...] | str = (),
    delimiter: str | None = None,
    decimal: str = ".",
    schema: dict | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open a table, a row a sample.

    Columns of numbers, text, booleans and dates become features (see :mod:`tacit.modalities.table.schema`). What says
    nothing is left out and listed among the facts: columns that are empty, hold one value, count the rows, or
    are text of which nearly every row has its own.

    Args:
        data: a ``.csv``, ``.tsv`` or ``.parquet`` file; a folder of them, parts of one table; a table of pandas, polars
            or PyArrow; an array ``[N, D]``, also from an .npy or .npz file (``x``, ``y``, ``group``); a tuple of one of
            them and its labels (and, as a third part, its groups).
        label, group: columns of labels and of groups.
        columns: the features; by default every column that has no other part.
        leave_out: columns that are no features.
        categorical: columns of numbers that are names of categories.
        categories: how many values of a category are told apart, the most frequent ones; the others are one.
        missing: text that stands for nothing in a text file, besides ``NA``, ``nan``, ``null``, ``?`` and the like.
        delimiter, decimal: of a text file: between columns, and of fractions.
        schema: what the columns are, as the run of an encoder keeps it. Values that it does not have count as missing,
            or as a rare value where there were such.
        progress, once: as for every reader; nothing here is kept between readings.

    Raises:
        DataError: for data that cannot be read; it names the file and the column.
        OptionError: for an impossible value of an option.
    """
    if categories < 2:
        raise OptionError(f"categories must be at least 2, not {categories}")
    options: dict[str, Any] = {
        "label": label, "group": group, "columns": _several(columns) if columns is not None else None,
        "leave_out": _several(leave_out), "categorical": _several(categorical), "categories": categories,
        "missing": _several(missing), "delimiter": delimiter, "decimal": decimal,
    }  # fmt: skip
    x, y, groups = unpacked(data)
    path = path_of(x)
    where = f"'{path}'" if path is not None else "the table"
    skipped: list[tuple[str, str]] = []
    if path is not None and path.is_dir():
        table, skipped = _folder(path, options)
    elif path is not None and path.suffix.lower() in ARRAYS:
        table, y, groups = _array_file(path)
    elif is_frame(x) or (path is not None and ending_of(path, TABLES)):
        table = _read(x, options)
    elif isinstance(x, (np.ndarray, Tensor)):
        table = _of_array(x, shown(x))
    else:
        raise DataError(f"cannot read a table from {shown(x)}; give {', '.join(TABLES)}, a data frame or an array")
    known = Schema.from_dict(schema) if schema is not None else None
    facts = {"kind": "table", "path": str(path) if path is not None else None, "rows": table.num_rows}
    return _source(table, where, options, known, y, groups, facts, skipped)


def _several(value: tuple[str, ...] | str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _read(data: Any, options: dict[str, Any]) -> Any:
    return read_table(data, options["delimiter"], missing=options["missing"], decimal=options["decimal"])


def _source(
    table: Any, where: str, options: dict[str, Any], known: Schema | None, y: Any, groups: Any, facts: dict[str, Any],
    skipped: list[tuple[str, str]],
) -> Source:  # fmt: skip
    label, group = options["label"], options["group"]
    present = [name for name in (label, group) if name is not None]
    if known is not None:  # data to embed need have neither
        present = [name for name in present if name in table.column_names]
        names = [column.name for column in known.columns]
    else:
        names = list(options["columns"] or [n for n in table.column_names if n not in present])
        check_columns(table, where, [*options["leave_out"], *options["categorical"]])
        names = [name for name in names if name not in options["leave_out"]]
    check_columns(table, where, [*present, *names])
    store, left_out, unseen = _rows(table, where, names, options, known)
    labels, classes, group_ids = None, None, None
    if label in present:
        y = _label_column(table, label, where)
    if y is not None:
        labels, classes = as_labels(y, table.num_rows, f"{where}, labels")
        if classes is not None and known is not None and known.classes is not None:
            labels, classes = _same_classes(labels, classes, known.classes, where)
    if group in present:
        groups = codes(table, group, where)[0]
    if groups is not None:
        group_ids = as_labels(groups, table.num_rows, f"groups of {where}")[0]
    if known is None and classes is not None:
        store = Rows(Schema(store.schema.columns, tuple(classes)), store.numbers.numpy(), store.codes.numpy())
    for name, count in unseen.items():
        say(f"{where}: column '{name}' has {count} cells with values that were not there in training")
    facts |= {"columns": [c.name for c in store.schema.columns], "left_out": left_out, "unseen": unseen}
    reading = {name: value for name, value in options.items() if value not in (None, ()) and name != "columns"}
    return Stored(
        "table", store, facts | {"reading": reading}, labels=labels, classes=classes, groups=group_ids, skipped=skipped
    )


def _rows(
    table: Any, where: str, names: list[str], options: dict[str, Any], known: Schema | None
) -> tuple[Rows, dict[str, str], dict[str, int]]:
    """The features, what was left out of them and why, and how many cells were not known."""
    columns: list[Column] = []
    numbers: list[np.ndarray] = []
    codes_of: list[np.ndarray] = []
    left_out: dict[str, str] = {}
    unseen: dict[str, int] = {}
    before = {column.name: column for column in known.columns} if known is not None else {}
    for name in names:
        column = before.get(name)
        sort = column.sort if column is not None else cells.sort_of(table, name, where, options["categorical"])
        if sort == "number":
            found = cells.number(table, name, where, column)
        elif sort == "date":
            found = cells.date(table, name, where, column)
        elif sort == "category":
            named = name in options["categorical"]
            found = cells.category(table, name, where, column, options["categories"], named)
        else:
            found = cells.Found(None, why="it is empty")
        if found.column is None:
            left_out[name] = found.why
            continue
        columns.append(found.column)
        if found.numbers is not None:
            numbers.append(found.numbers)
        if found.codes is not None:
            codes_of.append(found.codes)
        if found.unseen:
            unseen[name] = found.unseen
    if not columns:
        reasons = "; ".join(f"'{name}': {why}" for name, why in left_out.items())
        raise DataError(f"{where} has no column to learn from{f' ({reasons})' if reasons else ''}")
    rows = table.num_rows
    packed = np.empty((rows, sum(part.shape[1] for part in numbers)), np.float32)
    first = 0
    while numbers:  # each is freed as soon as it is copied
        part = numbers.pop(0)
        packed[:, first : first + part.shape[1]] = part
        first += part.shape[1]
    small = np.int16 if options["categories"] < 2**15 - 1 else np.int32
    stacked = np.stack(codes_of, 1).astype(small) if codes_of else np.empty((rows, 0), small)
    return Rows(Schema(tuple(columns), known.classes if known else None), packed, stacked), left_out, unseen


def _label_column(table: Any, name: str, where: str) -> np.ndarray:
    import pyarrow as pa

    column = table[name]
    if column.null_count:
        raise DataError(f"{where}: column '{name}' of labels has {column.null_count} empty cells; leave those rows out")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return np.asarray(column.to_pylist()) if pa.types.is_large_string(column.type) else column.to_numpy()


def _same_classes(labels: Tensor, classes: list[str], known: tuple[str, ...], where: str) -> tuple[Tensor, list[str]]:
    import torch

    place = {name: i for i, name in enumerate(known)}
    new = [name for name in classes if name not in place]
    if new:
        raise DataError(f"{where}: label '{new[0]}' was not there in training; known: {', '.join(known[:20])}")
    return torch.tensor([place[name] for name in classes])[labels], list(known)


def _folder(folder: Path, options: dict[str, Any]) -> tuple[Any, list[tuple[str, str]]]:
    """Tables with the same columns, one below the other, and those that cannot be read."""
    import pyarrow as pa

    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ending_of(path, TABLES))
    if not paths:
        raise DataError(f"the folder '{folder}' has no tables in it; they end in {', '.join(TABLES)}")
    parts: list[Any] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        try:
            table = _read(path, options)
            if parts and table.column_names != parts[0].column_names:
                raise DataError(f"its columns are not those of the first, {', '.join(parts[0].column_names[:20])}")
            parts.append(table)
        except DataError as error:
            skipped.append((str(path.relative_to(folder)), str(error)))
    if not parts:
        raise DataError(f"none of the {len(paths)} tables of '{folder}' can be read; the first: {skipped[0][1]}")
    try:
        return pa.concat_tables(parts, promote_options="permissive"), skipped
    except pa.ArrowException as error:
        raise DataError(f"the tables of '{folder}' hold different things: {' '.join(str(error).split())}") from None


def _of_array(x: Any, where: str) -> Any:
    import pyarrow as pa

    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else x
    if array.ndim != 2 or not all(array.shape):
        raise DataError(f"{where}: an array of rows is [N, D] with at least one of each, not {list(array.shape)}")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where}: an array of rows holds numbers, not {array.dtype}; give a data frame for the rest")
    return pa.table({str(i): np.ascontiguousarray(column) for i, column in enumerate(array.T)})


def _array_file(path: Path) -> tuple[Any, Any, Any]:
    """The table of an .npy or .npz file, its labels and its groups."""
    if not os.path.isfile(path):
        raise DataError(f"there is no file '{path}'")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _of_array(loaded, f"'{path}'"), None, None
        with loaded as archive:
            key = next((name for name in KEYS if name in archive), None)
            if key is None:
                raise DataError(f"'{path}' has no array named {', '.join(KEYS)}; it has {', '.join(archive.files)}")
            y, groups = (next((archive[n] for n in some if n in archive), None) for some in (LABELS, GROUPS))
            return _of_array(archive[key], f"'{path}'"), y, groups
    except DataError:
        raise
    except Exception as error:  # of numpy, zipfile and zlib
        raise DataError(f"cannot read '{path}': {array_problem(path, error)}") from None
