"""Graphs in memory, taken in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.modalities.graph.records import Record
from tacit.parts.draws import mix
from tacit.parts.edges import by_target
from tacit.parts.graphs import Graphs


class ManyGraphs:
    """Samples that are graphs.

    Args:
        records: with features, all of one width.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self.nodes = torch.from_numpy(np.concatenate([one.x for one in records if one.x is not None]))
        self.edges = torch.from_numpy(np.concatenate([one.edges for one in records], 1))
        self.length = torch.tensor([one.count for one in records])
        self.edge_count = torch.tensor([one.edges.shape[1] for one in records])
        self.start = self.length.cumsum(0) - self.length
        self.edge_start = self.edge_count.cumsum(0) - self.edge_count
        self.ragged = int(self.length.min()) < int(self.length.max())

    def __len__(self) -> int:
        return len(self.length)

    def take(self, index: Tensor) -> dict[str, Any]:
        sizes, owner, place = _stretches(self.length[index])
        nodes = self.nodes[self.start[index][owner] + place]
        _, graph, nth = _stretches(self.edge_count[index])
        edges = self.edges[:, self.edge_start[index][graph] + nth]
        begins = sizes.cumsum(0) - sizes
        return {"x": Graphs(nodes, edges + begins[graph], owner, place, len(index))}


def _stretches(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, and for each of all that they count: which it belongs to, and its place among these."""
    owner = torch.arange(len(counts)).repeat_interleave(counts)
    return counts, owner, torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]


class OneGraph:
    """Samples that are nodes of one graph.

    Args:
        nodes: float32 ``[V, F]``.
        edges: int64 ``[2, E]``.
        fanout: how many neighbours are drawn of each node at the first, second, ... step away from the samples; None:
            every batch has the whole graph.
        undirected: whether what is drawn goes both ways.
    """

    def __init__(self, nodes: Tensor, edges: Tensor, fanout: tuple[int, ...] | None, undirected: bool) -> None:
        self.nodes, self.edges, self.fanout, self.undirected = nodes, edges, fanout, undirected
        self.begin, self.source = by_target(edges, len(nodes))

    def __len__(self) -> int:
        return len(self.nodes)

    def take(self, index: Tensor) -> dict[str, Any]:
        if self.fanout is None:
            place = torch.arange(len(self.nodes))
            return {"x": Graphs(self.nodes, self.edges, torch.zeros_like(place), place, 1, index)}
        place, edges = self._around(index)
        number = torch.searchsorted(place, edges)
        roots = torch.searchsorted(place, index)
        return {"x": Graphs(self.nodes[place], number, torch.zeros_like(place), place, 1, roots)}

    def _around(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes drawn around those at ``index``, in order, and the edges they were drawn along; a function of the
        index alone."""
        random = torch.Generator().manual_seed(mix(*index[:4].tolist(), len(index)))
        front = index.unique()
        reached, edges = front, []
        for most in self.fanout or ():
            first, degree = self.begin[front], self.begin[front + 1] - self.begin[front]
            few = degree <= most
            nth = torch.arange(most).expand(len(front), -1)
            drawn = (torch.rand(len(front), most, generator=random) * degree[:, None]).long()
            nth = torch.where(few[:, None], nth, drawn)
            real = nth < degree[:, None]
            source = self.source[(first[:, None] + nth)[real]]
            target = front[:, None].expand(-1, most)[real]
            edges.append(torch.stack((source, target)))
            grown = torch.cat((reached, source)).unique()
            front = grown[~torch.isin(grown, reached)]
            reached = grown
        pairs = torch.cat(edges, 1)
        if self.undirected:
            pairs = torch.cat((pairs, pairs.flip(0)), 1)
        key = (pairs[0] * len(self.nodes) + pairs[1]).unique()  # what was drawn twice counts once
        return reached, torch.stack((key // len(self.nodes), key % len(self.nodes)))
