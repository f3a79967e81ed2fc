"""GraphMAE against a dense computation of its equations, and what it must survive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.methods.reconstruction.graphmae import GraphMAE
from tacit.modalities.graph import evaluation_view, make_encoder, open_source, spec_of
from tacit.modalities.graph.synthetic import citations, sample
from tacit.parts.draws import Draws
from tacit.parts.graphs import Graphs


def seen(count: int = 20, graphs: bool = False) -> tuple[Any, Graphs]:
    data: Any = sample(30) if graphs else citations(60, words=20, classes=3)
    source = open_source(data)
    spec = spec_of(source)
    return spec, evaluation_view(spec)(source.batch(torch.arange(count)))[0]["x"]


def loss_of(method: GraphMAE, graphs: Graphs, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return method({"views": [{"x": graphs}]})["loss"]


def dense(graphs: Graphs) -> Tensor:
    """D^-1/2 (A + I) D^-1/2, entry by entry."""
    size = len(graphs.nodes)
    linked = np.eye(size)
    for a, b in graphs.edges.T.tolist():
        linked[b, a] = 1
    degree = linked.sum(1)
    return torch.tensor([[linked[i, j] / np.sqrt(degree[i] * degree[j]) for j in range(size)] for i in range(size)])


@pytest.mark.parametrize("remask", [True, False])
def test_it_is_the_equations_of_its_paper(remask: bool) -> None:
    spec, graphs = seen()
    torch.manual_seed(0)
    method = GraphMAE(make_encoder("gcn", spec, width=8, depth=1), ratio=0.4, replace=0.2, gamma=2.0, remask=remask)
    method = method.double().eval()
    graphs = graphs.to(torch.float64)
    nn.init.normal_(method.token)
    torch.manual_seed(3)
    hidden, noisy, other = (part.tolist() for part in method._chosen(graphs, Draws()))
    masked = sorted(hidden + noisy)
    assert len(masked) == int(0.4 * 60)
    assert len(noisy) in (4, 5)  # 0.2 of 24
    assert len(set(masked)) == len(masked)
    seen_x = graphs.nodes.clone()
    for node in hidden:
        seen_x[node] = method.token.detach()
    for node, whose in zip(noisy, other, strict=True):
        seen_x[node] = graphs.nodes[whose]
    spread, encoder = dense(graphs), method.encoder
    conv: Any = encoder.net.convs[0]  # type: ignore[union-attr]
    h = spread @ encoder.enter(seen_x) @ conv.lin.weight.T + conv.bias  # type: ignore[operator]
    z = h @ method.bridge.weight.T
    if remask:
        z[masked] = 0
    decoder: Any = method.decoder
    out = spread @ z @ decoder.lin.weight.T + decoder.bias
    wanted = [(1 - torch.cosine_similarity(out[v], graphs.nodes[v], dim=0)) ** 2 for v in masked]
    torch.testing.assert_close(loss_of(method, graphs, 3), torch.stack(wanted).mean())


@pytest.mark.parametrize("name", ["gcn", "gin", "gat"])
@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("options", [{}, {"error": "squared"}, {"decoder": "mlp"}, {"drop": 0.5}, {"replace": 0.5}])
def test_finite_and_every_weight_is_reached(name: str, graphs: bool, options: dict[str, Any]) -> None:
    spec, batch = seen(graphs=graphs)
    torch.manual_seed(0)
    method = GraphMAE(make_encoder(name, spec, width=16), **options)
    loss = loss_of(method, batch)
    loss.backward()
    assert torch.isfinite(loss)
    for parameter, value in method.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
        assert value.grad.any() or "att" in parameter, parameter


def test_it_learns_to_restore() -> None:
    spec, graphs = seen(60)
    torch.manual_seed(0)
    method = GraphMAE(make_encoder("gat", spec, width=32), replace=0.0)
    optimiser = torch.optim.Adam(method.parameters(), 5e-3)
    values = []
    for step in range(60):
        loss = loss_of(method, graphs, step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert np.mean(values[-5:]) < 0.75 * np.mean(values[:5])


@pytest.mark.parametrize("graphs", [True, False])
def test_small_empty_and_half_precision(graphs: bool) -> None:
    spec, batch = seen(2, graphs)
    torch.manual_seed(0)
    method = GraphMAE(make_encoder("gin", spec, width=16))
    exact = loss_of(method, batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss_of(method, batch)
    rounded.backward()
    assert rounded.dtype == torch.float32
    assert float((abs(rounded - exact) / exact).detach()) < 0.1
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)
    empty = loss_of(method, batch.with_nodes(torch.zeros_like(batch.nodes)))
    assert empty == 0  # rows of zeros have no direction and do not count
    empty.backward()
    alike = loss_of(method, batch.with_nodes(torch.ones_like(batch.nodes)))
    alike.backward()
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


def test_what_is_hidden_is_not_seen() -> None:
    """Without replacement the restored rows do not depend on what hidden nodes held."""
    spec, graphs = seen()
    torch.manual_seed(0)
    method = GraphMAE(make_encoder("gcn", spec, width=16), replace=0.0, error="squared").eval()
    torch.manual_seed(5)
    hidden = method._chosen(graphs, Draws())[0]
    outs: list[Tensor] = []
    method.decoder.register_forward_hook(lambda module, args, out: outs.append(out))
    loss_of(method, graphs, 5)
    loss_of(method, graphs.with_nodes(graphs.nodes.index_fill(0, hidden, 7.0)), 5)
    torch.testing.assert_close(outs[0], outs[1])


def test_what_cannot_be() -> None:
    spec, graphs = seen()
    encoder = make_encoder("gcn", spec, width=8)
    for options in ({"ratio": 0.0}, {"ratio": 1.0}, {"replace": 1.0}, {"drop": -0.1}, {"heads": 0}):
        with pytest.raises(OptionError):
            GraphMAE(encoder, **options)
    with pytest.raises(ValueError, match="gamma"):
        GraphMAE(encoder, gamma=0.5)
    plain = nn.Linear(3, 3)
    plain.dim = 3  # type: ignore[assignment]
    with pytest.raises(OptionError, match="encoder of graphs"):
        GraphMAE(plain)
    with pytest.raises(ValueError, match="at least 2"):
        loss_of(GraphMAE(encoder), graphs.with_roots(torch.tensor([0])).keep(torch.arange(60) == 0))
