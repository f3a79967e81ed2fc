"""Trajectories from tables with a row a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import DataError
from tacit.modalities.columns import check_columns, codes, numbers, read_table, times
from tacit.modalities.looking import path_of
from tacit.modalities.trajectory.arrays import EPISODES, LABELS, REWARDS, Episodes

STEPS = ("step", "steps", "t", "timestep", "frame_index", "frame", "time", "timestamp")
BEGIN = {"state": ("state", "obs"), "action": ("action",)}


@dataclass(frozen=True)
class Columns:
    """The options for tables of :func:`tacit.modalities.trajectory.open_source`."""

    episode: str | None = None
    step: str | None = None
    state: tuple[str, ...] | None = None
    action: tuple[str, ...] | None = None
    reward: str | None = None
    label: str | None = None
    group: str | None = None
    delimiter: str | None = None


def from_table(data: Any, columns: Columns) -> tuple[Episodes, dict[str, Any]]:
    """Episodes from a table, and the options that read another alike.

    Raises:
        DataError: for a column that is missing, of another type, or has two rows of one step, naming it.
    """
    table = read_table(data, columns.delimiter)
    path = path_of(data)
    where = f"'{path}'" if path is not None else "the table"
    singles = {n: getattr(columns, n) for n in ("episode", "step", "reward", "label", "group")}
    given = [name for name in singles.values() if name is not None]
    check_columns(table, where, [*given, *(columns.state or ()), *(columns.action or ())])
    lower = {name.lower(): name for name in reversed(table.column_names)}
    for part, wanted in (("episode", EPISODES), ("step", STEPS), ("reward", REWARDS), ("label", LABELS)):
        if singles[part] is None:
            found = next((lower[n] for n in wanted if n in lower), None)
            taken = found in (*singles.values(), *(columns.state or ()), *(columns.action or ()))
            singles[part] = None if taken else found
    if singles["episode"] is None or singles["step"] is None:
        missing = "episode" if singles["episode"] is None else "step"
        raise DataError(
            f"{where} has no column named {missing}; say --set data.{missing}=COLUMN "
            f"({', '.join(table.column_names[:20])})"
        )
    wide = {
        part: getattr(columns, part) or tuple(
            n for n in table.column_names if n.lower().startswith(BEGIN[part]) and n not in singles.values()
        )
        for part in BEGIN
    }  # fmt: skip
    if not wide["state"]:
        raise DataError(f"{where} has no columns named state...; say --set data.state=COLUMN,COLUMN")
    episode, names = codes(table, singles["episode"], where)
    step = times(table, singles["step"], where)
    order = np.lexsort((step, episode))
    again = (episode[order][1:] == episode[order][:-1]) & (step[order][1:] == step[order][:-1])
    if again.any():
        at = order[int(again.argmax())]
        raise DataError(f"{where}: episode {names[episode[at]]} has two rows of step {step[at]:g}; give each step one")
    state, action = (
        np.concatenate([_numbers(table, n, where) for n in wide[part]], 1)[order]
        if wide[part]
        else np.zeros((len(order), 0))
        for part in ("state", "action")
    )
    reward = _numbers(table, singles["reward"], where)[order] if singles["reward"] else np.zeros((len(order), 0))
    length = np.bincount(episode).astype(np.int64)
    first = length.cumsum() - length
    label, group = (
        None if singles[n] is None else _of_episode(table, singles[n], where, episode, order, first, names)
        for n in ("label", "group")
    )
    used = {name: value for name, value in singles.items() if value is not None and name not in ("label", "group")}
    used |= {part: list_ for part, list_ in wide.items() if list_}
    used |= {} if columns.delimiter is None else {"delimiter": columns.delimiter}
    return Episodes(state, action, reward, length, names, label, group), used


def _numbers(table: Any, name: str, where: str) -> NDArray[Any]:
    """A column as ``[rows, k]``; whole numbers without gaps stay such.

    Raises:
        DataError: for lists of different lengths, or what holds no numbers.
    """
    import pyarrow as pa

    column = table[name]
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        column = column.combine_chunks()
        sizes = np.array([len(row) if row is not None else 0 for row in column.to_pylist()])
        if len(set(sizes.tolist())) != 1:
            raise DataError(f"{where}: lists of column '{name}' have from {sizes.min()} to {sizes.max()} numbers")
        inner = pa.table({name: column.flatten()})
        return numbers(inner, name, where).reshape(len(sizes), -1)
    if (pa.types.is_integer(kind) or pa.types.is_boolean(kind)) and not column.null_count:
        return np.asarray(column.cast(pa.int64()).to_numpy())[:, None]
    return numbers(table, name, where)[:, None]


def _of_episode(
    table: Any, name: str, where: str, episode: NDArray[Any], order: NDArray[Any], first: NDArray[Any], names: list[str]
) -> NDArray[Any]:
    """A column's value of each episode."""
    column = table[name]
    if column.null_count:
        raise DataError(f"{where}: column '{name}' has {column.null_count} empty cells, and every row needs one")
    values = column.to_numpy()[order]
    one = values[first]
    other = one[episode[order]] != values
    if other.any():
        which = names[episode[order][int(other.argmax())]]
        raise DataError(f"{where}: column '{name}' changes within episode {which}; it must be one an episode")
    return one
