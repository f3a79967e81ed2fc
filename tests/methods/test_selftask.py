"""SelfTask: its tasks against networkx and plain loops, and that no label leaks."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import tacit
from tacit.errors import DataError, OptionError
from tacit.methods.supervised.graph_tasks import distance_pairs, similarity_pairs
from tacit.methods.supervised.selftask_gnn import SelfTask
from tacit.modalities.graph import evaluation_view, make_encoder, open_source, spec_of
from tacit.modalities.graph.synthetic import citations, sample
from tacit.objectives.context import ContextError, SomeLabels
from tacit.parts.draws import Draws
from tacit.parts.graphs import Graphs
from tacit.parts.pseudo_labels import collective, label_context, propagated, prototypes, two_hops

TASKS = ("none", "degree", "distance", "similarity", "labelled-distance", "context", "corrected")
CLASSES = 3


def texts(known: int = 30, nodes: int = 90) -> tuple[dict[str, Any], np.ndarray]:
    """A graph with labels of its first nodes, and all labels."""
    data = citations(nodes, words=30, classes=CLASSES, topical=0.5)
    truth = data["y"].copy()
    data["y"] = np.where(np.arange(nodes) < known, truth, -1)
    return data, truth


def built(data: dict[str, Any], seed: int = 0, **options: Any) -> tuple[SelfTask, dict[str, Any]]:
    source = open_source(data)
    spec = spec_of(source)
    torch.manual_seed(seed)
    method = SelfTask(make_encoder("gcn", spec, width=16, depth=1), **options)
    method.labelled(CLASSES)
    method.sized(len(source))
    batch = source.batch(torch.arange(len(source)))
    batch["views"] = evaluation_view(spec)(batch)
    method.eval().begin(lambda: iter([batch]))
    return method, batch


def linked(data: dict[str, Any]) -> nx.Graph:
    graph = nx.Graph(data["edge_index"].T.tolist())
    graph.add_nodes_from(range(len(data["x"])))
    return graph


def both(graph: nx.Graph) -> torch.Tensor:
    edges = torch.tensor(list(graph.edges)).T
    return torch.cat((edges, edges.flip(0)), 1)


def test_label_propagation_is_the_harmonic_solution() -> None:
    graph = nx.connected_watts_strogatz_graph(25, 4, 0.3, seed=0)
    y = torch.full((25,), -1)
    y[:6] = torch.tensor([0, 1, 2, 0, 1, 2])
    found = propagated(both(graph), y, CLASSES, rounds=500)
    matrix = nx.to_numpy_array(graph)
    walk = matrix / matrix.sum(1, keepdims=True)
    known = np.eye(CLASSES)[y[:6]]
    wanted = np.linalg.solve(np.eye(19) - walk[6:, 6:], walk[6:, :6] @ known)  # Zhu et al. 2003, eq. 5
    np.testing.assert_allclose(found[6:], wanted, atol=1e-5)
    np.testing.assert_allclose(found[:6], known)
    alone = propagated(torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, -1, -1]), 2)
    assert alone.tolist() == [[1, 0], [1, 0], [0.5, 0.5]]


def test_iterative_classification_is_its_loop() -> None:
    data, _ = texts()
    graph, x, y = linked(data), data["x"], data["y"]
    found = collective(torch.from_numpy(x), both(graph), torch.from_numpy(y), CLASSES, rounds=2)
    known = y >= 0
    labels = np.where(known, y, LogisticRegression(max_iter=200).fit(x[known], y[known]).predict(x))
    for _ in range(2):
        around = np.zeros((len(y), CLASSES))
        for node in graph:
            near = [labels[other] for other in graph.neighbors(node)]
            around[node] = np.bincount(near, minlength=CLASSES) / len(near) if near else 1 / CLASSES
        rows = np.concatenate((x, around), 1).astype(np.float32)
        model = LogisticRegression(max_iter=200).fit(rows[known], y[known])
        labels = np.where(known, y, model.predict(rows))
    np.testing.assert_array_equal(found.argmax(1), labels)
    np.testing.assert_allclose(found[~known], model.predict_proba(rows)[~known], atol=1e-4)


def test_contexts_are_counts_of_labels_within_two_edges() -> None:
    data, truth = texts()
    graph = linked(data)
    pairs = two_hops(both(graph), len(truth))
    found = label_context(pairs, torch.from_numpy(truth), CLASSES)
    for node in graph:
        near = set(nx.single_source_shortest_path_length(graph, node, cutoff=2)) - {node}
        assert set(pairs[0, pairs[1] == node].tolist()) == near
        counts = np.bincount(truth[list(near)], minlength=CLASSES) if near else np.ones(CLASSES)
        np.testing.assert_allclose(found[node], counts / counts.sum(), atol=1e-6)


def test_prototypes_are_dense_and_not_alike() -> None:
    """The rule of the paper, a row at a time."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(30, 4, generator=generator)
    rows[5] = rows[4] * 2
    unit = rows / rows.norm(dim=1, keepdim=True)
    similar = (unit @ unit.T).numpy()
    cut = np.quantile(similar, 0.4)
    density = np.sign(similar - cut).sum(1)
    score = []
    for i in range(30):
        denser = [similar[i, j] for j in range(30) if density[j] > density[i]]
        nearest = max(denser) if denser else similar[i].min()
        score.append(0.0 if nearest >= 0.95 else density[i])
    wanted = sorted(score, reverse=True)[:8]
    found = prototypes(rows)
    assert [score[i] for i in found.tolist()] == wanted
    assert len(prototypes(rows[:3])) == 3


def test_distances_and_similarities_of_pairs() -> None:
    data, _ = texts()
    graph = linked(data)
    one, other, apart = distance_pairs(both(graph), 90, 400, Draws.seeded(0))
    assert apart.unique().tolist() == [0, 1, 2, 3]
    assert torch.bincount(apart).tolist() == [100] * 4
    for a, b, c in zip(one.tolist(), other.tolist(), apart.tolist(), strict=True):
        far = nx.shortest_path_length(graph, a, b) if nx.has_path(graph, a, b) else 99
        assert min(far, 4) - 1 == c
    x = torch.from_numpy(data["x"])
    one, other, alike = similarity_pairs(x, 90, Draws.seeded(0))
    assert len(one) == 90
    assert (one != other).all()
    torch.testing.assert_close(alike, torch.cosine_similarity(x[one], x[other]))
    rows = alike.view(-1, 9)
    assert (rows[:, :3].amin(1) >= rows[:, 6:].amax(1) - 1).all()
    assert rows[:, :3].mean() > rows[:, 6:].mean() > rows[:, 3:6].mean()


def test_nearness_to_labelled_nodes() -> None:
    data, truth = texts()
    method = built(data, task="labelled-distance")[0]
    graph, near = linked(data), np.zeros((90, CLASSES))
    for c in range(CLASSES):
        own = [n for n in range(30) if truth[n] == c]
        for node in range(90):
            lengths = nx.single_source_shortest_path_length(graph, node)
            near[node, c] = sum(1 / lengths[o] for o in own if 0 < lengths.get(o, 0) <= 16) / len(own)
    wanted = (near - near.mean(0)) / near.std(0, ddof=1)
    np.testing.assert_allclose(method.target, wanted, atol=1e-4)


def test_few_labels_of_each_class_are_used() -> None:
    data, truth = texts(90)
    known = built(data, labels=4)[0].known
    assert [int((known & (torch.from_numpy(truth) == c)).sum()) for c in range(CLASSES)] == [4] * CLASSES


@pytest.mark.parametrize("task", TASKS)
def test_other_labels_are_never_used(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is the same whatever the labels are that are not used, though the method is given them."""
    data, truth = texts(90)
    keep = torch.arange(90) < 30
    monkeypatch.setattr(SelfTask, "_used", lambda self, y: keep)
    values = []
    for others in (truth, (truth + 1) % CLASSES, np.full(90, -1)):
        method, batch = built(dict(data, y=np.where(keep, truth, others)), task=task)
        torch.manual_seed(1)
        values.append(float(method.train()(batch)["loss"].detach()))
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("task", TASKS)
def test_finite_and_every_weight_is_reached(task: str) -> None:
    method, batch = built(texts()[0], task=task)
    method.train()
    losses = method(batch)
    total = losses.pop("loss")
    torch.testing.assert_close(total, torch.stack(list(losses.values())).sum())
    total.backward()
    for name, value in method.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.any(), name
    with torch.autocast("cpu", torch.bfloat16):
        assert method(batch)["loss"].isfinite()


@pytest.mark.parametrize("task", TASKS)
def test_batches_without_labelled_or_with_two_samples(task: str) -> None:
    method, batch = built(texts()[0], task=task)
    graph: Graphs = batch["views"][0]["x"]
    for index in (torch.tensor([80, 81]), torch.tensor([0, 1])):
        part = {"index": index, "y": batch["y"][index], "views": [{"x": graph.with_roots(index)}]}
        loss = method.train()(part)["loss"]
        loss.backward()
        assert loss.isfinite()


def test_mended_labels_are_mended() -> None:
    """Where embeddings are the classes themselves, every node gets its own class back."""
    data, truth = texts()
    method, batch = built(data, task="corrected", mended=90)
    seen: list[torch.Tensor] = []
    method.objective = Kept(seen)  # type: ignore[assignment]
    wrong = truth.copy()
    wrong[30:45] = (wrong[30:45] + 1) % CLASSES
    method.pseudo.copy_(torch.from_numpy(wrong))
    graph: Graphs = batch["views"][0]["x"]
    method._corrected(graph, torch.nn.functional.one_hot(torch.from_numpy(truth), 16).float() + 0.01)
    wanted = label_context(two_hops(graph.edges, 90), torch.from_numpy(truth), CLASSES)
    torch.testing.assert_close(seen[0], wanted)


class Kept(ContextError):
    """Keeps the targets that it is given."""

    def __init__(self, seen: list[torch.Tensor]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, prediction: torch.Tensor, target: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        self.seen.append(target)
        return super().forward(prediction, target, rows)


def test_adapted_and_tested(tmp_path: Any) -> None:
    data, truth = texts(45, 120)
    options = {"encoder.depth": 1, "encoder.width": 16, "lr": 1e-2, "log_every": 5}
    run = tacit.adapt(data, "selftask-gnn", steps=40, batch_size=120, out=tmp_path / "run", quiet=True, options=options)
    test = dict(data, y=np.where(np.arange(120) >= 45, truth, -1))
    from tacit.adaptation import test_accuracy

    result = test_accuracy(run, test)
    assert result["n"] == 75
    assert result["accuracy"]["classes"]["accuracy"] == (run.predict(test).argmax(1) == truth)[45:].mean()
    assert result["accuracy"]["classes"]["accuracy"] > 0.5
    again = tacit.load(tmp_path / "run")
    np.testing.assert_allclose(again.predict(test), run.predict(test), atol=1e-6)


def test_objectives_are_their_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, other = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    target, rows = other.softmax(1), torch.tensor([1, 0, 1, 1, 0, 1]).bool()
    wanted = np.mean([((scores[i].softmax(0) - target[i]) ** 2).mean() for i in range(6) if rows[i]])
    assert ContextError()(scores, target, rows).item() == pytest.approx(wanted)
    wanted = np.mean([((scores[i] - target[i]) ** 2).mean() for i in range(6) if rows[i]])
    assert ContextError(False)(scores, target, rows).item() == pytest.approx(wanted)
    y = torch.tensor([0, -1, 3, 2, -1, 1])
    wanted = np.mean([-torch.log(scores[i].softmax(0)[y[i]]) for i in range(6) if rows[i]])
    assert SomeLabels()(scores, y, rows).item() == pytest.approx(wanted)
    none = torch.zeros(6, dtype=torch.bool)
    assert ContextError()(scores, target, none) == SomeLabels()(scores, y, none) == 0
    z = scores.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: ContextError()(a, target, rows), [z])
    assert torch.autograd.gradcheck(lambda a: SomeLabels()(a, y, rows), [z])
    for wrong in (
        lambda: ContextError()(scores, target[:3], rows), lambda: ContextError()(scores, target, rows[:3]),
        lambda: SomeLabels()(scores, y[:3], rows),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()


def test_what_cannot_be() -> None:
    data, truth = texts()
    spec = spec_of(open_source(data))
    encoder = make_encoder("gcn", spec, width=8)
    for options in ({"weight": -1.0}, {"pairs": 1}, {"mended": 0}, {"dropout": 1.0}, {"labels": -1}):
        with pytest.raises(OptionError):
            SelfTask(encoder, **options)
    with pytest.raises(DataError, match="class 2 has no labelled node"):
        built(dict(data, y=np.where(data["y"] == 2, -1, data["y"])))
    with pytest.raises(DataError, match="every node has a label"):
        built(dict(data, y=truth))
    source = open_source(sample(10))
    batch = source.batch(torch.arange(10))
    method = SelfTask(make_encoder("gcn", spec_of(source), width=8))
    with pytest.raises(DataError, match="nodes of one graph"):
        method.begin(lambda: iter([batch | {"views": evaluation_view(spec_of(source))(batch)}]))
