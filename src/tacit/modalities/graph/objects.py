"""Graphs from objects: PyTorch Geometric's, and dictionaries. PyTorch Geometric itself is not needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tacit.errors import DataError
from tacit.modalities.graph.records import Record, divided, record
from tacit.modalities.looking import shown


def is_graph(data: Any) -> bool:
    """Whether ``data`` is a graph, a list of them or a data set of PyTorch Geometric."""
    if isinstance(data, (list, tuple)) and data:
        return all(is_graph(one) for one in data[:10])
    if isinstance(data, Mapping):
        return "edge_index" in data
    return _geometric(data)


def _geometric(data: Any) -> bool:
    return any(kind.__module__.partition(".")[0] == "torch_geometric" for kind in type(data).__mro__)


def _is_set(data: Any) -> bool:
    """Whether it is a data set of PyTorch Geometric, which passes on what its first graph has."""
    return _geometric(data) and any(kind.__name__ == "Dataset" for kind in type(data).__mro__)


def read_objects(data: Any) -> list[Record]:
    """Records of a graph, a list of graphs or a data set.

    Raises:
        DataError: for anything else, and for graphs with several kinds of nodes.
    """
    where = shown(data)
    listed = isinstance(data, (list, tuple)) or _is_set(data)
    if isinstance(data, Mapping) or (not listed and hasattr(data, "edge_index")):
        return _one(data, where)
    if hasattr(data, "node_types") or hasattr(data, "edge_types"):
        raise DataError(f"{where} has nodes of several kinds, which are not read; give data.to_homogeneous()")
    if not listed:
        raise DataError(f"cannot read graphs from {where}; give a dictionary with edge_index, a Data or a list of such")
    if not len(data):
        raise DataError(f"{where} has no graphs in it")
    found: list[Record] = []
    for i in range(len(data)):
        one = data[i]
        if not isinstance(one, Mapping) and not hasattr(one, "edge_index"):
            raise DataError(f"{where}, graph {i} is {shown(one)}; it should have edge_index")
        found += _one(one, f"{where}, graph {i}" if len(data) > 1 else where)
    return found


def _one(data: Any, where: str) -> list[Record]:
    """A graph, or those of a ``Batch``."""

    def get(name: str) -> Any:
        return data.get(name) if isinstance(data, Mapping) else getattr(data, name, None)

    edges = get("edge_index")
    if edges is None and get("adj_t") is not None:
        raise DataError(f"{where} has its edges in adj_t; leave out the transform ToSparseTensor")
    count = get("num_nodes")
    whole = record(edges, get("x"), get("y"), None if count is None else int(count), where)
    owner = get("batch")
    return [whole] if owner is None else divided(whole, owner, where)
