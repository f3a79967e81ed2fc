"""Time series from tables: which column is what, which rows are one series, and windows of long ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.data import Source
from tacit.errors import DataError
from tacit.modalities.columns import TABLES, check_columns, codes, is_time, numbers, read_table, times
from tacit.modalities.looking import ending_of, path_of
from tacit.modalities.series.gaps import whole
from tacit.modalities.series.stores import Mapped
from tacit.sources import Stored, Stretches, as_labels

WINDOW = 128
"""Time steps of a stretch of a table that is one long series."""
SPANS = 20
"""Parts of a single long series that are groups of their own."""
Cuttable = TypeVar("Cuttable", Stretches, Mapped)


@dataclass(frozen=True)
class Layout:
    """How series lie in their files; the fields are the options of :func:`tacit.modalities.series.open_source`."""

    window: int | None = None
    stride: int | None = None
    id: str | None = None
    time: str | None = None
    columns: tuple[str, ...] | None = None
    label: str | None = None
    group: str | None = None
    missing: str = "fill"
    delimiter: str | None = None

    def again(self) -> dict[str, Any]:
        """The options that open other data alike."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def cut(self, store: Cuttable, where: str) -> tuple[Cuttable, Tensor, Tensor]:
        """Stretches of ``window`` steps of each series, which series each is of, and which group: int64 ``[N]`` each.

        A group is a series or, where there is but one, a twentieth of it, so that what overlaps lies together.

        Raises:
            DataError: if no series is that long.
        """
        window = self.window or WINDOW
        stride = self.stride or max(1, window // 2)
        counts = torch.div(store.length - window, stride, rounding_mode="floor").clamp_min(-1) + 1
        if not int(counts.sum()):
            raise DataError(
                f"{where}: no series has the {window} time steps of a window (the longest has "
                f"{int(store.length.max())}); say --set data.window=N with a smaller N"
            )
        sample = torch.arange(len(counts)).repeat_interleave(counts)
        place = torch.arange(len(sample)) - (counts.cumsum(0) - counts)[sample]
        groups = sample if len(counts) > 1 else torch.arange(len(sample)) * SPANS // len(sample)
        return store.cut(sample, place * stride, torch.full_like(sample, window)), sample, groups


@dataclass(frozen=True)
class Read:
    """The rows of one table in order: values ``[C, T]`` with gaps, and columns of the other parts (or None)."""

    names: list[str]
    values: NDArray[np.float32]
    series: NDArray[np.int64]
    called: list[str]
    label: Any
    group: NDArray[np.int64] | None


def read(data: Any, layout: Layout) -> Read:
    """Read one table and put its rows in order of series and time."""
    table = read_table(data, layout.delimiter)
    path = path_of(data)
    where = f"'{path}'" if path is not None else "the table"
    parts = [name for name in (layout.id, layout.time, layout.label, layout.group) if name is not None]
    check_columns(table, where, [*parts, *(layout.columns or ())])
    dates = [name for name in table.column_names if is_time(table, name)]
    when = layout.time or next((name for name in dates if name not in parts), None)
    names = list(layout.columns or (n for n in table.column_names if n not in parts and n not in dates))
    if not names:
        raise DataError(f"{where} has no columns of numbers; it has {', '.join(table.column_names[:20])}")
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite then, and refused as that
        values = np.stack([numbers(table, name, where).astype(np.float32) for name in names])
    rows = table.num_rows
    series, called = codes(table, layout.id, where) if layout.id else (np.zeros(rows, np.int64), [""])
    order = np.lexsort((times(table, when, where) if when else np.arange(rows), series))
    label = table[layout.label].to_numpy() if layout.label else None
    group = codes(table, layout.group, where)[0] if layout.group else None
    return Read(
        names, values[:, order], series[order], called, None if label is None else label[order],
        None if group is None else group[order],
    )  # fmt: skip


def open_table(data: Any, layout: Layout) -> Source:
    """A source from one table."""
    path = path_of(data)
    where = f"'{path}'" if path is not None else "the table"
    found = read(data, layout)
    counts = np.bincount(found.series, minlength=len(found.called))
    ends = counts.cumsum()
    pieces = [
        whole(found.values[:, end - count : end], layout.missing, where, found.names)
        for end, count in zip(ends, counts, strict=True)
    ]
    flat = np.concatenate([_channels(v, m, layout) for v, m in pieces], axis=1)
    length = torch.from_numpy(counts)
    store = Stretches(torch.from_numpy(flat), length.cumsum(0) - length, length)
    sample, groups = torch.arange(len(counts)), None
    if layout.id is None or layout.window is not None:
        store, sample, groups = layout.cut(store, where)
    labels, classes = _labels(found.label, store, where)
    names = [found.called[i] for i in sample.tolist()] if layout.id else None
    if names is not None and len(names) > len(found.called):
        names = [f"{name}:{start}" for name, start in zip(names, store.start.tolist(), strict=True)]
    if found.group is not None:
        groups = torch.from_numpy(found.group)[store.start]
    facts = {"kind": "table", "path": str(path) if path is not None else None}
    reading = layout.again() | {"columns": tuple(found.names)}
    return Stored(
        "series", store, facts | {"channels": len(flat), "columns": found.names, "reading": reading},
        names=names, labels=labels, classes=classes, groups=groups,
    )  # fmt: skip


def open_folder(folder: Path, layout: Layout) -> Source:
    """A source from a folder of tables, one series each; class folders become labels."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ending_of(path, TABLES))
    if not paths:
        raise DataError(f"the folder '{folder}' has no tables in it; time series end in {', '.join(TABLES)}")
    series: list[np.ndarray] = []
    kept: list[str] = []
    columns: list[str] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        name = str(path.relative_to(folder))
        try:
            found = read(path, layout)
            if columns and found.names != columns:
                raise DataError(
                    f"its columns are {', '.join(found.names)}, and those of the others {', '.join(columns)}"
                )
            series.append(_channels(*whole(found.values, layout.missing, f"'{path}'", found.names), layout))
        except DataError as error:
            skipped.append((name, str(error)))
            continue
        columns = found.names
        kept.append(name)
    if not series:
        raise DataError(f"none of the {len(paths)} tables of '{folder}' can be read; the first: {skipped[0][1]}")
    store = Stretches.of([torch.from_numpy(values) for values in series])
    sample, groups = torch.arange(len(kept)), None
    if layout.window is not None:
        store, sample, groups = layout.cut(store, f"'{folder}'")
    parents = [name.replace("\\", "/").rpartition("/")[0].rpartition("/")[2] for name in kept]
    labels, classes = as_labels(parents, len(kept), f"'{folder}'") if len(set(parents)) > 1 else (None, None)
    names = [kept[i] for i in sample.tolist()]
    reading = layout.again() | {"columns": tuple(columns)}
    return Stored(
        "series", store,
        {"kind": "folder", "path": str(folder), "channels": len(series[0]), "columns": columns, "reading": reading},
        names=names, labels=None if labels is None else labels[sample], classes=classes, skipped=skipped,
        groups=groups, named_by="path",
    )  # fmt: skip


def _channels(values: np.ndarray, measured: np.ndarray, layout: Layout) -> np.ndarray:
    return np.concatenate([values, measured]) if layout.missing == "mask" else values


def _labels(column: Any, store: Stretches, where: str) -> tuple[Tensor | None, list[str] | None]:
    """One label a stretch: what most of its rows have, or the mean of numbers with a fraction."""
    if column is None:
        return None, None
    rows, classes = as_labels(column, len(column), f"{where}, column of labels")
    made = []
    for start, length in zip(store.start.tolist(), store.length.tolist(), strict=True):
        part = rows[start : start + length]
        made.append(part.mean(0) if part.is_floating_point() else part.mode().values)
    return torch.stack(made), classes
