"""Views of graphs: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.modalities.graph.changes import EdgeDrop, FeatureMask, Jitter, NodeDrop, NodeMask, Subgraph
from tacit.modalities.graph.spec import Spec
from tacit.parts.draws import Draws
from tacit.parts.edges import by_target
from tacit.parts.graphs import Graphs
from tacit.views.base import View, Views
from tacit.views.changes import ROLES, Chain, Chained, Own, Prepare, chained

STRONG: Chain = (
    Subgraph(p=0.0),
    NodeDrop(p=0.0),
    EdgeDrop(0.3),
    FeatureMask(0.2),
    NodeMask(p=0.0),
    Jitter(p=0.0),
)
"""What is off (p=0) costs nothing and is turned on by ``--set views.node-drop=1``."""
CHAINS: dict[str, Chain] = {
    "strong": STRONG,
    "weak": (EdgeDrop(0.1),),
    "local": (Subgraph((0.2, 0.5)), *STRONG[1:]),
}
DEGREES = 8
"""Bins of the degrees of a graph that stands for itself; bin k has degrees from 2^k - 1 on."""


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x``, a :class:`tacit.parts.graphs.Graphs` with normalised features.

    The recipes that methods ask for by name are chains of the transformations in :mod:`tacit.modalities.graph.changes`.
    Besides there is ``neighbours``, without augmentation: a node and one of its neighbours, or two parts of a graph.

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: statistics of the data.
        options: ``<transformation>.<parameter>``, e.g. ``edge-drop.share=0.4``; see
            :func:`tacit.views.changes.chained`.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {"neighbours": Neighbours}
    return chained(recipe, Normalise(spec), CHAINS, own, **options)


RECIPES = (*ROLES, "neighbours")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the whole graph, normalised."""
    return Chained(Normalise(spec), [()])


class Normalise:
    """A batch as a view, its features as the spec says: ``columns`` to zero mean and unit variance, ``rows`` to length
    1, or as they are."""

    def __init__(self, spec: Spec) -> None:
        self.scaling = spec.scaling
        self.mean, self.scale = torch.tensor(spec.mean), 1 / torch.tensor(spec.std)

    def __call__(self, batch: Batch) -> View:
        graphs: Graphs = batch["x"]
        nodes = graphs.nodes.float()
        if self.scaling == "columns":
            nodes = (nodes - self.mean.to(nodes.device)) * self.scale.to(nodes.device)
        elif self.scaling == "rows":
            nodes = F.normalize(nodes)
        return {"x": graphs.with_nodes(nodes)}


class Neighbours(Views):
    """Two views that lie near each other, with nothing changed: a node and one of its neighbours, drawn at random (the
    node itself where it has none); or, of graphs, the nodes nearest to one and to another random node.

    Args:
        prepare: see :class:`tacit.views.changes.Chained`.
        share: part of a graph that a view has, in (0, 1].

    Source: the neighbours as positives are those of Lee et al. 2022, Augmentation-Free Self-Supervised Learning on
    Graphs, without its search for the nearest among them.

    Raises:
        OptionError: for a share out of range.
    """

    def __init__(self, prepare: Prepare, *, share: float = 0.6) -> None:
        if not 0 < share <= 1:
            raise OptionError(f"share must be above 0 and at most 1, not {share}")
        self.prepare, self.part = prepare, Subgraph((share, share))

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        view = self.prepare(batch)
        graphs: Graphs = view["x"]
        if graphs.roots is None:
            return [self.part(view, draws) for _ in range(2)]
        begin, source = by_target(graphs.edges, len(graphs.nodes))
        first, count = begin[graphs.roots], begin[graphs.roots + 1] - begin[graphs.roots]
        at = first + (draws.uniform(len(graphs)) * count).long()
        other = torch.where(count > 0, torch.cat((source, source.new_zeros(1)))[at], graphs.roots)
        return [view, view | {"x": graphs.with_roots(other)}]


def raw(view: View) -> Tensor:
    """A node's features ``[B, F]``; of graphs the mean of their nodes' features and how the degrees are spread over
    bins that double in width, ``[B, F + 8]``."""
    graphs: Graphs = view["x"]
    if graphs.roots is not None:
        return graphs.nodes[graphs.roots]
    degree = torch.bincount(graphs.edges[1], minlength=len(graphs.nodes))
    bins = (degree + 1).float().log2().floor().long().clamp_max(DEGREES - 1)
    each = torch.cat((graphs.nodes, F.one_hot(bins, DEGREES).to(graphs.nodes)), 1)
    total = each.new_zeros(graphs.count, each.shape[1]).index_add_(0, graphs.owner, each)
    return total / graphs.sizes()[:, None]
