"""SelfTask: labels of some nodes, and a task on all of them that says what lies around a node."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.data import Batch
from tacit.errors import DataError, OptionError
from tacit.methods.base import Adaptation, Samples
from tacit.methods.supervised.graph_tasks import PAIR_TASKS, distance_pairs, similarity_pairs
from tacit.objectives.context import ContextError, SomeLabels
from tacit.parts.draws import Draws
from tacit.parts.edges import hops, whole_graph
from tacit.parts.graphs import Graphs, NodeEncoder, layer
from tacit.parts.pseudo_labels import collective, label_context, propagated, prototypes, two_hops
from tacit.registry import register
from tacit.views.base import View

FAR = 16
"""Edges that a distance to labelled nodes is counted over, at most."""
DRAWN = 320
"""Nodes of a class that prototypes are looked for among."""


@register(
    "selftask-gnn",
    kind="adaptation",
    family="supervised",
    title="Self-supervised Learning on Graphs: Deep Insights and New Direction",
    year=2020,
    url="https://arxiv.org/abs/2006.10141",
    basis="code",
    modalities=("graph",),
)
class SelfTask(Adaptation):
    """Cross entropy on the nodes that have a label, and a self-supervised task on the others.

    The encoder's output through a ReLU is the embedding; one more layer of its family predicts the classes. With an
    encoder of ``depth=1`` this is the paper's network. Labels of -1 are unknown; the tasks never see others than those
    that are used.

    Args:
        encoder: an encoder of graphs (:class:`tacit.parts.graphs.NodeEncoder`); samples are nodes of one graph.
        task: ``none``; of the structure: ``degree`` and ``distance`` (how many edges two nodes are apart: 1, 2, 3 or
            more); of the features: ``similarity`` (of two nodes); of the labels: ``labelled-distance`` (the mean
            of 1/hop to the labelled nodes of each class), ``context`` (how classes are spread over the nodes one and
            two edges away), and ``corrected``: context with labels that are mended during the training.
        weight: of the task; the paper chooses it by validation for every task and data set.
        alpha: weight of mended labels beside the first ones.
        labels: how many labelled nodes of each class are used, drawn at random; 0: all that there are.
        guess: what labels the others for ``context``: ``propagation``, ``collective`` (iterative classification), or
            ``both``.
        pairs: pairs of nodes in a step, of ``distance`` and ``similarity``.
        mended: nodes that get a new label in a step, of ``corrected``.
        dropout: of the embedding before the classifier.

    Raises:
        OptionError: for an encoder that is not one of graphs, or an impossible value.
        DataError: for samples that are no nodes, a class without a labelled node, or no node without a label.
    """

    recipe: ClassVar[str] = "plain"
    preferred: ClassVar[str | None] = "gcn"
    partly: ClassVar[bool] = True
    encoder: NodeEncoder

    def __init__(
        self,
        encoder: nn.Module,
        *,
        task: Literal[
            "none", "degree", "distance", "similarity", "labelled-distance", "context", "corrected"
        ] = "corrected",
        weight: float = 10.0,
        alpha: float = 1.0,
        labels: int = 0,
        guess: Literal["propagation", "collective", "both"] = "both",
        pairs: int = 2000,
        mended: int = 1000,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, NodeEncoder):
            raise OptionError(f"selftask-gnn needs an encoder of graphs, which {type(encoder).__name__} is not")
        if weight < 0 or alpha < 0 or labels < 0:
            raise OptionError("weight, alpha and labels must not be negative")
        if pairs < 4 or mended < 1:
            raise OptionError(f"pairs must be at least 4 and mended at least 1, not {pairs} and {mended}")
        if not 0 <= dropout < 1:
            raise OptionError(f"dropout must be at least 0 and below 1, not {dropout}")
        self.task, self.weight, self.alpha, self.labels, self.guess = task, weight, alpha, labels, guess
        self.pairs, self.mended = pairs, mended
        self.dropout = nn.Dropout(dropout)
        self.classify = SomeLabels()
        self.objective = ContextError(distribution=task in ("context", "corrected"))
        self._around: tuple[Tensor, Tensor] | None = None

    def labelled(self, classes: int) -> None:
        super().labelled(classes)
        encoder = self.encoder
        self.head = layer(encoder.family, self.dim, classes)
        width = {"none": 0, "degree": 1, "distance": 4, "similarity": 1}.get(self.task, classes)
        if width:
            self.predictor = nn.Linear(self.dim, width)
        self.width = width

    def sized(self, count: int) -> None:
        self.register_buffer("known", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("pseudo", torch.zeros(count, dtype=torch.int64))
        rows = 0 if self.task in PAIR_TASKS else count
        self.register_buffer("target", torch.zeros(rows, self.width))

    known: Tensor
    pseudo: Tensor
    target: Tensor

    def begin(self, samples: Samples) -> None:
        if next(iter(samples()))["views"][0]["x"].roots is None:
            raise DataError("selftask-gnn learns from nodes of one graph; say --set data.samples=nodes")
        graph = whole_graph(samples())
        y = torch.full((len(self.known),), -1, device=graph.device)
        for batch in samples():
            y[batch["index"]] = batch["y"]
        self.known.copy_(self._used(y))
        y = torch.where(self.known, y, -1)  # from here on, no other label is known
        if self.task not in PAIR_TASKS and bool(self.known.all()):
            raise DataError("every node has a label, and the task is for those without; say --set labels=20")
        if self.task == "degree":
            degree = torch.bincount(graph.edges[1], minlength=len(y)).float().add(1).log()
            self.target.copy_(((degree - degree.mean()) / degree.std().clamp_min(1e-6))[:, None])
        if self.task == "labelled-distance":
            near = torch.stack([self._nearness(graph, y == c) for c in range(self.classes)], 1)
            self.target.copy_((near - near.mean(0)) / near.std(0).clamp_min(1e-6))
        if self.task in ("context", "corrected"):
            self.pseudo.copy_(torch.where(self.known, y, self._guessed(graph, y)))
            self.target.copy_(label_context(two_hops(graph.edges, len(y)), self.pseudo, self.classes))

    def _used(self, y: Tensor) -> Tensor:
        used = y >= 0
        order = torch.randperm(len(y)).to(y.device)
        for c in range(self.classes):
            own = order[y[order] == c]
            if not len(own):
                raise DataError(f"class {c} has no labelled node; every class needs one")
            if self.labels:
                used[own[self.labels :]] = False
        return used

    def _nearness(self, graph: Graphs, own: Tensor) -> Tensor:
        """The mean of 1/hop to some nodes, a node's own distance left out: ``[V]``; 0 for what is out of reach."""
        total = torch.zeros(len(own), device=own.device)
        for some in own.nonzero()[:, 0].split(64):
            begin = torch.zeros(len(own), len(some), dtype=torch.bool, device=own.device)
            begin[some, torch.arange(len(some), device=own.device)] = True
            far = hops(graph.edges, begin, FAR)
            total += torch.where((far > 0) & (far <= FAR), 1 / far.clamp_min(1), 0).sum(1)
        return total / own.sum()

    def _guessed(self, graph: Graphs, y: Tensor) -> Tensor:
        found = torch.zeros(len(y), self.classes, device=y.device)
        if self.guess != "collective":
            found = found + propagated(graph.edges, y, self.classes)
        if self.guess != "propagation":
            found = found + collective(graph.nodes, graph.edges, y, self.classes)
        return found.argmax(1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        graph: Graphs = batch["views"][0]["x"]
        roots, index = graph.roots, batch["index"]
        assert roots is not None
        h, dropped, scores = self._through_layers(graph)
        known = self.known[index]
        terms = {"labels": self.classify(scores[roots], batch["y"], known)}
        if self.task == "none" or not self.weight:
            return terms
        if self.task in PAIR_TASKS:
            return terms | {self.task: self.weight * self._of_pairs(graph, dropped)}
        seen = h if self.objective.distribution else dropped
        error = self.objective(self.predictor(self.dropout(seen)[roots]), self.target[index], ~known)
        if self.task == "corrected":
            error = error + self.alpha * self._corrected(graph, h)
        return terms | {self.task: self.weight * error}

    def _through_layers(self, graph: Graphs) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of all nodes, the same after dropout, and scores of the classes."""
        encoder = self.encoder
        h = F.relu(encoder.encode_nodes(graph.nodes, graph.edges))
        dropped = self.dropout(h)
        return h, dropped, self.head(dropped, graph.edges)

    def _of_pairs(self, graph: Graphs, h: Tensor) -> Tensor:
        draws = Draws(device=h.device)
        if self.task == "distance":
            one, other, apart = distance_pairs(graph.edges, len(h), self.pairs, draws)
            scores = self.predictor((h[one] - h[other]).abs())
            return self.classify(scores, apart, torch.ones_like(apart, dtype=torch.bool))
        one, other, alike = similarity_pairs(graph.nodes, self.pairs, draws)
        found = self.predictor((h[one] - h[other]).abs())
        return self.objective(found, alike[:, None], torch.ones_like(one, dtype=torch.bool))

    def _corrected(self, graph: Graphs, h: Tensor) -> Tensor:
        """The error on some nodes after these got the label of the prototypes that they are most similar to."""
        rows = F.normalize(h.detach().float(), eps=1e-6)
        labels = self.pseudo[graph.place].clone()
        order = torch.randperm(len(rows)).to(rows.device)
        means = []
        for c in range(self.classes):
            own = order[labels[order] == c][:DRAWN]
            chosen = own[prototypes(rows[own])] if len(own) > 1 else own
            means.append((rows @ rows[chosen].T).mean(1) if len(chosen) else rows.new_full((len(rows),), -1.0))
        without = order[~self.known[graph.place[order]]][: self.mended]
        labels[without] = torch.stack(means, 1)[without].argmax(1)
        target = label_context(self._pairs_of(graph), labels, self.classes)
        picked = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        picked[without] = True
        return self.objective(self.predictor(self.dropout(h)), target, picked)

    def _pairs_of(self, graph: Graphs) -> Tensor:
        """Nodes within two edges of each other, computed once where every batch has the same graph."""
        if self._around is None or not torch.equal(self._around[0], graph.edges):
            self._around = graph.edges, two_hops(graph.edges, len(graph.nodes))
        return self._around[1]

    def predict(self, view: View) -> dict[str, Tensor]:
        graph: Graphs = view["x"]
        assert graph.roots is not None
        return {"classes": self._through_layers(graph)[2][graph.roots]}
