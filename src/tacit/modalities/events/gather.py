"""Putting the rows of a log in order of entity and time, whatever order they come in and however many they are."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import DataError

PARTS = 64
"""Parts that rows are put in order by, one after the other."""
IN_MEMORY = 256 << 20
"""Bytes up to which rows are kept in memory rather than in a file."""
MANY = 1_000_000
"""Values of a field with which it is none any more."""
UNKNOWN = 1
"""The code of values that are missing or were not seen in training; 0 is padding."""


class Values:
    """Numbers for the values of a column, given out as they come.

    Args:
        most: so many different ones at most; None: no limit.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.code: dict[str, int] = {}
        self.counts = np.zeros(0, np.int64)

    def encode(self, column: Any, where: str) -> NDArray[np.int64]:
        """A column's values as numbers from 0, in order of first appearance; -1 where a cell is empty.

        Raises:
            DataError: for more different values than there may be.
        """
        import pyarrow as pa

        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        own = np.array(
            [-1 if v is None else self.code.setdefault(str(v), len(self.code)) for v in encoded.dictionary.to_pylist()]
            + [-1],
            np.int64,
        )
        if self.most is not None and len(self.code) > self.most:
            raise DataError(
                f"{where} has more than {self.most:,} different values, too many for a field; leave it out with "
                "--set data.drop"
            )
        at = encoded.indices.fill_null(len(own) - 1).to_numpy(zero_copy_only=False)
        found = own[at]
        self.counts = np.pad(self.counts, (0, len(self.code) - len(self.counts)))
        self.counts += np.bincount(found[found >= 0], minlength=len(self.code))
        return found

    def names(self) -> list[str]:
        """The values, in order of their numbers."""
        return list(self.code)

    def frequent(self, most: int) -> list[str]:
        """The most frequent values, those that are equally frequent in order of first appearance."""
        names = self.names()
        return [names[i] for i in (-self.counts).argsort(kind="stable")[:most]]

    def codes(self, kept: list[str]) -> NDArray[np.float32]:
        """For each value's number its code: 2 and on for those that are kept, in order, else :data:`UNKNOWN`. What
        comes last, and so for number -1, is the code of an empty cell."""
        place = {name: i + 2 for i, name in enumerate(kept)}
        return np.array([*(place.get(name, UNKNOWN) for name in self.code), UNKNOWN], np.float32)


class OfEntity:
    """What is the same in all rows of an entity: a label or a group.

    Args:
        where: what an error calls the column.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.value = np.full(0, np.nan)

    def add(self, entity: NDArray[np.int64], value: NDArray[np.float64], entities: Values) -> None:
        """Take over the values of some rows.

        Raises:
            DataError: if an entity has two.
        """
        if len(self.value) < len(entities.code):
            grown = np.full(max(len(entities.code), 2 * len(self.value)), np.nan)
            grown[: len(self.value)] = self.value
            self.value = grown
        which, first = np.unique(entity, return_index=True)
        new = np.isnan(self.value[which])
        self.value[which[new]] = value[first[new]]
        other = self.value[entity] != value
        if other.any():
            at = int(other.argmax())
            raise DataError(
                f"{self.where} changes within entity '{entities.names()[entity[at]]}'; it must be one an entity"
            )

    def values(self, count: int) -> NDArray[np.float64]:
        """One value an entity."""
        return self.value[:count]


class Gather:
    """Rows of all entities, mixed, on their way to being rows of one entity after the other in order of time.

    Rows are split by entity into :data:`PARTS` files, of which each is then sorted for itself. Memory is needed for one
    part at a time, so that a log of any size can be read as long as no entity has a large share of it.

    Args:
        fields: numbers of an event, F.
        folder: where files are put if the rows do not fit into memory. They have no names and go when the source goes.
    """

    def __init__(self, fields: int, folder: Path) -> None:
        self.type = np.dtype([("entity", "<i4"), ("time", "<f8"), ("fields", "<f4", (fields,))])
        self.fields, self.folder, self.rows = fields, folder, 0
        _there(folder)
        # closed once they are read
        self._parts = [
            tempfile.SpooledTemporaryFile(IN_MEMORY // PARTS, dir=str(folder))  # noqa: SIM115
            for _ in range(PARTS)
        ]

    def add(self, entity: NDArray[np.int64], time: NDArray[np.float64], fields: NDArray[np.float32]) -> None:
        """Take over rows: ``[R]``, ``[R]`` and ``[R, F]``."""
        rows = np.empty(len(entity), self.type)
        rows["entity"], rows["time"], rows["fields"] = entity, time, fields
        part = entity % PARTS
        order = part.argsort(kind="stable")
        ends = np.bincount(part, minlength=PARTS).cumsum()
        rows = rows[order]
        for file, piece in zip(self._parts, np.split(rows, ends[:-1]), strict=True):
            if len(piece):
                file.write(piece.tobytes())
        self.rows += len(rows)

    def finish(self, entities: int, final: list[NDArray[np.float32] | None]) -> Events:
        """All rows in order.

        Args:
            entities: how many there are, N.
            final: for each field what its numbers are replaced by (of a value's provisional number the final code), or
                None.
        """
        time, fields = (
            _room((self.rows,), np.float64, self.folder),
            _room((self.rows, self.fields), np.float32, self.folder),
        )
        start, length = np.zeros(entities, np.int64), np.zeros(entities, np.int64)
        done = 0
        for number, file in enumerate(self._parts):
            file.seek(0)
            rows = np.frombuffer(file.read(), self.type)
            file.close()
            rows = rows[np.lexsort((rows["time"], rows["entity"]))]
            counts = np.bincount(rows["entity"] // PARTS, minlength=-(-(entities - number) // PARTS))
            length[number::PARTS] = counts
            start[number::PARTS] = done + counts.cumsum() - counts
            here = slice(done, done + len(rows))
            time[here] = rows["time"]
            for i, codes in enumerate(final):
                column = rows["fields"][:, i]
                fields[here, i] = column if codes is None else codes[column.astype(np.int64)]
            done += len(rows)
        return Events(time, fields, start, length)


class Events:
    """Events in order of entity and time.

    Attributes:
        time: float64 ``[R]``.
        fields: float32 ``[R, F]``.
        start, length: where each entity's events begin and how many they are, int64 ``[N]``.
    """

    def __init__(
        self,
        time: NDArray[np.float64],
        fields: NDArray[np.float32],
        start: NDArray[np.int64],
        length: NDArray[np.int64],
    ) -> None:
        self.time, self.fields, self.start, self.length = time, fields, start, length


class Histories:
    """Each entity's latest events as a sample (:class:`tacit.sources.Store`).

    ``x`` is ``[B, 1 + F + 2 P, T]``: time since the entity's first event, in days where times are dates; the fields;
    the sine and cosine of each period.

    Args:
        events: of all entities.
        most: events of a sample; of a longer history the latest.
        periods: in days, or in the unit of times that are numbers.
    """

    def __init__(self, events: Events, most: int, periods: tuple[float, ...]) -> None:
        self.events, self.periods = events, periods
        skip = np.maximum(events.length - most, 0)
        self.start = events.start + skip
        self.length: Tensor = torch.from_numpy(events.length - skip)
        self.ragged = bool(len(self.length)) and int(self.length.min()) < int(self.length.max())

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Tensor) -> dict[str, Any]:
        rows, length = index.numpy(), self.length[index]
        along = np.arange(int(length.max()))
        real = along < length.numpy()[:, None]
        at = np.where(real, self.start[rows][:, None] + along, self.start[rows][:, None])
        time = np.asarray(self.events.time[at])
        since = time - self.events.time[self.events.start[rows]][:, None]
        phases = [2 * np.pi * (time / period % 1) for period in self.periods]
        x = np.concatenate(
            [since[:, None], np.asarray(self.events.fields[at]).transpose(0, 2, 1)]
            + [wave(phase)[:, None] for phase in phases for wave in (np.sin, np.cos)],
            axis=1,
        )
        made = {"x": torch.from_numpy(np.where(real[:, None], x, 0).astype(np.float32))}
        return made | {"length": length} if self.ragged else made


def _there(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write to '{folder}': {error.strerror}; name another folder as `cache`") from None
    return folder


def _room(shape: tuple[int, ...], kind: Any, folder: Path) -> Any:
    """An array to fill: in memory, or in a file without a name if it is large."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    if size <= IN_MEMORY or not size:
        return np.empty(shape, kind)
    try:
        with tempfile.TemporaryFile(dir=_there(folder)) as file:
            file.truncate(size)
            return np.memmap(file, kind, "r+", shape=shape)
    except OSError as error:
        raise DataError(
            f"events of {size / 2**30:.2f} GiB do not fit in '{folder}': {error.strerror}; name another folder as "
            "`cache`"
        ) from None
