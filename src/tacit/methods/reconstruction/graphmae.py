"""GraphMAE: restore the features of hidden nodes from the nodes around them."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.reconstruction import MaskedError, ScaledCosine
from tacit.parts.draws import Draws
from tacit.parts.edges import edge_numbers, node_numbers
from tacit.parts.graphs import Graphs, NodeEncoder, layer
from tacit.registry import register


@register(
    "graphmae",
    kind="method",
    family="reconstruction",
    title="GraphMAE: Self-Supervised Masked Graph Autoencoders",
    year=2022,
    url="https://arxiv.org/abs/2205.10803",
    basis="code",
    modalities=("graph",),
)
class GraphMAE(Method):
    """Half of the nodes lose their features; encoder and a decoder of one layer restore them along the edges.

    Of the nodes that are hidden most get a learned token, a few the features of another node. What the encoder gives
    at hidden nodes is set to zero before the decoder, so that it must look at their neighbours again.

    Args:
        encoder: an encoder of graphs (:class:`tacit.parts.graphs.NodeEncoder`).
        ratio: share of the nodes of each graph that is hidden, in (0, 1). The published code takes it of all nodes of a
            batch together, which would make what a graph loses depend on its company.
        replace: share of the hidden nodes that get another node's features, in [0, 1).
        gamma: how much easy nodes are weighted down, at least 1; only of the cosine error.
        error: ``cosine`` (scaled), or ``squared``, which the paper found worse.
        decoder: ``same``: a layer of the encoder's family; ``mlp``: two linear layers, which see no neighbours.
        remask: whether hidden nodes are set to zero before the decoder; not before an ``mlp``.
        drop: share of the edges that the encoder does not see; the decoder sees all.
        heads: of a ``gat`` decoder.

    Raises:
        OptionError: for an encoder that is not one of graphs, or an impossible value.
    """

    recipe: ClassVar[str] = "plain"
    preferred: ClassVar[str | None] = "gat"
    encoder: NodeEncoder

    def __init__(
        self,
        encoder: nn.Module,
        *,
        ratio: float = 0.5,
        replace: float = 0.05,
        gamma: float = 3.0,
        error: Literal["cosine", "squared"] = "cosine",
        decoder: Literal["same", "mlp"] = "same",
        remask: bool = True,
        drop: float = 0.0,
        heads: int = 1,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, NodeEncoder):
            raise OptionError(f"graphmae needs an encoder of graphs, which {type(encoder).__name__} is not")
        for name, value, low in (("ratio", ratio, 1e-9), ("replace", replace, 0.0), ("drop", drop, 0.0)):
            if not low <= value < 1:
                raise OptionError(f"{name} must be {'above' if low else 'at least'} 0 and below 1, not {value}")
        if heads < 1:
            raise OptionError(f"heads must be at least 1, not {heads}")
        self.ratio, self.replace, self.drop = ratio, replace, drop
        self.remask = remask and decoder == "same"
        self.token = nn.Parameter(torch.zeros(encoder.target_dim))
        self.bridge = nn.Linear(encoder.dim, encoder.dim, bias=False)
        self.decoder: nn.Module
        if decoder == "same":
            self.decoder = layer(encoder.family, encoder.dim, encoder.target_dim, heads)
        else:
            widths = nn.Linear(encoder.dim, encoder.dim), nn.Linear(encoder.dim, encoder.target_dim)
            self.decoder = nn.Sequential(widths[0], nn.ReLU(), widths[1])
        self.sees_edges = decoder == "same"
        self.objective = ScaledCosine(gamma) if error == "cosine" else MaskedError(normalise=False)

    def loss(self, batch: Batch) -> Tensor:
        graphs: Graphs = batch["views"][0]["x"]
        if not bool((graphs.sizes() > 1).any()):
            raise ValueError("hiding nodes needs a graph with at least 2 of them in a batch")
        draws = Draws(device=graphs.device)
        hidden, noisy, other = self._chosen(graphs, draws)
        seen = graphs.nodes.index_copy(0, hidden, self.token.to(graphs.nodes.dtype).expand(len(hidden), -1))
        if len(noisy):
            seen = seen.index_copy(0, noisy, graphs.nodes[other])
        edges = graphs.edges
        if self.drop:
            edges = edges[:, edge_numbers(graphs, draws) >= self.drop]
        encoder = self.encoder
        restored = self.bridge(encoder.encode_nodes(seen, edges))
        masked = torch.cat((hidden, noisy))
        if self.remask:
            restored = restored.index_fill(0, masked, 0)
        restored = self.decoder(restored, graphs.edges) if self.sees_edges else self.decoder(restored)
        found, wanted = restored[masked], graphs.nodes[masked]
        if isinstance(self.objective, ScaledCosine):
            return self.objective(found, wanted)
        return self.objective(
            found[None], wanted[None], torch.ones(1, len(masked), dtype=torch.bool, device=found.device)
        )

    def _chosen(self, graphs: Graphs, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes that get the token, nodes that get another's features, and whose; of each graph its own share."""
        sizes = graphs.sizes()
        order, place = _shuffled(graphs, draws)
        owner = graphs.owner[order]
        count = (self.ratio * sizes).long().clamp_min(1).clamp_max(sizes - 1)
        # a share of few nodes is less than one, and so becomes one now and then
        chance = node_numbers(graphs, draws)[graphs.starts()]
        few = (self.replace * count + chance).long().clamp_max(count)
        noisy, masked = place < few[owner], place < count[owner]
        other = _shuffled(graphs, draws)[0]
        return order[masked & ~noisy], order[noisy], other[noisy]


def _shuffled(graphs: Graphs, draws: Draws) -> tuple[Tensor, Tensor]:
    """The nodes in random order, graph after graph, ``[V]``, and the place of each in the order of its graph."""
    order = node_numbers(graphs, draws).argsort()
    order = order[graphs.owner[order].argsort(stable=True)]
    return order, torch.arange(len(order), device=order.device) - graphs.starts()[graphs.owner[order]]
