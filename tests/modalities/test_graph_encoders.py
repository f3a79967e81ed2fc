"""Encoders of graphs: what must not matter to them, and their tokens."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import nn

import tacit
from tacit.errors import MissingExtra, OptionError
from tacit.methods.predictive.jepa import JEPA
from tacit.methods.reconstruction.masked_autoencoder import MaskedAutoencoder
from tacit.modalities.graph import encoder_names, evaluation_view, make_encoder, open_source, spec_of, wrap_encoder
from tacit.modalities.graph.plots import as_seen, caption
from tacit.modalities.graph.synthetic import citations, sample
from tacit.parts.graphs import Graphs, NodeEncoder
from tacit.parts.tokens import TokenEncoder, encoded, tokens_of

every_encoder = pytest.mark.parametrize("name", encoder_names())
both_kinds = pytest.mark.parametrize("kind", ["graphs", "nodes"])


def seen(kind: str, count: int = 6) -> tuple[Any, Graphs]:
    data: Any = sample(20) if kind == "graphs" else citations(60, words=20, classes=3)
    source = open_source(data)
    spec = spec_of(source)
    return spec, evaluation_view(spec)(source.batch(torch.arange(count)))[0]["x"]


def shuffled(graphs: Graphs) -> Graphs:
    """The same samples with the nodes of each graph in another order."""
    order = (graphs.owner + torch.rand(len(graphs.owner)) * 0.9).argsort()
    number = order.argsort()
    roots = None if graphs.roots is None else number[graphs.roots]
    edges = number[graphs.edges][:, torch.randperm(graphs.edges.shape[1])]
    return Graphs(graphs.nodes[order], edges, graphs.owner[order], graphs.place, graphs.count, roots)


@every_encoder
@both_kinds
def test_one_vector_a_sample_whatever_the_order_of_nodes(name: str, kind: str) -> None:
    spec, graphs = seen(kind)
    encoder = make_encoder(name, spec, width=16).eval()
    assert isinstance(encoder, TokenEncoder)
    assert isinstance(encoder, NodeEncoder)
    found = encoder(graphs)
    assert found.shape == (6, encoder.dim)
    torch.testing.assert_close(encoder(shuffled(graphs)), found, rtol=1e-4, atol=1e-5)


@every_encoder
def test_other_graphs_of_the_batch_change_nothing(name: str) -> None:
    source = open_source(sample(20))
    spec = spec_of(source)
    encoder, view = make_encoder(name, spec, width=16).eval(), evaluation_view(spec)
    together = encoder(view(source.batch(torch.arange(20)))[0]["x"])
    single = torch.cat([encoder(view(source.batch(torch.tensor([i])))[0]["x"]) for i in range(20)])
    torch.testing.assert_close(single, together, rtol=1e-4, atol=1e-5)


@every_encoder
@both_kinds
def test_tokens_and_padding(name: str, kind: str) -> None:
    spec, graphs = seen(kind)
    encoder = make_encoder(name, spec, width=16).eval()
    tokens = tokens_of(encoder, {"x": graphs})
    assert tokens.valid is not None
    assert tokens.target.shape[2] == spec.features
    out = encoded(encoder, tokens)
    if kind == "graphs":  # all nodes as tokens are the whole graph
        mean = torch.stack([row[real].mean(0) for row, real in zip(out, tokens.valid, strict=True)])
        torch.testing.assert_close(mean, encoder(graphs), rtol=1e-4, atol=1e-5)
    # fewer tokens, padded or not, are the graph without the others
    counts = tokens.counts()
    short = int(counts.min())
    keep = torch.arange(short).expand(6, -1)
    first = encoded(encoder, tokens, keep)
    padded = torch.cat((keep, torch.zeros(6, 3, dtype=torch.int64)), 1)
    real = torch.arange(short + 3).expand(6, -1) < short
    torch.testing.assert_close(encoded(encoder, tokens, padded, real)[:, :short], first, rtol=1e-4, atol=1e-5)


@both_kinds
@pytest.mark.parametrize("cls", [MaskedAutoencoder, JEPA])
def test_masked_methods_reach_every_weight_of_nodes_and_graphs(cls: Any, kind: str) -> None:
    spec, graphs = seen(kind, 20)
    torch.manual_seed(0)
    method = cls(make_encoder("gin", spec, width=16), ratio=0.5)
    loss = method({"views": [{"x": graphs}]})["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in method.encoder.parameters() if p.requires_grad)


@pytest.mark.parametrize("readout", ["mean", "sum", "max"])
def test_readouts(readout: str) -> None:
    spec, graphs = seen("graphs")
    encoder = make_encoder("gcn", spec, width=8, readout=readout).eval()
    nodes = encoder.encode_nodes(graphs.nodes, graphs.edges)
    wanted = []
    for i in range(6):
        own = nodes[graphs.owner == i]
        wanted.append({"mean": own.mean(0), "sum": own.sum(0), "max": own.amax(0)}[readout])
    torch.testing.assert_close(encoder(graphs), torch.stack(wanted), rtol=1e-4, atol=1e-5)


def test_one_convolution_is_the_equation_of_its_paper() -> None:
    """Kipf & Welling 2017, eq. 8: D^-1/2 (A + I) D^-1/2 X W."""
    spec, graphs = seen("nodes")
    encoder = make_encoder("gcn", spec, width=8, depth=1).eval()
    dense = torch.eye(len(graphs.nodes))
    dense[graphs.edges[0], graphs.edges[1]] = 1
    scale = dense.sum(0).rsqrt()
    conv = encoder.net.convs[0]
    wanted = (scale[:, None] * dense * scale) @ encoder.enter(graphs.nodes) @ conv.lin.weight.T + conv.bias
    torch.testing.assert_close(encoder.encode_nodes(graphs.nodes, graphs.edges), wanted, rtol=1e-4, atol=1e-5)


def test_options_that_cannot_be() -> None:
    spec, _ = seen("nodes")
    for name, options in (
        ("gcn", {"width": 0}), ("gcn", {"heads": 2}), ("gat", {"width": 10, "heads": 4}), ("gin", {"depth": 0}),
        ("gcn", {"dropout": 1.0}), ("gcn", {"readout": "median"}), ("gcn", {"context": 1}), ("tree", {}),
    ):  # fmt: skip
        with pytest.raises(OptionError):
            make_encoder(name, spec, **options)


def test_without_its_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, _ = seen("nodes")
    monkeypatch.setitem(sys.modules, "torch_geometric.nn", None)
    with pytest.raises(MissingExtra, match=r"tacit\[graph\]"):
        make_encoder("gcn", spec)


class Own(nn.Module):
    """Somebody's network: mean features of each sample."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.net = nn.Linear(features, 3)

    def forward(self, x: Graphs) -> torch.Tensor:
        if x.roots is not None:
            return self.net(x.nodes[x.roots])
        return self.net(torch.stack([x.nodes[x.owner == i].mean(0) for i in range(x.count)]))


@both_kinds
def test_any_module_is_an_encoder(kind: str, tmp_path: Any) -> None:
    spec, graphs = seen(kind)
    wrapped = wrap_encoder(Own(spec.features), spec)
    assert wrapped.dim == 3
    assert wrapped(graphs).shape == (6, 3)


@pytest.mark.parametrize("sampling", ["whole", "neighbours"])
@pytest.mark.parametrize("method", ["simclr", "byol", "masked-autoencoder", "jepa", "graphmae"])
def test_nodes_of_one_graph_are_trained_on_and_evaluated(method: str, sampling: str, tmp_path: Any) -> None:
    data = citations(80, words=20, classes=3)
    options = {"data.sampling": sampling, "data.fanout": (4, 4), "encoder.width": 16, "lr": 1e-3, "log_every": 1}
    run = tacit.pretrain(data, method, "gat", steps=4, batch_size=16, out=tmp_path / "run", quiet=True, options=options)
    assert all(torch.isfinite(torch.tensor(run.metrics["loss"])))
    assert run.embed(data).shape == (80, 16)
    result = run.evaluate(data)
    assert set(result["knn"]) == {"raw", "random", "trained"}
    assert "nodes of one graph" in run.spec.words()
    with pytest.raises(tacit.TacitError, match="20 are expected"):
        run.embed(citations(80, words=30, classes=3))


@both_kinds
def test_pictures(kind: str) -> None:
    spec, graphs = seen(kind)
    pictures = as_seen({"x": graphs}, spec, 40)
    assert pictures.shape == (6, 40, 40, 3)
    assert all((picture != 255).any(2).sum() > 20 for picture in pictures)
    assert "node" in caption(pictures)
    if kind == "nodes":  # the sample lies in the middle
        assert (pictures[:, 18:22, 18:23] != 255).any(3).any((1, 2)).all()
