"""Which column of a log is what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.errors import DataError

IDS = (
    "entity", "entity_id", "user", "user_id", "client", "client_id", "customer", "customer_id", "account",
    "account_id", "card", "card_id", "patient", "patient_id", "session", "session_id", "id",
)  # fmt: skip
TIMES = ("time", "timestamp", "datetime", "date", "event_time", "ts", "day")
LABELS = ("label", "target", "class", "y")
"""Names by which columns are found that nobody named, in order of preference."""
FEW = 256
"""Different whole numbers in a column up to which they are taken for codes."""


@dataclass(frozen=True)
class Columns:
    """The parts of a log.

    Attributes:
        id, time: of every event.
        label, group: of an entity, the same in all its rows, or None.
        categories, numbers: the fields of an event, those with a value out of a list and those that are measured.
        dates: whether times are dates; they then count in days.
    """

    id: str
    time: str
    label: str | None
    group: str | None
    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    dates: bool

    def all(self) -> list[str]:
        """Every column that is read, once."""
        parts = [self.id, self.time, self.label, self.group, *self.categories, *self.numbers]
        return list(dict.fromkeys(name for name in parts if name is not None))


def settle_columns(
    schema: Any,
    first: Any,
    where: str,
    *,
    id: str | None,
    time: str | None,
    label: str | None,
    group: str | None,
    categories: Sequence[str] | None,
    numbers: Sequence[str] | None,
    drop: Sequence[str],
    lenient: bool,
) -> Columns:
    """Find out what every column is.

    Args:
        schema: ``pyarrow.Schema`` of the log.
        first: a record batch of its first rows, with all columns.
        where: what an error calls the log.
        categories, numbers: fields that the user named; where either is given, no other column is taken for one of
            that sort, and where both are, there are no other fields.
        drop: columns that are nothing.
        lenient: whether labels and groups may be missing although they are named.

    Raises:
        DataError: for a column that is not there or is of a type that does not fit, naming it.
    """
    import pyarrow as pa

    names = list(schema.names)
    for name in (id, time, *(() if lenient else (label, group)), *(categories or ()), *(numbers or ()), *drop):
        if name is not None and name not in names:
            raise DataError(f"{where} has no column '{name}'; it has {', '.join(names[:20])}")
    label, group = (name if name in names else None for name in (label, group))
    who = id or _called(names, IDS)
    if who is None:
        raise DataError(f"{where}: cannot tell whose events these are; say --set data.id=COLUMN ({', '.join(names)})")
    temporal = [name for name in names if pa.types.is_temporal(schema.field(name).type)]
    free = [name for name in names if name not in (who, label, group, *drop)]
    when = time or next((name for name in temporal if name in free), None) or _called(free, TIMES)
    if when is None:
        raise DataError(f"{where}: cannot tell when events took place; say --set data.time=COLUMN ({', '.join(names)})")
    if label is None and not lenient:
        label = _called([name for name in free if name not in (when, *(categories or ()), *(numbers or ()))], LABELS)
    if when == who or label in (who, when):
        raise DataError(f"{where}: column '{when if when == who else label}' cannot be two things; name others")
    fields = [name for name in names if name not in (who, when, label, group, *drop)]
    codes, values = [], []
    for name in fields:
        kind = schema.field(name).type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise DataError(
                f"{where}: column '{name}' is not UTF-8 text; save it in that encoding, or leave it out with "
                "--set data.drop"
            )
        named = name in (categories or ()) or name in (numbers or ())
        if name in (categories or ()) or (categories is None and not named and _is_code(kind, first.column(name))):
            codes.append(name)
        elif name in (numbers or ()) or (numbers is None and not named and _is_number(kind)):
            values.append(name)
    for name in values:
        if not _is_number(schema.field(name).type):
            raise DataError(f"{where}: column '{name}' is not numeric (it holds {schema.field(name).type})")
    dates = when in temporal
    if not dates and not _is_number(schema.field(when).type):
        raise DataError(
            f"{where}: column '{when}' should hold dates or numbers, and holds {schema.field(when).type}; "
            "name another with --set data.time=COLUMN"
        )
    order = categories if categories is not None else codes
    return Columns(who, when, label, group, tuple(order), tuple(numbers if numbers is not None else values), dates)


def _called(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in wanted if name in lower), None)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _is_code(kind: Any, column: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return True
    if pa.types.is_boolean(kind):
        return True
    if not pa.types.is_integer(kind):
        return False
    different = len(np.unique(column.drop_null().to_numpy(zero_copy_only=False)))
    return different <= FEW and different * 4 <= len(column)
