"""One graph as it was read, with everything checked that can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import DataError


@dataclass(frozen=True)
class Record:
    """A graph.

    Attributes:
        count: nodes, V.
        edges: int64 ``[2, E]``.
        x: float32 ``[V, F]``; None where nodes have no features.
        y: what is known of it or of its nodes, as it was given; None where nothing is.
    """

    count: int
    edges: NDArray[np.int64]
    x: NDArray[np.float32] | None
    y: Any = None


def plain(value: Any) -> NDArray[Any] | None:
    """An array of a tensor, a list or a sparse matrix."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        value = (
            value.to_dense() if value.layout is not None and str(value.layout) != "torch.strided" else value
        ).detach()
        return value.cpu().numpy()
    return value.toarray() if hasattr(value, "toarray") else np.asarray(value)


def record(edges: Any, x: Any, y: Any, count: int | None, where: str) -> Record:
    """A graph from what was read.

    Args:
        edges: ``[2, E]``, node numbers from 0.
        x: ``[V, F]`` or ``[V]``.
        y: anything.
        count: number of nodes; by default that of ``x``, or as many as the largest number needs.
        where: what an error calls it.

    Raises:
        DataError: for wrong shapes, numbers of nodes that are out of range, or features that are not finite; it says
            where.
    """
    pairs, features = plain(edges), plain(x)
    if pairs is None:
        raise DataError(f"{where} has no edges (edge_index, int64 [2, E])")
    if pairs.size == 0:
        pairs = np.zeros((2, 0), np.int64)
    if pairs.ndim != 2 or pairs.shape[0] != 2:
        raise DataError(f"{where}: edges must be of shape [2, E], from and to, not {list(pairs.shape)}")
    if pairs.dtype.kind not in "iu":
        raise DataError(f"{where}: edges must be whole numbers of nodes, not {pairs.dtype}")
    if features is not None:
        features = features[:, None] if features.ndim == 1 else features
        if features.ndim != 2 or features.dtype.kind not in "fiub":
            raise DataError(
                f"{where}: features must be numbers [nodes, features], not {features.dtype} {list(features.shape)}"
            )
        if count is not None and count != len(features):
            raise DataError(f"{where}: there are {count} nodes and features of {len(features)}")
        count = len(features)
        bad = ~np.isfinite(features)
        if bad.any():
            node, column = (int(part) for part in np.argwhere(bad)[0])
            raise DataError(f"{where}: feature {column} of node {node} is {features[node, column]}; it must be finite")
        features = features.astype(np.float32)
    pairs = pairs.astype(np.int64)
    if count is None:
        count = int(pairs.max()) + 1 if pairs.size else 0
    if count < 1:
        raise DataError(f"{where} has no nodes")
    wrong = (pairs < 0) | (pairs >= count)
    if wrong.any():
        at = int(wrong.any(0).argmax())
        raise DataError(
            f"{where}: edge {at} joins nodes {pairs[0, at]} and {pairs[1, at]}, and there are {count} nodes, numbered "
            f"from 0 to {count - 1}"
        )
    return Record(count, pairs, features, plain(y))


def both_ways(pairs: NDArray[np.int64], count: int, undirected: bool) -> NDArray[np.int64]:
    """Edges without doubles and loops, in order, and where ``undirected`` both ways."""
    if undirected:
        pairs = np.concatenate((pairs, pairs[::-1]), 1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    return np.stack(np.divmod(np.unique(pairs[0] * count + pairs[1]), count))


def divided(whole: Record, owner: Any, where: str) -> list[Record]:
    """One record for each graph of several that share one numbering.

    Args:
        owner: which graph each node belongs to, whole numbers from 0, ``[V]``.

    Raises:
        DataError: for another number of nodes, edges between graphs, or a graph without nodes.
    """
    graph = np.asarray(plain(owner))
    if graph.shape != (whole.count,) or graph.dtype.kind not in "iu" or graph.min() < 0:
        raise DataError(f"{where}: which graph a node belongs to must be a whole number from 0, one for each of the "
                        f"{whole.count} nodes, not {graph.dtype} {list(graph.shape)}")  # fmt: skip
    ends = graph[whole.edges]
    if (ends[0] != ends[1]).any():
        at = int((ends[0] != ends[1]).argmax())
        raise DataError(f"{where}: edge {at} joins a node of graph {ends[0, at]} and one of graph {ends[1, at]}")
    sizes = np.bincount(graph)
    if not sizes.all():
        raise DataError(f"{where}: graph {int((sizes == 0).argmax())} has no nodes")
    order = np.argsort(graph, kind="stable")
    first = sizes.cumsum() - sizes
    number = np.empty_like(order)
    number[order] = np.arange(len(order)) - first[graph[order]]
    belongs = ends[0].argsort(kind="stable")
    each = np.bincount(ends[0], minlength=len(sizes)) if ends.size else np.zeros(len(sizes), np.int64)
    edges = np.split(number[whole.edges[:, belongs]], each.cumsum()[:-1], axis=1)
    nodes = np.split(order, first[1:])
    perhaps = whole.y
    each_node = perhaps is not None and len(perhaps) == whole.count and len(perhaps) != len(sizes)
    return [
        Record(
            len(part), pairs, None if whole.x is None else whole.x[part],
            None if perhaps is None else perhaps[part] if each_node else perhaps[i : i + 1],
        )
        for i, (part, pairs) in enumerate(zip(nodes, edges, strict=True))
    ]  # fmt: skip
