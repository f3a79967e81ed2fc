"""One column of a table at a time: what it is, its statistics, and its cells as small numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.errors import DataError
from tacit.modalities.columns import numbers
from tacit.modalities.table.schema import OTHER, Column

CYCLES = {"year": 365.2425, "week": 7.0, "day": 1.0}
"""Lengths in days of what a date is looked at modulo."""
STRAY = 0.9
"""Share of a text column's cells that are numbers, from which on the others are taken for mistakes."""


@dataclass(frozen=True)
class Found:
    """A column with its cells.

    Attributes:
        column: None where it says nothing; ``why`` tells.
        numbers: float32 ``[rows, parts]``, standard scores with NaN where missing, of a number or a date.
        codes: int32 ``[rows]``, of a category.
        unseen: how many cells hold a value that the schema does not have.
    """

    column: Column | None
    numbers: np.ndarray | None = None
    codes: np.ndarray | None = None
    unseen: int = 0
    why: str = ""


def sort_of(table: Any, name: str, where: str, categorical: Sequence[str]) -> str | None:
    """``number``, ``category`` or ``date``; None for a column with nothing in it.

    Raises:
        DataError: for a column of lists, structures or bytes, naming it.
    """
    import pyarrow as pa

    kind = table.schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type if name not in categorical else pa.string()
        if not pa.types.is_null(kind):
            return "category"  # whoever made it one meant it
    if pa.types.is_null(kind):
        return None
    if name in categorical or pa.types.is_boolean(kind):
        return "category"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "category"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "date"
    counted = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if counted or pa.types.is_time(kind) or pa.types.is_duration(kind):
        return "number"
    raise DataError(
        f"{where}: column '{name}' holds {kind}, which is no number, text, boolean or date; say --set "
        f"data.leave_out={name}"
    )


def number(table: Any, name: str, where: str, known: Column | None) -> Found:
    """A column of numbers, times of day or durations (both in seconds)."""
    values = _numbers(table, name, where)
    real = ~np.isnan(values)
    if known is None:
        if not real.any():
            return Found(None, why="it is empty")
        mean, std = float(values[real].mean()), float(values[real].std())
        if std <= 1e-12 * max(abs(mean), 1e-12):
            if real.all():
                return Found(None, why="it holds one value only")
            std = 1.0
        if table.schema.field(name).type.__str__().startswith("int") and _counts_rows(values, real):
            return Found(None, why="it only counts the rows")
        known = Column(name, "number", not real.all(), (mean,), (std,))
    return Found(known, ((values - known.mean[0]) / known.std[0]).astype(np.float32)[:, None])


def _counts_rows(values: np.ndarray, real: np.ndarray) -> bool:
    rows = len(values)
    return bool(rows > 2 and real.all() and values[0] in (0, 1) and (np.diff(values) == 1).all())


def _numbers(table: Any, name: str, where: str) -> np.ndarray:
    import pyarrow as pa

    kind = table.schema.field(name).type
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        whole = table[name].cast(pa.int32()) if pa.types.is_time32(kind) else table[name]
        return whole.cast(pa.int64()).cast(pa.float64()).to_numpy() / per_second
    if pa.types.is_null(kind):
        return np.full(table.num_rows, np.nan)
    return numbers(table, name, where)


def date(table: Any, name: str, where: str, known: Column | None) -> Found:
    """A column of dates or times of some day, taken apart.

    Raises:
        DataError: if the schema has dates there and the table has not.
    """
    import pyarrow as pa

    kind = table.schema.field(name).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind)):
        first = next((str(value) for value in table[name].drop_null()[:1].to_pylist()), "")
        raise DataError(f"{where}: column '{name}' should hold dates, and holds {kind}, e.g. '{first[:40]}'")
    column = table[name].cast(pa.timestamp("ms"), safe=False).cast(pa.int64()).cast(pa.float64())
    days = np.asarray(column.to_numpy(), np.float64) / 86_400_000
    real = ~np.isnan(days)
    made = {"since": days}
    for cycle, length in CYCLES.items():
        angle = 2 * np.pi * days / length
        made |= {f"{cycle}-sine": np.sin(angle), f"{cycle}-cosine": np.cos(angle)}
    if known is None:
        if not real.any():
            return Found(None, why="it is empty")
        means = {part: float(values[real].mean()) for part, values in made.items()}
        stds = {part: float(values[real].std()) for part, values in made.items()}
        parts = tuple(part for part in made if stds[part] > 1e-6)
        if not parts:
            if real.all():
                return Found(None, why="it holds one value only")
            parts, stds = ("since",), {"since": 1.0}
        known = Column(
            name, "date", not real.all(), tuple(means[p] for p in parts), tuple(stds[p] for p in parts), parts
        )
    scores = [(made[p] - m) / s for p, m, s in zip(known.parts, known.mean, known.std, strict=True)]
    return Found(known, np.stack(scores, 1).astype(np.float32))


def category(table: Any, name: str, where: str, known: Column | None, most: int, named: bool) -> Found:
    """A column of text, booleans or whatever was called categorical.

    Args:
        most: values that are told apart; the rarest beyond it are one.
        named: whether the user called it categorical.

    Raises:
        DataError: for text that is numbers with a few mistakes among them, or with a decimal comma.
    """
    values, index = _coded(table, name)
    real = index >= 0
    counts = np.bincount(index[real], minlength=len(values))
    unseen = 0
    if known is None:
        total = int(real.sum())
        if not total:
            return Found(None, why="it is empty")
        if not named:
            _check_text(values, counts, where, name)
            if len(values) > max(50, total // 2):
                return Found(None, why=f"nearly every row has a value of its own ({len(values)} in {total} rows)")
        if len(values) == 1 and real.all():
            return Found(None, why="it holds one value only")
        by_count = sorted(range(len(values)), key=lambda i: (-counts[i], values[i]))
        kept = sorted(values[i] for i in by_count[:most])
        rest = total - int(sum(counts[i] for i in by_count[:most]))
        shares = {value: float(count) / total for value, count in zip(values, counts, strict=True)}
        names = (*kept, OTHER) if rest else tuple(kept)
        known = Column(
            name, "category", not real.all(), values=names,
            shares=tuple(shares[v] if v != OTHER else rest / total for v in names),
        )  # fmt: skip
    else:
        seen = set(known.values)
        unseen = int(sum(count for value, count in zip(values, counts, strict=True) if value not in seen))
    place = {value: i for i, value in enumerate(known.values)}
    rest_at = place.get(OTHER, -1)
    codes = np.array([*(place.get(value, rest_at) for value in values), -1], np.int32)
    return Found(known, codes=codes[index], unseen=unseen)


def _coded(table: Any, name: str) -> tuple[list[str], np.ndarray]:
    """Distinct values as text, and each row's position among them, -1 where missing: int64 ``[rows]``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        if pc.all(pc.equal(column, pc.floor(column))).as_py() is not False:
            column = column.cast(pa.int64())  # whole numbers that were made floats by cells without one
    encoded = column.combine_chunks().dictionary_encode()
    if hasattr(encoded, "combine_chunks"):
        encoded = encoded.combine_chunks()
    index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return [str(value) for value in encoded.dictionary.to_pylist()], index


NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


def _check_text(values: Sequence[str], counts: np.ndarray, where: str, name: str) -> None:
    if len(values) < 3:
        return
    total = counts.sum()
    plain = np.array([NUMBER.fullmatch(value) is not None for value in values])
    share = counts[plain].sum() / total
    if STRAY <= share < 1:
        wrong = next(value for value, fine in zip(values, plain, strict=True) if not fine)
        raise DataError(
            f"{where}: column '{name}' holds numbers, but also '{wrong[:40]}'; say --set data.missing='{wrong[:40]}' "
            f"if that means a missing value, or --set data.categorical={name}"
        )
    comma = np.array([COMMA.fullmatch(value) is not None for value in values])
    if counts[comma].sum() / total >= STRAY:
        wrong = next(value for value, fine in zip(values, comma, strict=True) if fine)
        raise DataError(
            f"{where}: column '{name}' holds numbers with a decimal comma, e.g. '{wrong[:40]}'; say --set "
            f"data.decimal=','"
        )
