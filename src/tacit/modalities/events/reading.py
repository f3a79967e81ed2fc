"""Reading logs of events: tables with a row an event, of any size, in any order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.console import Bar
from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.columns import TABLES, Rows, is_frame, numbers, stream_table, times
from tacit.modalities.events.gather import MANY, Gather, Histories, OfEntity, Values
from tacit.modalities.events.layout import Columns, settle_columns
from tacit.modalities.events.source import Log
from tacit.modalities.looking import Claim, ending_of, path_of, shown
from tacit.sources import as_labels

ENDINGS: tuple[str, ...] = ()
"""None of its own: a table may hold anything."""
DAY = 86400.0


def recognises(data: Any) -> Claim:
    """A table may be a log of events."""
    path = path_of(data)
    found = is_frame(data) or (path is not None and ending_of(path, TABLES) is not None)
    return Claim.PERHAPS if found else Claim.NO


def open_source(
    data: Any,
    *,
    id: str | None = None,
    time: str | None = None,
    categories: tuple[str, ...] | str | None = None,
    numbers: tuple[str, ...] | str | None = None,
    drop: tuple[str, ...] | str = (),
    label: str | None = None,
    group: str | None = None,
    periods: tuple[float, ...] | None = None,
    most: int = 1024,
    values: int = 10_000,
    vocabulary: dict[str, list[str]] | None = None,
    delimiter: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open a log of events. It is read once, a part at a time, and may be larger than memory.

    Args:
        data: a ``.csv``, ``.tsv`` or ``.parquet`` file with a row an event, a table of pandas, polars or PyArrow, or a
            folder of such files that are parts of one log. Rows may come in any order; they are put in order of time,
            those of one time stay in theirs.
        id: the column that says whose event it is; by default one called ``entity``, ``user_id``, ``client_id`` or the
            like.
        time: the column of times, dates or numbers; by default the first with dates, or one called ``time`` or the
            like.
        categories, numbers: the fields of an event. By default text, booleans and whole numbers of few different values
            have a list of values (categories), other numbers are measured; further dates and lists are left out.
        drop: columns that are no fields. One that hardly changes within an entity (a device, a town) makes telling
            entities apart too easy to learn anything: drop it.
        label, group: columns with a label and a group of the entity, the same in all its rows; by default the label is
            a column called ``label`` or ``target``. They are no fields.
        periods: clocks that an event is told by, as sine and cosine, in days (in the unit of times where these are
            numbers): a day and a week by default for dates.
        most: of an entity with more events the latest are read.
        values: of a field with more values the most frequent have codes, and the others are as unseen ones.
        vocabulary: the values that have codes by field; by default those of this log. With it labels may be missing.
        delimiter: between the columns of a text file.
        cache: folder for rows that do not fit into 256 MB; by default ``$TACIT_CACHE`` or ``~/.cache/tacit``.
        progress: whether to show a bar.
        once: as for every reader; nothing here is kept.

    Raises:
        DataError: for data that cannot be read; it names the file and the column.
        OptionError: for an impossible value of an option.
    """
    for name, value in (("most", most), ("values", values)):
        if value < 1:
            raise OptionError(f"{name} must be at least 1, not {value}")
    if periods is not None and not all(0 < period < np.inf for period in periods):
        raise OptionError(f"periods must be positive numbers, not {periods!r}")
    folder = Path(cache or os.environ.get("TACIT_CACHE") or Path.home() / ".cache" / "tacit").expanduser()
    tables = _Tables(data, delimiter)
    columns = settle_columns(
        tables.schema, tables.first(), tables.where, id=id, time=time, label=label, group=group,
        categories=_several(categories), numbers=_several(numbers), drop=_several(drop) or (),
        lenient=vocabulary is not None,
    )  # fmt: skip
    read = _Reading(columns, folder)
    with Bar("reading events", quiet=not progress) as bar:
        for batch, where in tables.all(columns.all()):
            read.add(batch, where)
            bar.at(read.gather.rows)
    if periods is None:
        periods = (1.0, 7.0) if columns.dates else ()
    kept = [
        vocabulary[name] if vocabulary is not None and name in vocabulary else found.frequent(values)
        for name, found in zip(columns.categories, read.values, strict=True)
    ]
    codes = [found.codes(words) for found, words in zip(read.values, kept, strict=True)]
    count = len(read.entities.code)
    events = read.gather.finish(count, [*codes, *[None] * len(columns.numbers)])
    labels, classes = read.labels(count)
    called = {"id": columns.id, "time": columns.time, "label": columns.label, "group": columns.group, "most": most}
    again: dict[str, Any] = {name: value for name, value in (called | {"delimiter": delimiter}).items() if value}
    facts = {
        "kind": "log", "path": str(tables.path) if tables.path is not None else None, "events": read.gather.rows,
        "columns": {**{n: v for n, v in called.items() if v}, "fields": [*columns.categories, *columns.numbers]},
    }  # fmt: skip
    return Log(
        Histories(events, most, tuple(map(float, periods))), columns, kept, tuple(read.missing.tolist()), again, facts,
        names=read.entities.names(), labels=labels, classes=classes, groups=read.groups(count), skipped=tables.skipped,
    )  # fmt: skip


def _several(names: tuple[str, ...] | str | None) -> tuple[str, ...] | None:
    return (names,) if isinstance(names, str) else names


class _Tables:
    """One or more tables that are parts of one log.

    Raises:
        DataError: if none can be read.
    """

    def __init__(self, data: Any, delimiter: str | None) -> None:
        self.path = path_of(data)
        self.skipped: list[tuple[str, str]] = []
        self.parts: list[tuple[str, Rows]] = []
        if self.path is not None and self.path.is_dir():
            self._open_folder(self.path, delimiter)
            return
        if not is_frame(data) and (self.path is None or (self.path.is_file() and not ending_of(self.path, TABLES))):
            raise DataError(f"cannot read events from {shown(data)}; give a table ({', '.join(TABLES)}) or a folder")
        self.where = f"'{self.path}'" if self.path is not None else "the table"
        self.schema, rows = stream_table(data, delimiter)
        self.parts.append((self.where, rows))

    def _open_folder(self, folder: Path, delimiter: str | None) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and ending_of(path, TABLES))
        if not paths:
            raise DataError(f"the folder '{folder}' has no tables in it; logs of events end in {', '.join(TABLES)}")
        self.where = f"'{folder}'"
        for path in paths:
            name = str(path.relative_to(folder))
            try:
                schema, rows = stream_table(path, delimiter)
                if self.parts and set(schema.names) != set(self.schema.names):
                    raise DataError(
                        f"its columns are {', '.join(schema.names)}, and those of the others "
                        f"{', '.join(self.schema.names)}"
                    )
            except DataError as error:
                self.skipped.append((name, str(error)))
                continue
            if not self.parts:
                self.schema = schema
            self.parts.append((f"'{path}'", rows))
        if not self.parts:
            raise DataError(
                f"none of the {len(paths)} tables of '{folder}' can be read; the first: {self.skipped[0][1]}"
            )

    def first(self) -> Any:
        """The first rows, with all columns."""
        batch = next((batch for batch, _ in self.all(self.schema.names)), None)
        if batch is None:
            raise DataError(f"{self.where} has no rows")
        return batch

    def all(self, columns: list[str]) -> Iterator[tuple[Any, str]]:
        """All rows with what an error calls their table."""
        for where, rows in self.parts:
            for batch in rows(columns):
                if batch.num_rows:
                    yield batch, where


class _Reading:
    """What is known of a log while its rows go by."""

    def __init__(self, columns: Columns, folder: Path) -> None:
        self.columns = columns
        self.entities = Values()
        self.values = [Values(MANY) for _ in columns.categories]
        self.missing = np.zeros(len(columns.numbers), bool)
        self.gather = Gather(len(columns.categories) + len(columns.numbers), folder)
        self.kinds: dict[str, Values | None] = {}
        self.of_entity: dict[str, OfEntity] = {}

    def add(self, batch: Any, where: str) -> None:
        """Take over some rows."""
        import pyarrow as pa

        table = pa.Table.from_batches([batch])
        who = self._whole(table, self.columns.id, where)
        entity = self.entities.encode(who, f"{where}: column '{self.columns.id}'")
        if self.columns.dates and not pa.types.is_temporal(table.schema.field(self.columns.time).type):
            raise DataError(f"{where}: column '{self.columns.time}' holds no dates, and that of the first table does")
        time = times(table, self.columns.time, where) / (DAY if self.columns.dates else 1.0)
        if np.isnan(time).any():
            raise DataError(
                f"{where}: column '{self.columns.time}' has no time in row {int(np.isnan(time).argmax()) + 1}"
            )
        fields: list[NDArray[Any]] = [
            found.encode(table[name].combine_chunks(), f"{where}: column '{name}'")
            for name, found in zip(self.columns.categories, self.values, strict=True)
        ]
        measured = [_measured(table, name, where) for name in self.columns.numbers]
        self.missing |= np.array([np.isnan(column).any() for column in measured], bool)
        fields += measured
        for name in (self.columns.label, self.columns.group):
            if name is not None:
                self._of_entity(table, name, where, entity)
        rows = np.stack(fields, 1) if fields else np.zeros((len(entity), 0))
        self.gather.add(entity, time, rows.astype(np.float32))

    def _whole(self, table: Any, name: str, where: str) -> Any:
        column = table[name].combine_chunks()
        if column.null_count:
            at = next(i for i, value in enumerate(column) if not value.is_valid)
            raise DataError(f"{where}: column '{name}' is empty in row {at + 1}, and every row needs one")
        return column

    def _of_entity(self, table: Any, name: str, where: str, entity: NDArray[np.int64]) -> None:
        import pyarrow as pa

        column = self._whole(table, name, where)
        fraction = pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
        kind = self.kinds.setdefault(name, None if fraction and name == self.columns.label else Values())
        found = numbers(table, name, where) if kind is None else kind.encode(column, f"{where}: column '{name}'")
        if np.isnan(found).any():
            raise DataError(f"{where}: column '{name}' holds NaN, and every row needs a value")
        kept = self.of_entity.setdefault(name, OfEntity(f"{where}: column '{name}'"))
        kept.add(entity, found.astype(np.float64), self.entities)

    def labels(self, count: int) -> tuple[Tensor | None, list[str] | None]:
        """Labels of the entities: classes by name, whole numbers as they are, or numbers."""
        name = self.columns.label
        if name is None:
            return None, None
        found, kind = self.of_entity[name].values(count), self.kinds[name]
        if kind is None:
            return torch.from_numpy(found.astype(np.float32)), None
        words = np.array(kind.names())[found.astype(np.int64)]
        whole = all(word.lstrip("-").isdigit() for word in kind.names())
        return as_labels(words.astype(np.int64) if whole else words, count, f"column '{name}'")

    def groups(self, count: int) -> Tensor | None:
        """Groups of the entities."""
        name = self.columns.group
        return None if name is None else torch.from_numpy(self.of_entity[name].values(count).astype(np.int64))


def _measured(table: Any, name: str, where: str) -> NDArray[np.float64]:
    import pyarrow as pa

    if pa.types.is_null(table.schema.field(name).type):
        return np.full(table.num_rows, np.nan)
    return numbers(table, name, where)
