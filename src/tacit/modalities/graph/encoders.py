"""Encoders of graphs, made of PyTorch Geometric's layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, needs, unknown
from tacit.modalities.graph.spec import Spec
from tacit.options import settle
from tacit.parts.edges import coordinates, line_up
from tacit.parts.graphs import Graphs
from tacit.parts.tokens import Tokens
from tacit.parts.wrapping import wrapped

READOUTS = ("mean", "sum", "max")


def encoder_names() -> list[str]:
    """Names of the encoders: ``gat`` (attention), ``gcn`` (convolution), ``gin`` (sums and small networks)."""
    return ["gat", "gcn", "gin"]


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``gin`` for graphs, ``gcn`` for nodes; all have tokens."""
    return "gin" if spec.samples == "graphs" else "gcn"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``Graphs -> [B, dim]`` for nodes with the features of ``spec``.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`GraphNet`.

    Raises:
        OptionError: for an unknown name or option.
        MissingExtra: without PyTorch Geometric.
    """
    if name not in encoder_names():
        raise unknown("encoder", name, encoder_names())
    return GraphNet(spec.features, name, **settle(options, GraphNet, f"encoder {name}", skip=2))


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder: it takes :class:`tacit.parts.graphs.Graphs`.

    Raises:
        OptionError: if it does not give ``[B, D]``.
    """
    edges, two = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]]), torch.tensor([0, 2])
    nodes, place = torch.zeros(4, spec.features), torch.arange(4)
    if spec.samples == "nodes":
        return wrapped(module, Graphs(nodes, edges, torch.zeros(4, dtype=torch.int64), place, 1, two))
    return wrapped(module, Graphs(nodes, edges, place // 2, place % 2, 2))


class GraphNet(nn.Module):
    """A linear embedding of each node's features, then layers that pass messages along the edges, with layer norm and
    ReLU between them. A node that is a sample gives what it has itself; a graph, the readout of its nodes.

    Its tokens are the nodes: of a graph all, of a node itself and those around it. Hidden nodes take no part, and
    neither do their edges.

    Args:
        features: of a node.
        family: ``gcn``, ``gin`` or ``gat``.
        width: of the nodes and the embedding.
        depth: number of layers, so many edges a node sees far; by default 2 for ``gcn`` and ``gat``, 3 for ``gin``.
        heads: of ``gat``, 4 by default; ``width`` must be a multiple.
        dropout: of features between layers, and of attention.
        readout: of a graph's nodes: ``mean``, ``sum`` or ``max``.
        context: tokens of a sample that is a node.

    Sources: Kipf & Welling 2017, Semi-Supervised Classification with Graph Convolutional Networks; Xu et al. 2019, How
    Powerful are Graph Neural Networks?; Veličković et al. 2018, Graph Attention Networks.

    Raises:
        OptionError: for sizes that cannot be.
        MissingExtra: without PyTorch Geometric.
    """

    normalise_targets = False

    def __init__(
        self,
        features: int,
        family: str,
        *,
        width: int = 128,
        depth: int | None = None,
        heads: int | None = None,
        dropout: float = 0.0,
        readout: str = "mean",
        context: int = 16,
    ) -> None:
        super().__init__()
        depth = depth if depth is not None else 3 if family == "gin" else 2
        for name, value, least in (("width", width, 1), ("depth", depth, 1), ("context", context, 2)):
            if value < least:
                raise OptionError(f"{name} of {family} must be at least {least}, not {value}")
        if heads is not None and family != "gat":
            raise OptionError(f"heads is an option of gat; {family} has none")
        heads = heads or 4
        if family == "gat" and (heads < 1 or width % heads):
            raise OptionError(f"width of gat must be a multiple of heads ({heads}), not {width}")
        if not 0 <= dropout < 1:
            raise OptionError(f"dropout must be at least 0 and below 1, not {dropout}")
        if readout not in READOUTS:
            raise unknown("readout", readout, READOUTS)
        models = needs("torch_geometric.nn", "graph", "an encoder of graphs", "torch_geometric")
        self.dim, self.target_dim, self.family, self.readout, self.context = width, features, family, readout, context
        self.enter = nn.Linear(features, width)
        more: dict[str, Any] = {"heads": heads} if family == "gat" else {}
        self.net = getattr(models, family.upper())(
            width, width, depth, dropout=dropout, norm="layer_norm", norm_kwargs={"mode": "node"}, **more
        )

    def forward(self, x: Graphs) -> Tensor:
        """Graphs ``-> [B, dim]``."""
        nodes = self.encode_nodes(x.nodes, x.edges)
        if x.roots is not None:
            return nodes[x.roots]
        if self.readout == "max":
            at = x.owner[:, None].expand_as(nodes)
            return nodes.new_zeros(x.count, self.dim).scatter_reduce(0, at, nodes, "amax", include_self=False)
        total = nodes.new_zeros(x.count, self.dim).index_add_(0, x.owner, nodes)
        return total if self.readout == "sum" else total / x.sizes()[:, None].to(total.dtype)

    def encode_nodes(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """``[V, F]`` and int64 ``[2, E]`` ``-> [V, dim]``."""
        return self.net(self.enter(nodes), edges)

    def tokenize(self, x: Graphs) -> Tokens:
        """Nodes as tokens; where they lie is told by :func:`tacit.parts.edges.coordinates`, which the encoder itself
        does not see: it has the edges, counted through the rows, as structure."""
        index, valid, links = line_up(x, self.context)
        target = x.nodes[index] * valid[..., None]
        return Tokens(self.enter(target), target, coordinates(valid, links), valid, structure=links)

    def encode_tokens(
        self,
        tokens: Tensor,
        keep: Tensor | None = None,
        valid: Tensor | None = None,
        structure: Tensor | None = None,
    ) -> Tensor:
        """Encode tokens ``[B, N, dim]``, or only those at ``keep``, of which ``valid`` are real, along the edges
        between them: ``[B, K, dim]``."""
        batch, width = tokens.shape[:2]
        links = tokens.new_zeros(2, 0, dtype=torch.int64) if structure is None else structure
        if keep is not None:
            tokens = tokens.gather(1, keep[..., None].expand(-1, -1, tokens.shape[2]))
            row = torch.arange(batch, device=keep.device)[:, None]
            number = links.new_full((batch * width,), -1)
            real = torch.ones_like(keep, dtype=torch.bool) if valid is None else valid
            places = torch.arange(keep.numel(), device=keep.device).view_as(keep)
            number[(row * width + keep)[real]] = places[real]
            links = number[links]
            links = links[:, (links >= 0).all(0)]
        return self.net(tokens.flatten(0, 1), links).view(batch, -1, self.dim)
