"""Graphs from files: .npz, .pt, and lists of edges."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tacit.errors import DataError
from tacit.modalities.columns import TABLES
from tacit.modalities.graph.objects import is_graph, read_objects
from tacit.modalities.graph.records import Record, divided, record
from tacit.modalities.graph.tables import Tables, read_edges
from tacit.modalities.looking import array_problem, ending_of

LISTS = (".edgelist", ".edges")
EDGES = ("edge_index", "edges")
ADJACENCY = ("adj", "adj_matrix")
FEATURES = ("x", "features", "attr", "attr_matrix", "feat")
LABELS = ("y", "labels", "targets", "label")
OWNERS = ("batch", "graph", "graph_indicator")


def holds_edges(path: Path) -> bool:
    """Whether an .npz file has edges in it; only the names in it are read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
    sparse = {"indices", "indptr", "shape", "format"} <= names or {"row", "col", "shape", "format"} <= names
    return sparse or bool(names & {*EDGES, *(f"{name}_indptr" for name in ADJACENCY)})


def read_file(path: Path, tables: Tables, pickle: bool) -> dict[str, Any]:
    """What a file holds, as fields of :class:`tacit.modalities.graph.reading.Found`.

    Raises:
        DataError: if it cannot be read.
    """
    if ending_of(path, (*LISTS, *TABLES, ".txt")):
        return read_edges(path, tables)
    tables.refuse(f"'{path}'")
    facts = {"kind": "file", "path": str(path)}
    if path.suffix.lower() == ".npz":
        return {"records": _read_npz(path, pickle), "facts": facts}
    if path.suffix.lower() == ".pt":
        return {"records": _read_pt(path, pickle), "facts": facts}
    raise DataError(f"cannot read graphs from '{path}'; give .npz, .pt, {', '.join(LISTS)} or a table of edges")


def _read_npz(path: Path, pickle: bool) -> list[Record]:
    try:
        with np.load(path, allow_pickle=pickle) as archive:
            if not hasattr(archive, "files"):
                raise DataError(f"'{path}' is not an .npz file")
            return _from_arrays(archive, f"'{path}'")
    except DataError:
        raise
    except Exception as error:  # NumPy's, zipfile's and zlib's own
        if isinstance(error, OSError) and not path.is_file():
            raise DataError(f"there is no file '{path}'") from None
        why = array_problem(path, error).replace("not read", "read only of files you trust: --set data.pickle=true")
        raise DataError(f"cannot read '{path}': {why}") from None


def _from_arrays(archive: Any, where: str) -> list[Record]:
    names = archive.files

    def first(*some: str) -> Any:
        return next((archive[name] for name in some if name in names), None)

    x = first(*FEATURES)
    rows = next((name for name in FEATURES if f"{name}_indptr" in names), None)
    if x is None and rows is not None:
        x = _dense({part: archive[f"{rows}_{part}"] for part in ("data", "indices", "indptr", "shape")}, where)
    edges, count = first(*EDGES), first("num_nodes")
    if edges is None:
        edges, count = _adjacency(archive, names, where)
    whole = record(edges, x, first(*LABELS), None if count is None else int(count), where)
    owner = first(*OWNERS)
    if owner is None and "ptr" in names:
        ptr = archive["ptr"]
        if (
            ptr.ndim != 1
            or ptr.dtype.kind not in "iu"
            or ptr[0] != 0
            or ptr[-1] != whole.count
            or (np.diff(ptr) < 0).any()
        ):
            raise DataError(f"{where}: ptr must rise from 0 to the number of nodes, {whole.count}")
        owner = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    return [whole] if owner is None else divided(whole, owner, where)


def _adjacency(archive: Any, names: list[str], where: str) -> tuple[Any, int]:
    """Edges and number of nodes of a sparse matrix: of SciPy's own files, or with a name before its parts."""
    before = next((f"{name}_" for name in ADJACENCY if f"{name}_indptr" in names), "")
    if f"{before}shape" not in names:
        listed = ", ".join(names[:12])
        raise DataError(f"{where} has no edges (edge_index [2, E], or the parts of a sparse matrix); it has {listed}")
    shape = archive[f"{before}shape"]
    if shape.shape != (2,) or shape[0] != shape[1]:
        raise DataError(f"{where}: the matrix of edges must be square, not {shape.tolist()}")
    if f"{before}row" in names:
        return np.stack((archive[f"{before}row"], archive[f"{before}col"])), int(shape[0])
    indices, indptr = archive[f"{before}indices"], archive[f"{before}indptr"]
    _check_rows(indices, indptr, (int(shape[0]), int(shape[1])), where)
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    kind = archive["format"].item() if "format" in names and not before else b"csr"
    pair = (indices, row) if kind in (b"csc", "csc") else (row, indices)
    return np.stack(pair).astype(np.int64), int(shape[0])


def _check_rows(indices: Any, indptr: Any, shape: tuple[int, int], where: str) -> None:
    fits = indptr.ndim == indices.ndim == 1 and len(indptr) == shape[0] + 1 and indptr[0] == 0
    if not fits or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        raise DataError(f"{where}: indptr must rise from 0 to the {len(indices)} entries, over {shape[0]} rows")
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < shape[1]:
        raise DataError(f"{where}: there are column numbers up to {int(indices.max())}, and {shape[1]} columns")


def _dense(parts: dict[str, Any], where: str) -> np.ndarray:
    data, indices, indptr = (parts[name] for name in ("data", "indices", "indptr"))
    size = (int(parts["shape"][0]), int(parts["shape"][1]))
    _check_rows(indices, indptr, size, where)
    if len(data) != len(indices):
        raise DataError(f"{where}: there are {len(data)} entries and {len(indices)} columns of entries")
    made = np.zeros(size, np.float32)
    np.add.at(made, (np.repeat(np.arange(size[0]), np.diff(indptr)), indices), data.astype(np.float32))
    return made


def _read_pt(path: Path, pickle: bool) -> list[Record]:
    """What ``torch.save`` wrote of dictionaries, of PyTorch Geometric's ``Data``, or a data set's processed file."""
    if not path.is_file():
        raise DataError(f"there is no file '{path}'")
    try:
        with warnings.catch_warnings():  # what torch makes of a damaged file is told below, in one line
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=not pickle)
    except Exception as error:  # pickle's, zipfile's and torch's own
        text = str(error)
        with open(path, "rb") as file:
            start = file.read(2)
        if start != b"PK" and start[:1] != b"\x80":  # neither an archive nor a pickle
            raise DataError(f"cannot read '{path}': it is {'no file of torch' if start else 'empty'}") from None
        if "zip archive" in text:
            raise DataError(f"cannot read '{path}': it is damaged or has been cut short") from None
        if not pickle and ("weights_only" in text or "Weights only" in text or "WeightsUnpickler" in text):
            raise DataError(
                f"'{path}' holds Python objects, which are read only of files you trust: --set data.pickle=true"
            ) from None
        raise DataError(f"cannot read '{path}': {' '.join(text.split())[:200] or 'it is damaged'}") from None
    where = f"'{path}'"
    if isinstance(held, tuple) and len(held) in (2, 3) and not all(is_graph(part) for part in held):
        return _collated(held[0], held[1], where)
    if not is_graph(held):
        raise DataError(f"{where} holds {type(held).__name__}; it should be a graph, or a list of graphs")
    return read_objects(held)


def _collated(data: Any, slices: Any, where: str) -> list[Record]:
    """A data set as PyTorch Geometric keeps it: all graphs one after the other, and where each begins."""
    if not is_graph(data):
        raise DataError(f"{where} does not hold what a data set of PyTorch Geometric keeps")
    if not slices:
        return read_objects(data)
    get = data.get if isinstance(data, dict) else lambda name: getattr(data, name, None)
    parts = {name: get(name) for name in ("edge_index", "x", "y")}
    counts = get("num_nodes") if not isinstance(get("num_nodes"), int) or "num_nodes" in slices else None
    made = []
    for i in range(len(slices["edge_index"]) - 1):
        cut: dict[str, Any] = {}
        for name, value in parts.items():
            if value is not None and name in slices:
                start, stop = int(slices[name][i]), int(slices[name][i + 1])
                cut[name] = value[:, start:stop] if name == "edge_index" else value[start:stop]
        size = None if "x" in cut or counts is None else int(counts[i])
        made.append(record(cut.get("edge_index"), cut.get("x"), cut.get("y"), size, f"{where}, graph {i}"))
    return made
