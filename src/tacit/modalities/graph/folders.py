"""Graphs from folders: a file a graph, tables of edges and nodes, TU Dortmund's text files, a data set's own folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import DataError
from tacit.modalities.columns import TABLES
from tacit.modalities.delimited import check_utf8
from tacit.modalities.graph.files import LISTS, holds_edges, read_file
from tacit.modalities.graph.records import Record, divided, record
from tacit.modalities.graph.tables import Tables, read_edges
from tacit.modalities.looking import ending_of

FILES = (".npz", ".pt", *LISTS)
"""Endings of files that may hold a graph each."""


def _table(folder: Path, stem: str) -> Path | None:
    endings = (*TABLES, ".txt", *LISTS) if stem == "edges" else TABLES
    return next((path for end in endings if (path := folder / f"{stem}{end}").is_file()), None)


def _processed(folder: Path) -> Path | None:
    return next(iter(sorted((folder / "processed").glob("data*.pt"))), None)


def _dortmund(folder: Path) -> Path | None:
    return next((path for place in (folder, folder / "raw") for path in sorted(place.glob("*_A.txt"))), None)


def is_layout(folder: Path) -> bool:
    """Whether text files of a folder are those of Dortmund's collection, ``NAME_A.txt`` and its like, and no prose."""
    return _dortmund(folder) is not None


def is_folder_of_graphs(folder: Path) -> bool:
    """Whether a folder is laid out in one of the ways that :func:`read_folder` knows."""
    if _table(folder, "edges") or _dortmund(folder) or _processed(folder):
        return True
    some = (Path(at) / name for at, _, names in os.walk(folder) for name in sorted(names))
    found = next((path for path in some if path.suffix.lower() == ".npz"), None)
    return found is not None and holds_edges(found)


def read_folder(folder: Path, tables: Tables, pickle: bool) -> dict[str, Any]:
    """What a folder holds, as fields of :class:`tacit.modalities.graph.reading.Found`.

    Raises:
        DataError: if there is nothing that can be read.
    """
    edges = _table(folder, "edges")
    if edges is not None:
        return read_edges(edges, tables, _table(folder, "nodes"))
    tables.refuse(f"'{folder}'")
    dortmund = _dortmund(folder)
    if dortmund is not None:
        return _read_dortmund(dortmund)
    processed = _processed(folder)
    if processed is not None:
        return read_file(processed, tables, pickle)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ending_of(path, FILES))
    if not paths:
        raise DataError(f"the folder '{folder}' has no graphs in it; they end in {', '.join(FILES)}")
    records: list[Record] = []
    names: list[str] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        name = str(path.relative_to(folder))
        try:
            found = read_file(path, tables, pickle)["records"]
            if len(found) != 1:
                raise DataError(f"it holds {len(found)} graphs; in a folder a file holds one")
        except DataError as error:
            skipped.append((name, str(error)))
            continue
        records += found
        names.append(name)
    if not records:
        raise DataError(f"none of the {len(paths)} files of '{folder}' can be read; the first: {skipped[0][1]}")
    parents = [name.replace("\\", "/").rpartition("/")[0].rpartition("/")[2] for name in names]
    facts = {"kind": "folder", "path": str(folder)}
    labels = np.asarray(parents) if len(set(parents)) > 1 else None
    return {"records": records, "facts": facts, "names": names, "skipped": skipped, "labels": labels}


def _read_dortmund(path: Path) -> dict[str, Any]:
    """Kersting et al. 2016, Benchmark Data Sets for Graph Kernels: text files that number nodes and graphs from 1."""
    stem = str(path).removesuffix("_A.txt")
    where = f"'{path}'"

    def read(name: str, kind: Any = np.int64) -> Any:
        file = Path(f"{stem}_{name}.txt")
        if not file.is_file():
            return None
        check_utf8(file)
        if not os.path.getsize(file):
            raise DataError(f"'{file}' is empty")
        try:
            return np.loadtxt(file, dtype=kind, delimiter=",", ndmin=2)
        except (ValueError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read '{file}': {' '.join(str(error).split())[:200]}") from None

    edges, owner = read("A"), read("graph_indicator")
    if owner is None:
        raise DataError(f"{where} needs '{stem}_graph_indicator.txt' beside it, which is not there")
    if edges.shape[1] != 2:
        raise DataError(f"{where}: an edge has two ends, and there are {edges.shape[1]} columns")
    features = [part for part in (read("node_attributes", np.float64),) if part is not None]
    kinds = read("node_labels")
    if kinds is not None:
        features += [np.eye(len(values))[codes] for values, codes in map(_codes, kinds.T)]
    if any(len(part) != len(owner) for part in features):
        raise DataError(f"{where}: there are {len(owner)} nodes, and attributes or labels of another number")
    labels = read("graph_labels")
    whole = record(edges.T - 1, np.concatenate(features, 1) if features else None, None, len(owner), where)
    records = divided(whole, owner[:, 0] - 1, where)
    if labels is not None and len(labels) != len(records):
        raise DataError(f"{where}: there are {len(records)} graphs and {len(labels)} labels of graphs")
    found: dict[str, Any] = {"records": records, "facts": {"kind": "folder", "path": str(path.parent)}}
    if labels is None:
        return found
    values, codes = _codes(labels[:, 0])
    return found | {"labels": codes, "classes": [str(value) for value in values]}


def _codes(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, codes = np.unique(column, return_inverse=True)
    return values, codes.astype(np.int64)
