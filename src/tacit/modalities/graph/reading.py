"""Reading graphs: files, tables, PyTorch Geometric's data and plain dictionaries become one kind of source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.columns import TABLES
from tacit.modalities.graph.files import LISTS, holds_edges, read_file
from tacit.modalities.graph.folders import is_folder_of_graphs, read_folder
from tacit.modalities.graph.objects import is_graph, read_objects
from tacit.modalities.graph.records import Record, both_ways
from tacit.modalities.graph.stores import ManyGraphs, OneGraph
from tacit.modalities.graph.tables import Tables, joins
from tacit.modalities.looking import Claim, ending_of, path_of, shown
from tacit.sources import Stored, as_labels

ENDINGS = LISTS
WHOLE = 20_000
"""Nodes of the largest graph that every batch has the whole of by default."""


def recognises(data: Any) -> Claim:
    """Sure of PyTorch Geometric's objects, dictionaries with ``edge_index``, .npz files with edges, and folders of
    such or of tables of edges; perhaps .pt files, and tables with two columns of ends."""
    path = path_of(data)
    if path is None:
        return Claim.SURE if is_graph(data) else Claim.NO
    if path.is_dir():
        return Claim.SURE if is_folder_of_graphs(path) else Claim.NO
    if path.suffix.lower() == ".npz":
        return Claim.SURE if holds_edges(path) else Claim.NO
    if path.suffix.lower() == ".pt":
        return Claim.PERHAPS
    return Claim.PERHAPS if ending_of(path, TABLES) and joins(path) else Claim.NO


@dataclass
class Found:
    """What a reader found: graphs, and what is known of them besides."""

    records: list[Record]
    facts: dict[str, Any]
    names: list[str] | None = None
    classes: list[str] | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    labels: Any = None


def open_source(
    data: Any,
    *,
    samples: Literal["auto", "graphs", "nodes"] = "auto",
    nodes: str | None = None,
    source: str | None = None,
    target: str | None = None,
    id: str | None = None,
    graph: str | None = None,
    label: str | None = None,
    columns: tuple[str, ...] | str | None = None,
    delimiter: str | None = None,
    undirected: bool = True,
    scaling: Literal["auto", "columns", "rows", "none"] = "auto",
    degrees: int = 32,
    sampling: Literal["auto", "whole", "neighbours"] = "auto",
    fanout: tuple[int, ...] = (10, 10),
    features: int | None = None,
    pickle: bool = False,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open graphs.

    Args:
        data: an ``.npz`` file (``edge_index`` and ``x``, or sparse matrices of edges and features, and ``y``); a list
            of edges (``.edgelist``, ``.edges``, or a table with a column for each end); a folder of such files, of
            ``edges`` and ``nodes`` tables, or of TU Dortmund's text files; a ``.pt`` file; a ``Data``, ``Batch`` or
            data set of PyTorch Geometric; a dictionary with ``edge_index`` and, if known, ``x``, ``y`` and
            ``num_nodes``, or a list of those.
        samples: what a sample is; by default a node where there is one graph, or where labels are those of nodes, else
            a graph.
        nodes: a table of the nodes, for a table or a list of edges.
        source, target: the columns of edges' ends; by default two that are named so or alike, or the first two.
        id: the column of nodes' names in their table; ``id`` or the first by default. Without a table of nodes, ends
            are numbers from 0.
        graph: the column of the table of nodes that says which graph a node is in, where there are several.
        label: the column of labels in it.
        columns: those of features; by default every column that has no other part.
        delimiter: between the columns of text.
        undirected: whether an edge joins in both directions.
        scaling: of features: ``columns`` to zero mean and unit variance, ``rows`` (those of a node) to length 1, or
            ``none``; by default ``rows`` where most are zero and none is below it, ``none`` where they mark one of
            several kinds, else ``columns``.
        degrees: how many degrees are told apart as features where nodes have none; larger ones count as the largest.
        sampling: of a graph whose nodes are the samples, whether a batch has the ``whole`` or ``neighbours`` drawn
            around its samples; by default the whole of up to 20,000 nodes.
        fanout: how many neighbours are drawn at each step away from a sample.
        features: how many there must be.
        pickle: whether ``.pt`` and ``.npz`` files that hold Python objects may be read. Such a file can run any code;
            say so only of files that you trust.
        progress, once: as for every reader; nothing here takes long.

    Raises:
        DataError: for data that cannot be read, with the file, the edge, the node or the column.
        OptionError: for an impossible value of an option.
    """
    if degrees < 1:
        raise OptionError(f"degrees must be at least 1, not {degrees}")
    if not fanout or min(fanout) < 1:
        raise OptionError(f"fanout must be numbers of neighbours, each at least 1, not {fanout!r}")
    names = (columns,) if isinstance(columns, str) else columns
    tables = Tables(nodes, source, target, id, graph, label, names, delimiter)
    found = _found(data, tables, pickle)
    where = shown(data)
    records = _with_features(found.records, where, degrees, features)
    records = [Record(r.count, both_ways(r.edges, r.count, undirected), r.x, r.y) for r in records]
    each_node = all(r.y is not None and r.y.ndim and len(r.y) == r.count for r in records)
    single = len(records) == 1
    if samples == "auto":
        several = any(r.count > 1 for r in records)
        samples = "nodes" if single or (each_node and several) else "graphs"
    reading = {
        "samples": samples, "undirected": undirected, "scaling": scaling, "degrees": degrees, "sampling": sampling,
        "fanout": fanout, "features": records[0].x.shape[1] if records[0].x is not None else None,
        **{name: value for name, value in vars(tables).items() if value is not None and name != "nodes"},
    }  # fmt: skip
    edges = sum(r.edges.shape[1] for r in records) // (2 if undirected else 1)
    facts = {**found.facts, "samples": samples, "graphs": len(records), "nodes": sum(r.count for r in records)}
    facts |= {"edges": edges, "reading": reading}
    if not edges:
        raise DataError(f"{where} has no edges between its {facts['nodes']} nodes")
    if samples == "graphs":
        labels, classes = _graph_labels(records, found, where)
        return Stored(
            "graph", ManyGraphs(records), facts, names=found.names, labels=labels, classes=classes,
            skipped=found.skipped, named_by="index" if found.names is None else "path",
        )  # fmt: skip
    one, owner = _joined(records)
    assert one.x is not None
    whole = sampling == "whole" or (sampling == "auto" and one.count <= WHOLE)
    store = OneGraph(torch.from_numpy(one.x), torch.from_numpy(one.edges), None if whole else fanout, undirected)
    labels, classes = as_labels(one.y, one.count, where) if each_node and one.y is not None else (None, None)
    if labels is None and any(r.y is not None for r in records):
        raise DataError(f"{where}: labels must be one a node ({one.count} in all) where samples are nodes")
    return Stored(
        "graph", store, facts | {"whole": whole}, labels=labels, classes=classes or found.classes,
        groups=None if single else torch.from_numpy(owner), skipped=found.skipped,
        names=found.names if single else None,
    )  # fmt: skip


def _found(data: Any, tables: Tables, pickle: bool) -> Found:
    path = path_of(data)
    if path is None:
        tables.refuse(shown(data))
        return Found(read_objects(data), {"kind": "objects"})
    if path.is_dir():
        return Found(**read_folder(path, tables, pickle))
    return Found(**read_file(path, tables, pickle))


def _with_features(records: list[Record], where: str, degrees: int, wanted: int | None) -> list[Record]:
    """Every record with features, all of one width: those that were given, or the degree as one of several kinds."""
    without = [i for i, one in enumerate(records) if one.x is None]
    if without and len(without) < len(records):
        raise DataError(f"{where}: graph {without[0]} has no features, and others have")
    if without:
        made = []
        for one in records:
            degree = np.bincount(both_ways(one.edges, one.count, True)[1], minlength=one.count)
            kinds = np.eye(degrees, dtype=np.float32)[degree.clip(max=degrees - 1)]
            made.append(Record(one.count, one.edges, kinds, one.y))
        records = made
    widths = [one.x.shape[1] for one in records if one.x is not None]
    expected = wanted if wanted is not None else widths[0]
    for i, width in enumerate(widths):
        if width != expected:
            raise DataError(f"{where}: nodes of graph {i} have {width} features, and {expected} are expected")
    if not expected:
        raise DataError(f"{where}: nodes have features, but of width 0")
    return records


def _joined(records: list[Record]) -> tuple[Record, NDArray[np.int64]]:
    """All graphs as one, and which each node is of."""
    sizes = np.array([one.count for one in records])
    begins = sizes.cumsum() - sizes
    edges = np.concatenate([one.edges + begin for one, begin in zip(records, begins, strict=True)], 1)
    x = np.concatenate([one.x for one in records if one.x is not None])
    known = [one.y for one in records if one.y is not None and one.y.ndim]
    y = np.concatenate(known) if len(known) == len(records) else None
    return Record(int(sizes.sum()), edges, x, y), np.repeat(np.arange(len(records)), sizes)


def _graph_labels(records: list[Record], found: Found, where: str) -> tuple[Any, list[str] | None]:
    if found.labels is not None:
        labels, classes = as_labels(found.labels, len(records), where)
        return labels, classes or found.classes
    known = [one.y for one in records]
    missing = [i for i, y in enumerate(known) if y is None]
    if len(missing) == len(known):
        return None, None
    if missing:
        raise DataError(f"{where}: graph {missing[0]} has no label, and others have")
    rows = [y.reshape(()) if y.size == 1 else y[0] if len(y) == 1 else None for y in known if y is not None]
    wrong = next((i for i, row in enumerate(rows) if row is None), None)
    if wrong is not None:
        raise DataError(f"{where}: graph {wrong} has {len(known[wrong])} labels; a sample that is a graph has one")
    labels, classes = as_labels(np.stack([row for row in rows if row is not None]), len(records), where)
    return labels, classes or found.classes
