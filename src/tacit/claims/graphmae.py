"""GraphMAE (Hou et al. 2022): hidden features of nodes restored under a scaled cosine error, against edges restored."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.data import Batch
from tacit.evaluation.probe import linear_probe
from tacit.methods.base import Method
from tacit.modalities import open_source
from tacit.parts.graphs import Graphs, NodeEncoder
from tacit.run import Run

STEPS = 100
WORDS = 400
"""The words that most papers have; all 1,433 take four times as long."""
OPTIONS: dict[str, Any] = {
    "steps": STEPS, "lr": 1e-2, "weight_decay": 2e-4, "encoder.width": 64, "encoder.dropout": 0.2,
    "precision": "32-true", "checkpoint_every": STEPS,
}  # fmt: skip


class GAE(Method):
    """Kipf & Welling 2016, Variational Graph Auto-Encoders, the one that is not variational: products of what two nodes
    give tell the graph's edges from as many random pairs."""

    recipe = "plain"

    def loss(self, batch: Batch) -> Tensor:
        graphs: Graphs = batch["views"][0]["x"]
        encoder: NodeEncoder = self.encoder
        z = encoder.encode_nodes(graphs.nodes, graphs.edges)
        others = torch.randint(len(z), tuple(graphs.edges.shape), device=z.device)
        scores = torch.cat([(z[ends[0]] * z[ends[1]]).sum(1) for ends in (graphs.edges, others)])
        wanted = torch.zeros_like(scores)
        wanted[: graphs.edges.shape[1]] = 1
        return F.binary_cross_entropy_with_logits(scores, wanted)


@experiment(
    name="graphmae",
    statement="Restoring the features of hidden nodes under a scaled cosine error gives better embeddings of nodes "
    "than restoring edges.",
    baseline="graph autoencoder (edges restored), same encoder",
    method="graphmae",
    metric="linear-probe accuracy, %",
    data="Cora (2,708 papers, 5,278 citations) with its 400 most frequent words, the public split: 140 papers to fit "
    "the probe, 1,000 to test",
)
def graphmae(trial: Trial) -> Result:
    path = trial.data_file("cora.npz")
    with np.load(path, allow_pickle=False) as archive:
        y, train, test = (archive[name] for name in ("y", "train", "test"))
    graphs: Graphs = open_source(path, "graph").batch(torch.tensor([0]))["x"]
    frequent = graphs.nodes.sum(0).argsort(descending=True, stable=True)[:WORDS]
    source = open_source({"edge_index": graphs.edges, "x": graphs.nodes[:, frequent]}, "graph", scaling="rows")

    def score(rows: np.ndarray) -> float:
        return 100 * linear_probe(rows[train], y[train], rows[test], y[test], seed=trial.seed).accuracy

    def learned(method: str | type[Method], **options: Any) -> float:
        return trained(
            source, method, lambda run: score(whole(run)), encoder="gcn", seed=trial.seed,
            **OPTIONS | {"batch_size": len(y)} | options,
        )  # fmt: skip

    def whole(run: Run, encoder: Any = None) -> np.ndarray:
        return torch.cat(list(run.stream(source, encoder, batch_size=len(y)))).numpy()

    arms = {"gae": learned(GAE), "graphmae": learned("graphmae")}
    notes: dict[str, Any] = {}
    if trial.seed == 0:
        notes["raw features"] = score(source.batch(torch.arange(len(y)))["x"].nodes.numpy())
        notes["random encoder"] = trained(
            source, "graphmae", lambda run: score(whole(run, run.random_encoder())), encoder="gcn", seed=trial.seed,
            **OPTIONS | {"batch_size": len(y), "steps": 1},
        )  # fmt: skip
        notes["squared error"] = learned("graphmae", error="squared")
        notes["not masked again"] = learned("graphmae", remask=False)
    return Result(arms["gae"], arms["graphmae"], notes)
