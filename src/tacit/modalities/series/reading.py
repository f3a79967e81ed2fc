"""Reading time series: tables, folders of tables, arrays and lists become one kind of source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.caches import HELD
from tacit.modalities.columns import TABLES, is_frame
from tacit.modalities.looking import ARRAYS, KEYS, Claim, array_problem, ending_of, path_of, shape_of, shown
from tacit.modalities.series.gaps import MISSING, whole
from tacit.modalities.series.stores import Mapped, mappable
from tacit.modalities.series.tables import Layout, open_folder, open_table
from tacit.sources import Stored, Stretches, as_labels, unpacked

ENDINGS: tuple[str, ...] = ()
"""None of its own: a table may hold anything."""


def recognises(data: Any) -> Claim:
    """Tables, lists of arrays ``[C, T]`` and arrays ``[N, C, T]`` may be time series; each has another reading too."""
    path = path_of(data)
    if path is not None and ending_of(path, TABLES):
        return Claim.PERHAPS
    if is_frame(data):
        return Claim.PERHAPS
    shape = shape_of(data)
    if shape is not None:
        return Claim.PERHAPS if len(shape) == 3 else Claim.NO
    x, _, _ = unpacked(data)
    items = isinstance(x, (list, tuple)) and bool(x) and all(isinstance(i, (np.ndarray, Tensor)) for i in x[:10])
    return Claim.PERHAPS if items and all(item.ndim in (1, 2) for item in x[:10]) else Claim.NO


def open_source(
    data: Any,
    *,
    window: int | None = None,
    stride: int | None = None,
    id: str | None = None,
    time: str | None = None,
    columns: tuple[str, ...] | str | None = None,
    label: str | None = None,
    group: str | None = None,
    missing: str = "fill",
    delimiter: str | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open time series.

    Args:
        data: a ``.csv``, ``.tsv`` or ``.parquet`` table, or one of pandas, polars or PyArrow, with a row a time step
            and a column a channel; a folder of such files, one series each (class folders become labels); an array
            ``[N, C, T]`` or ``[N, T]``, also from an .npy or .npz file; a list of arrays ``[C, T_i]`` or ``[T_i]``; a
            tuple of an array or a list and its labels (and, as a third part, its groups).
        window: length of the stretches that long series are cut into, in time steps. A table without ``id`` is cut into
            stretches of 128 by default, everything else is left whole.
        stride: steps from one stretch to the next; half a window by default.
        id: the column that says which series a row belongs to, in a table of many.
        time: the column to order rows by; by default a column of dates, if there is one.
        columns: the channels; by default every column that has no other part.
        label, group: columns of labels and of groups. Of a stretch counts what most of its rows have; numbers with a
            fraction are averaged.
        missing: what becomes of empty cells and NaN: ``fill``: the last value before it (or the first after it);
            ``mask``: the same, and channels that say where something was measured; ``refuse``.
        delimiter: between the columns of a text file.
        progress, once: as for every reader; nothing here takes long.

    Raises:
        DataError: for data that cannot be read; it names the file and the column.
        OptionError: for an impossible value of an option.
    """
    if missing not in MISSING:
        raise OptionError(f"missing must be one of {', '.join(MISSING)}, not '{missing}'")
    for name, value in (("window", window), ("stride", stride)):
        if value is not None and value < 1:
            raise OptionError(f"{name} must be a positive number of time steps, not {value}")
    names = (columns,) if isinstance(columns, str) else columns
    layout = Layout(window, stride, id, time, names, label, group, missing, delimiter)
    path = path_of(data)
    if path is not None and path.is_dir():
        return open_folder(path, layout)
    if is_frame(data) or (path is not None and ending_of(path, TABLES)):
        return open_table(data, layout)
    for name in ("id", "time", "columns", "label", "group", "delimiter"):
        if getattr(layout, name) is not None:
            raise OptionError(f"{name} is for tables with named columns, which {shown(data)} is not")
    if path is not None:
        return _array_file(path, layout)
    x, y, groups = unpacked(data)
    return _arrays(x, y, groups, {"kind": "array"}, shown(x), layout)


def _array_file(path: Path, layout: Layout) -> Source:
    if path.suffix.lower() not in ARRAYS or not os.path.isfile(path):
        raise DataError(
            f"cannot read time series from '{path}'; give a table ({', '.join(TABLES)}), an .npy or an .npz"
        )
    facts = {"kind": "array", "path": str(path)}
    try:
        long = path.suffix.lower() == ".npy" and os.path.getsize(path) > HELD
        loaded = np.load(path, mmap_mode="c" if long else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if long and layout.missing != "mask" and mappable(loaded):
                return _mapped(loaded, facts, f"'{path}'", layout)
            return _arrays(loaded, None, None, facts, f"'{path}'", layout)
        with loaded as archive:
            key = next((name for name in KEYS if name in archive), None)
            if key is None:
                raise DataError(
                    f"'{path}' has no array named {', '.join(KEYS[:-1])}; it has {', '.join(archive.files)}"
                )
            y, groups = (next((archive[n] for n in some if n in archive), None) for some in (LABELS, GROUPS))
            return _arrays(archive[key], y, groups, facts, f"'{path}'", layout)
    except DataError:
        raise
    except Exception as error:  # of numpy, zipfile and zlib
        raise DataError(f"cannot read '{path}': {array_problem(path, error)}") from None


LABELS = ("y", "labels", "targets")
GROUPS = ("group", "groups")


def _mapped(x: np.ndarray, facts: dict[str, Any], where: str, layout: Layout) -> Source:
    """A source of series that stay in their file; nothing of them is missing."""
    store, group = Mapped(x if x.ndim == 3 else x[:, None]), None
    channels = store.channels
    if layout.window is not None:
        store, _, group = layout.cut(store, where)
    return Stored("series", store, facts | {"channels": channels, "reading": layout.again()}, groups=group)


def _arrays(x: Any, y: Any, groups: Any, facts: dict[str, Any], where: str, layout: Layout) -> Source:
    items = _items(x, where)
    labels, classes = as_labels(y, len(items), where) if y is not None else (None, None)
    group = as_labels(groups, len(items), f"groups of {where}")[0] if groups is not None else None
    for i, item in enumerate(items):
        values, measured = whole(item, layout.missing, f"{where}, series {i}")
        items[i] = np.concatenate([values, measured]) if layout.missing == "mask" else values
    store = Stretches.of([torch.from_numpy(item) for item in items])
    sample = torch.arange(len(items))
    if layout.window is not None:
        store, sample, spans = layout.cut(store, where)
        group = spans if group is None else group[sample]
    return Stored(
        "series", store, facts | {"channels": store.flat.shape[0], "reading": layout.again()},
        labels=None if labels is None else labels[sample], classes=classes,
        groups=group,
    )  # fmt: skip


def _items(x: Any, where: str) -> list[np.ndarray]:
    """Series ``[C, T]`` as float32 arrays, with the same channels."""
    items: Sequence[Any]
    if isinstance(x, (np.ndarray, Tensor)):
        if x.ndim not in (2, 3):
            raise DataError(f"{where}: an array of time series is [N, C, T] or [N, T], not of shape {list(x.shape)}")
        items = list(x)
    elif isinstance(x, (list, tuple)):
        items = x
    else:
        raise DataError(f"cannot read time series from {where}; give a table, an array [N, C, T] or a list of arrays")
    if not items:
        raise DataError(f"{where} has no series in it")
    made: list[np.ndarray] = []
    for i, item in enumerate(items):
        array = item.detach().cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
        array = array[None] if array.ndim == 1 else array
        if array.dtype.kind not in "fiub" or array.ndim != 2:
            raise DataError(f"{where}, series {i}: it should be numbers [C, T], not {array.dtype} {list(array.shape)}")
        if not array.shape[1]:
            raise DataError(f"{where}, series {i} is empty")
        if made and array.shape[0] != made[0].shape[0]:
            raise DataError(f"{where}, series {i} has {array.shape[0]} channels, and those before {made[0].shape[0]}")
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite then, and refused as that
            made.append(array.astype(np.float32))
    return made
