"""Graphs from tables and lists of edges, with a table of the nodes where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import DataError, OptionError
from tacit.modalities.columns import TABLES, check_columns, numbers, read_table
from tacit.modalities.delimited import check_utf8
from tacit.modalities.graph.records import Record, divided, record
from tacit.modalities.looking import ending_of, path_of

ENDS = (("source", "target"), ("src", "dst"), ("from", "to"), ("head", "tail"), ("node1", "node2"), ("u", "v"))
"""Names of the columns of an edge's two ends."""


@dataclass(frozen=True)
class Tables:
    """Which table and which column is what; the fields are the options of
    :func:`tacit.modalities.graph.open_source`."""

    nodes: str | None = None
    source: str | None = None
    target: str | None = None
    id: str | None = None
    graph: str | None = None
    label: str | None = None
    columns: tuple[str, ...] | None = None
    delimiter: str | None = None

    def refuse(self, where: str) -> None:
        """Make sure that none is given for data without tables.

        Raises:
            OptionError: naming the first.
        """
        for name, value in vars(self).items():
            if value is not None:
                raise OptionError(f"{name} is for tables of edges and nodes, which {where} is not")


def joins(path: Path) -> bool:
    """Whether a table has two columns that are named like the ends of edges; only its head is read."""
    try:
        if path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            names = parquet.read_schema(path).names
        else:
            with path.open(encoding="utf-8") as file:
                line = file.readline(10_000).strip()
            names = [part.strip(' "') for part in line.split("\t" if "\t" in line else ";" if ";" in line else ",")]
    except Exception:  # the reader says what is wrong with it
        return False
    return _ends([name.lower() for name in names]) is not None


def _ends(names: list[str]) -> tuple[str, str] | None:
    return next((pair for pair in ENDS if pair[0] in names and pair[1] in names), None)


def read_edges(path: Path, tables: Tables, nodes: Path | None = None) -> dict[str, Any]:
    """A graph, or several, from a list of edges and a table of nodes.

    Args:
        nodes: the table of nodes, where the options name none.

    Returns:
        the fields of :class:`tacit.modalities.graph.reading.Found`.

    Raises:
        DataError: for an end that the table of nodes does not have, and for all that can be wrong with tables.
    """
    where = f"'{path}'"
    one, other = _from_table(path, tables) if ending_of(path, TABLES) else _from_list(path)
    table = path_of(tables.nodes) if tables.nodes is not None else nodes
    facts: dict[str, Any] = {"kind": "edges", "path": str(path)}
    if table is None:
        for name in ("id", "graph", "label", "columns"):
            if getattr(tables, name) is not None:
                raise OptionError(f"{name} is a column of the table of nodes; say --set data.nodes=FILE")
        called, codes = np.unique(np.concatenate((one, other)), return_inverse=True)
        order = _numeric_order(called)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        made = record(rank[codes].reshape(2, -1), None, None, len(called), where)
        return {"records": [made], "facts": facts, "names": [str(name) for name in called[order]]}
    return _with_nodes(one, other, table, tables, where) | {"facts": facts | {"nodes_path": str(table)}}


def _numeric_order(names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Numbers in their order, and text in its own."""
    if all(name.lstrip("-").isdigit() for name in names.tolist()):
        return np.argsort(names.astype(np.int64), kind="stable")
    return np.arange(len(names))


def _with_nodes(
    one: NDArray[np.str_], other: NDArray[np.str_], path: Path, tables: Tables, where: str
) -> dict[str, Any]:
    here = f"'{path}'"
    table = read_table(path, tables.delimiter)
    id = tables.id or ("id" if "id" in table.column_names else table.column_names[0])
    label = tables.label or next((name for name in ("label", "y") if name in table.column_names), None)
    parts = [name for name in (id, tables.graph, label) if name is not None]
    check_columns(table, here, [*parts, *(tables.columns or ())])
    called = _text(table, id, here)
    names, first, times = np.unique(called, return_index=True, return_counts=True)
    if (times > 1).any():
        raise DataError(f"{here}: node '{names[int(times.argmax())]}' is there {int(times.max())} times")
    ends = []
    for side in (one, other):
        at = np.searchsorted(names, side).clip(max=len(names) - 1)
        unknown = names[at] != side
        if unknown.any():
            row = int(unknown.argmax())
            raise DataError(f"{where}: edge {row} joins '{one[row]}' and '{other[row]}', and {here} has no node "
                            f"'{side[row]}'")  # fmt: skip
        ends.append(first[at])
    columns = list(tables.columns or (name for name in table.column_names if name not in parts))
    x = np.stack([_measured(table, name, here) for name in columns], 1) if columns else None
    y = np.asarray(table[label].to_pylist()) if label is not None else None
    whole = record(np.stack(ends), x, None, len(called), where)
    if tables.graph is None:
        return {"records": [Record(whole.count, whole.edges, whole.x, y)], "names": [str(name) for name in called]}
    groups, owner = np.unique(_text(table, tables.graph, here), return_inverse=True)
    records = divided(whole, owner, here)
    found: dict[str, Any] = {"records": records, "names": [str(name) for name in groups]}
    if y is not None:
        of = [y[owner == i] for i in range(len(groups))]
        if all((part == part[0]).all() for part in of):
            return found | {"labels": np.asarray([part[0] for part in of])}
        found["records"] = [Record(r.count, r.edges, r.x, part) for r, part in zip(records, of, strict=True)]
    return found


def _measured(table: Any, name: str, where: str) -> NDArray[np.float64]:
    values = numbers(table, name, where)
    if np.isnan(values).any():
        raise DataError(f"{where}: column '{name}' is empty in row {int(np.isnan(values).argmax()) + 1}; features of "
                        "nodes must be known")  # fmt: skip
    return values


def _from_table(path: Path, tables: Tables) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    table = read_table(path, tables.delimiter)
    where = f"'{path}'"
    named = _ends([name.lower() for name in table.column_names])
    if named is not None:
        lower = {name.lower(): name for name in table.column_names}
        guess = (lower[named[0]], lower[named[1]])
    elif table.num_columns >= 2:
        guess = (table.column_names[0], table.column_names[1])
    elif tables.source is None or tables.target is None:
        raise DataError(f"{where} has one column; a table of edges has one for each end")
    else:
        guess = (tables.source, tables.target)
    ends = (tables.source or guess[0], tables.target or guess[1])
    check_columns(table, where, ends)
    return _text(table, ends[0], where), _text(table, ends[1], where)


def _text(table: Any, name: str, where: str) -> NDArray[np.str_]:
    """Names of nodes; whole numbers without a fraction."""
    import pyarrow as pa

    column = table[name]
    if column.null_count:
        raise DataError(f"{where}: column '{name}' has {column.null_count} empty cells, and every row needs a node")
    try:
        if pa.types.is_floating(column.type):
            column = column.cast(pa.int64())
        return np.asarray(column.cast(pa.string()).to_pylist(), dtype=np.str_)
    except pa.ArrowException:
        raise DataError(f"{where}: column '{name}' should hold names or numbers of nodes, not {column.type}") from None


def _from_list(path: Path) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Lines of two names with white space or a comma between; what follows them is not read, nor what follows #."""
    if not path.is_file():
        raise DataError(f"there is no file '{path}'")
    try:
        check_utf8(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"cannot read '{path}': it is not UTF-8 text; save it in that encoding") from None
    pairs = []
    for number, line in enumerate(lines, 1):
        parts = line.partition("#")[0].replace(",", " ").split(None, 2)
        if not parts:
            continue
        if len(parts) < 2:
            raise DataError(f"'{path}', line {number}: an edge has two ends, and there is '{line[:40]}'")
        pairs.append(parts[:2])
    if not pairs:
        raise DataError(f"'{path}' has no edges in it")
    ends = np.asarray(pairs, dtype=np.str_)
    return ends[:, 0], ends[:, 1]
