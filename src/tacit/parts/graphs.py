"""Graphs as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from tacit.errors import needs


class Graphs:
    """A batch of graphs, one after the other in one long list of nodes.

    A sample is a whole graph, or, with ``roots``, a node of a graph that several samples share.

    Args:
        nodes: features, float ``[V, F]``.
        edges: from node, to node: int64 ``[2, E]``; an undirected edge is there both ways.
        owner: which graph each node belongs to, int64 ``[V]``, ascending.
        place: what each node is called within its graph, whatever else is in the batch: int64 ``[V]``.
        count: how many graphs there are; each has at least one node.
        roots: int64 ``[B]``, the node that each sample is; None where samples are graphs.
    """

    def __init__(
        self, nodes: Tensor, edges: Tensor, owner: Tensor, place: Tensor, count: int, roots: Tensor | None = None
    ) -> None:
        self.nodes, self.edges, self.owner, self.place = nodes, edges, owner, place
        self.count, self.roots = count, roots

    def __len__(self) -> int:
        return self.count if self.roots is None else len(self.roots)

    @property
    def device(self) -> torch.device:
        return self.nodes.device

    def _each(self, change: Any, nodes: Any) -> Graphs:
        roots = None if self.roots is None else change(self.roots)
        return Graphs(nodes(self.nodes), change(self.edges), change(self.owner), change(self.place), self.count, roots)

    def to(self, *where: Any, **how: Any) -> Graphs:
        """On another device; of another type only the features."""
        kind = next((w for w in (*where, *how.values()) if isinstance(w, torch.dtype)), None)
        rest = (lambda t: t) if kind is not None else (lambda t: t.to(*where, **how))
        return self._each(rest, lambda t: t.to(*where, **how))

    def pin_memory(self) -> Graphs:
        return self._each(lambda t: t.pin_memory(), lambda t: t.pin_memory())

    def signature(self) -> tuple[Any, ...]:
        """What batches must share to be joined: number of features, and what a sample is."""
        return (self.nodes.shape[1], self.roots is None)

    @classmethod
    def join(cls, several: Sequence[Graphs]) -> Graphs:
        """Several as one, the samples of the first before those of the second."""
        sizes = [len(one.nodes) for one in several]
        begins = [sum(sizes[:i]) for i in range(len(sizes))]
        graphs = [sum(one.count for one in several[:i]) for i in range(len(several))]
        pairs = list(zip(several, begins, strict=True))
        return cls(
            torch.cat([one.nodes for one in several]),
            torch.cat([one.edges + begin for one, begin in pairs], 1),
            torch.cat([one.owner + first for one, first in zip(several, graphs, strict=True)]),
            torch.cat([one.place for one in several]),
            sum(one.count for one in several),
            None if several[0].roots is None else torch.cat([g.roots + b for g, b in pairs if g.roots is not None]),
        )

    def with_nodes(self, nodes: Tensor) -> Graphs:
        """The same graphs with other features."""
        return Graphs(nodes, self.edges, self.owner, self.place, self.count, self.roots)

    def with_edges(self, edges: Tensor) -> Graphs:
        """The same nodes with other edges."""
        return Graphs(self.nodes, edges, self.owner, self.place, self.count, self.roots)

    def with_roots(self, roots: Tensor) -> Graphs:
        """The same graphs with other nodes as samples."""
        return Graphs(self.nodes, self.edges, self.owner, self.place, self.count, roots)

    def rows(self, rows: slice) -> Graphs:
        """Only some of the samples; samples that are nodes keep the whole of their graph."""
        if self.roots is not None:
            return self.with_roots(self.roots[rows])
        chosen = torch.zeros(self.count, dtype=torch.bool, device=self.device)
        chosen[rows] = True
        inside = chosen[self.owner]
        number = inside.cumsum(0) - 1
        edges = number[self.edges[:, inside[self.edges[0]]]]
        owner = (chosen.cumsum(0) - 1)[self.owner[inside]]
        return Graphs(self.nodes[inside], edges, owner, self.place[inside], int(chosen.sum()))

    def sizes(self) -> Tensor:
        """Nodes of each graph: int64 ``[count]``."""
        return torch.bincount(self.owner, minlength=self.count)

    def starts(self) -> Tensor:
        """The first node of each graph: int64 ``[count]``."""
        sizes = self.sizes()
        return sizes.cumsum(0) - sizes

    def keep(self, kept: Tensor) -> Graphs:
        """Only some nodes, bool ``[V]``, and the edges between them; roots must be among them, and at least one node of
        each graph."""
        number = kept.cumsum(0) - 1
        edges = number[self.edges[:, kept[self.edges].all(0)]]
        roots = None if self.roots is None else number[self.roots]
        return Graphs(self.nodes[kept], edges, self.owner[kept], self.place[kept], self.count, roots)


@runtime_checkable
class NodeEncoder(Protocol):
    """An encoder of graphs that also gives something for every node.

    Attributes:
        dim: width of the embedding and of every encoded node, ``D``.
        target_dim: features of a node, ``F``.
        family: the name of its layers, see :func:`layer`.
    """

    dim: int
    target_dim: int
    family: str

    def encode_nodes(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """``[V, F]`` and int64 ``[2, E]`` ``-> [V, D]``."""


def layer(family: str, width: int, out: int, heads: int = 1) -> torch.nn.Module:
    """One layer of PyTorch Geometric, ``(nodes [V, width], edges) -> [V, out]``.

    Args:
        family: ``gcn``, ``gin`` or ``gat``.
        heads: of ``gat``; their outputs are averaged.
    """
    nn = needs("torch_geometric.nn", "graph", "learning on graphs", "torch_geometric")
    if family == "gcn":
        return nn.GCNConv(width, out)
    if family == "gat":
        return nn.GATConv(width, out, heads=heads, concat=False)
    inner = torch.nn.Sequential(torch.nn.Linear(width, out), torch.nn.ReLU(), torch.nn.Linear(out, out))
    return nn.GINConv(inner)
