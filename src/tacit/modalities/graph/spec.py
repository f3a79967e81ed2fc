"""What views and encoders must know of a set of graphs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from tacit.data import Source
from tacit.parts.graphs import Graphs

NOUN = ("sample", "samples")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        features: of a node.
        samples: what a sample is: ``graphs`` or ``nodes``.
        nodes, edges: how many there are in all; each edge of an undirected graph counts once.
        scaling: of features: ``columns`` to zero mean and unit variance, ``rows`` (those of a node) to length 1, or
            ``none``.
        mean, std: of the features.
        columns: options for reading other data in the same way.
    """

    features: int
    samples: str
    nodes: int
    edges: int
    scaling: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    columns: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return dict(self.columns)

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        kind = "nodes of one graph" if self.samples == "nodes" else "graphs"
        return f"{kind}, {self.nodes:,} nodes, {self.edges:,} edges, {self.features} features"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        mean, std = tuple(row["mean"]), tuple(row["std"])
        rest = {n: row[n] for n in ("features", "samples", "nodes", "edges", "scaling")}
        return cls(**rest, mean=mean, std=std, columns=dict(row["columns"]))


def spec_of(source: Source, sample: int = 4096) -> Spec:
    """The spec of a data set: statistics of the features in up to ``sample`` samples (and, of nodes, those around)."""
    chosen = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
    total, squares = torch.zeros(1).double(), torch.zeros(1).double()
    seen, lowest, empty, whole = 0, 0.0, 0.0, True
    facts = source.describe()
    for batch in source.batches(len(chosen) if facts.get("whole") else 512, chosen):
        graphs: Graphs = batch["x"]
        x = graphs.nodes.double()
        total, squares, seen = total + x.sum(0), squares + x.square().sum(0), seen + len(x)
        lowest, empty = min(lowest, float(x.min())), empty + float((x == 0).double().mean(1).sum())
        whole = whole and bool((x.sum(1) == x.amax(1)).all()) and lowest == 0
    mean = total / seen
    std = (squares / seen - mean.square()).clamp_min(0).sqrt()
    std = torch.where(std > 1e-6 * mean.abs().clamp_min(1e-6), std, torch.ones_like(std))
    reading = dict(facts.get("reading", {}))
    scaling = reading.get("scaling", "auto")
    if scaling == "auto":  # one entry a node: a kind of node; few entries, none below zero: counts
        scaling = "none" if whole else "rows" if lowest == 0 and empty > 0.5 * seen else "columns"
    return Spec(
        len(mean), facts["samples"], facts["nodes"], facts["edges"], scaling, tuple(mean.tolist()),
        tuple(std.tolist()), reading | {"scaling": scaling},
    )  # fmt: skip
