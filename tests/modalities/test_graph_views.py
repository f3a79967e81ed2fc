"""Views of graphs: against plain loops, and what must not matter."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.modalities.graph import make_views, open_source, raw, spec_of
from tacit.modalities.graph.changes import EdgeDrop, FeatureMask, GraphChange, Jitter, NodeDrop, NodeMask, Subgraph
from tacit.parts.draws import Draws
from tacit.parts.edges import coordinates, edge_numbers, hops, line_up, mean_of_neighbours, node_numbers, whole_graph
from tacit.parts.graphs import Graphs
from tacit.views.changes import ROLES

CHANGES: list[GraphChange] = [
    EdgeDrop(0.4), NodeDrop(0.4), FeatureMask(0.4), NodeMask(0.4), Jitter(0.5), Subgraph((0.4, 0.7)),
]  # fmt: skip


def graph(nodes: int, seed: int) -> dict[str, Any]:
    made = nx.gnm_random_graph(nodes, 2 * nodes, seed=seed)
    x = np.random.default_rng(seed).normal(size=(nodes, 5)) + 3
    return {"edge_index": np.array(list(made.edges)).T, "x": x}


def many(sizes: tuple[int, ...] = (8, 20, 13, 30)) -> Graphs:
    return open_source([graph(n, n) for n in sizes], scaling="none").batch(torch.arange(len(sizes)))["x"]


def one(roots: list[int], nodes: int = 40) -> Graphs:
    return open_source(graph(nodes, 1), scaling="none").batch(torch.tensor(roots))["x"]


def alone(graphs: Graphs, which: int) -> nx.Graph:
    """One graph of a batch as networkx has it, its nodes called by their places."""
    mine = graphs.owner == which
    found = nx.Graph()
    found.add_nodes_from(graphs.place[mine].tolist())
    inside = mine[graphs.edges[0]]
    found.add_edges_from(graphs.place[graphs.edges[:, inside]].T.tolist())
    return found


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name())
@pytest.mark.parametrize("rooted", [False, True])
def test_what_every_change_keeps(change: GraphChange, rooted: bool) -> None:
    graphs = one([4, 9, 9]) if rooted else many()
    made = change({"x": graphs}, Draws.seeded(5))["x"]
    assert len(made) == len(graphs)
    assert made.owner.unique().tolist() == list(range(graphs.count))
    assert (made.owner.diff() >= 0).all()
    known = {(int(o), int(p)) for o, p in zip(graphs.owner, graphs.place, strict=True)}
    assert {(int(o), int(p)) for o, p in zip(made.owner, made.place, strict=True)} <= known
    for which in range(graphs.count):
        assert set(map(frozenset, alone(made, which).edges)) <= set(map(frozenset, alone(graphs, which).edges))
    assert {tuple(pair) for pair in made.edges.T.tolist()} == {tuple(pair[::-1]) for pair in made.edges.T.tolist()}
    if made.roots is not None and graphs.roots is not None:
        assert made.place[made.roots].tolist() == graphs.place[graphs.roots].tolist()
    again = change({"x": graphs}, Draws.seeded(5))["x"]
    assert torch.equal(again.nodes, made.nodes)
    assert torch.equal(again.edges, made.edges)
    other = change({"x": graphs}, Draws.seeded(6))["x"]
    assert not (
        torch.equal(other.edges, made.edges)
        and other.nodes.shape == made.nodes.shape
        and torch.equal(other.nodes, made.nodes)
    )


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name())
def test_a_graph_is_changed_alike_in_any_company(change: GraphChange) -> None:
    """The first of a batch, drawn with the first row of the same numbers."""
    data = [graph(n, n) for n in (8, 20, 13)]
    source = open_source(data, scaling="none")
    made = [change({"x": source.batch(torch.tensor(rows))["x"]}, FirstRow()) for rows in ([0], [0, 2, 1])]
    nodes = [view["x"].nodes[view["x"].owner == 0] for view in made]
    torch.testing.assert_close(nodes[0], nodes[1])
    assert set(alone(made[0]["x"], 0).edges) == set(alone(made[1]["x"], 0).edges)


class FirstRow(Draws):
    """Numbers whose rows are all alike."""

    def uniform(self, batch: int, *shape: int) -> torch.Tensor:
        row = torch.rand(1, *shape, generator=torch.Generator().manual_seed(3))
        return row.expand(batch, *[-1] * len(shape))


def test_shares_are_what_was_asked_for() -> None:
    graphs = many((400, 300))
    view = {"x": graphs}
    assert abs(EdgeDrop(0.3)(view, Draws.seeded(0))["x"].edges.shape[1] / graphs.edges.shape[1] - 0.7) < 0.05
    assert abs(len(NodeDrop(0.3)(view, Draws.seeded(0))["x"].nodes) / 700 - 0.7) < 0.06
    masked = NodeMask(0.3)(view, Draws.seeded(0))["x"].nodes
    assert abs((masked == 0).all(1).float().mean() - 0.3) < 0.06
    noise = Jitter(0.5)(view, Draws.seeded(0))["x"].nodes - graphs.nodes
    assert abs(noise.std() - 0.5) < 0.02
    assert abs(noise.mean()) < 0.03
    dropped = FeatureMask(0.5)({"x": many(tuple(range(5, 105)))}, Draws.seeded(0))["x"]
    columns = torch.stack([(dropped.nodes[dropped.owner == i] == 0).all(0) for i in range(100)])
    assert abs(columns.float().mean() - 0.5) < 0.08
    assert ((dropped.nodes == 0) == columns[dropped.owner]).all()


def test_a_subgraph_is_nearest_to_one_of_its_nodes() -> None:
    graphs = many((30, 25))
    made = Subgraph((0.5, 0.5))({"x": graphs}, Draws.seeded(2))["x"]
    assert made.sizes().tolist() == [15, 13]
    for which in range(2):
        before, after = alone(graphs, which), set(alone(made, which).nodes)
        distances = [nx.single_source_shortest_path_length(before, node) for node in after]
        left = set(before.nodes) - after
        assert any(max(d.get(n, 99) for n in after) <= min(d.get(n, 99) for n in left) for d in distances)


def test_probability_decides_by_graph() -> None:
    graphs = many(tuple(range(5, 205)))
    made = NodeMask(0.9, p=0.5)({"x": graphs}, Draws.seeded(1))["x"]
    touched = torch.stack([(made.nodes[made.owner == i] != graphs.nodes[graphs.owner == i]).any() for i in range(200)])
    assert abs(touched.float().mean() - 0.5) < 0.12


def test_every_recipe_for_nodes_and_their_options() -> None:
    source = open_source(graph(40, 1))
    spec, batch = spec_of(source), source.batch(torch.tensor([3, 5, 7]))
    for recipe in ROLES:
        views = make_views(recipe, spec)(batch, Draws.seeded(1))
        assert all(len(view["x"]) == 3 for view in views)
        assert all(view["x"].place[view["x"].roots].tolist() == [3, 5, 7] for view in views)
    (view,) = make_views("single", spec, **{"edge-drop": 0, "feature-mask.share": 0.0})(batch, Draws.seeded(1))
    assert torch.equal(view["x"].edges, batch["x"].edges)
    for options in ({"edge-drop.share": 1.0}, {"jitter.sigma": -1.0}, {"subgraph.share": (0.0, 0.5)}, {"turn": 1}):
        with pytest.raises(OptionError):
            make_views("pair", spec, **options)


def test_neighbours_change_nothing() -> None:
    source = open_source(graph(40, 1))
    spec, batch = spec_of(source), source.batch(torch.arange(40))
    first, second = make_views("neighbours", spec)(batch, Draws.seeded(1))
    assert torch.equal(first["x"].nodes, second["x"].nodes)
    near = alone(batch["x"], 0)
    for node, other in zip(first["x"].roots.tolist(), second["x"].roots.tolist(), strict=True):
        assert near.has_edge(node, other) or (node == other and not near.degree[node])
    halves = make_views("neighbours", spec_of(open_source([graph(20, 1)] * 3)), share=0.5)(
        open_source([graph(20, 1)] * 3).batch(torch.arange(3)), Draws.seeded(1)
    )
    assert [view["x"].sizes().tolist() for view in halves] == [[10] * 3] * 2
    with pytest.raises(OptionError):
        make_views("neighbours", spec, share=0.0)


def test_features_are_scaled_as_they_need() -> None:
    words = np.random.default_rng(0).random((40, 30)) < 0.1
    words[:, 0] = True
    kinds = np.eye(7)[np.arange(40) % 7]
    dense = np.random.default_rng(0).normal(5, 3, (40, 4))
    edges = graph(40, 1)["edge_index"]
    for x, scaling in ((words.astype(float), "rows"), (kinds, "none"), (dense, "columns")):
        source = open_source({"edge_index": edges, "x": x})
        spec = spec_of(source)
        assert spec.scaling == scaling
        (view,) = make_views("plain", spec)(source.batch(torch.arange(40)), Draws.seeded(0))
        wanted = x
        if scaling == "rows":
            wanted = x / np.linalg.norm(x, axis=1, keepdims=True)
        if scaling == "columns":
            wanted = (x - x.mean(0)) / x.std(0)
        np.testing.assert_allclose(view["x"].nodes, wanted, rtol=1e-4, atol=1e-5)


def test_raw_graphs_are_mean_features_and_degrees() -> None:
    graphs = many((8, 20))
    found = raw({"x": graphs})
    for which in range(2):
        own = alone(graphs, which)
        np.testing.assert_allclose(found[which, :5], graphs.nodes[graphs.owner == which].mean(0), rtol=1e-5)
        bins = np.bincount([int(np.log2(own.degree[n] + 1)) for n in own], minlength=8) / len(own)
        np.testing.assert_allclose(found[which, 5:], bins, rtol=1e-5)


def test_hops_and_means_against_networkx() -> None:
    graphs = many((30, 25))
    start = torch.zeros(55, 2, dtype=torch.bool)
    start[4, 0] = start[50, 1] = start[10, 1] = True
    found = hops(graphs.edges, start, 3)
    whole = nx.Graph(graphs.edges.T.tolist())
    whole.add_nodes_from(range(55))
    for column, sources in ((0, {4}), (1, {50, 10})):
        lengths = nx.multi_source_dijkstra_path_length(whole, sources)
        assert found[:, column].tolist() == [min(lengths.get(n, 4), 4) for n in range(55)]
    means = mean_of_neighbours(graphs.nodes, graphs.edges)
    for node in range(55):
        near = list(whole.neighbors(node))
        wanted = graphs.nodes[near].mean(0) if near else torch.zeros(5)
        torch.testing.assert_close(means[node], wanted)


def test_samples_are_lined_up_with_the_edges_between_them() -> None:
    for graphs, rooted in ((many((8, 20)), False), (one([4, 9, 30]), True)):
        index, valid, links = line_up(graphs, 12)
        width = index.shape[1]
        for row in range(len(graphs)):
            nodes = index[row][valid[row]].tolist()
            assert len(set(nodes)) == len(nodes)
            if rooted:
                own = alone(graphs, 0)
                assert nodes[0] == [4, 9, 30][row]
                assert len(nodes) <= 12
                ball = nx.single_source_shortest_path_length(own, nodes[0], cutoff=2)
                assert set(nodes) <= set(ball)
                assert sum(ball[n] == 1 for n in nodes) == min(own.degree[nodes[0]], 11)
            else:
                assert nodes == (graphs.owner == row).nonzero()[:, 0].tolist()
            mine = links[:, links[0] // width == row] % width
            joined = {(int(index[row, a]), int(index[row, b])) for a, b in mine.T}
            assert joined == {(int(a), int(b)) for a, b in graphs.edges.T if int(a) in nodes and int(b) in nodes}
        place = coordinates(valid, links)
        assert place.min() >= 0
        assert place.max() <= 1
        wider = torch.nn.functional.pad(valid, (0, 5))
        moved = links + links // width * 5
        torch.testing.assert_close(coordinates(wider, moved)[:, :width], place)


def test_numbers_of_nodes_and_edges_are_uniform_and_differ() -> None:
    graphs = many((400, 300))
    for numbers in (node_numbers(graphs, Draws.seeded(0)), edge_numbers(graphs, Draws.seeded(0))):
        counts = torch.histc(numbers, 10, 0, 1)
        assert counts.min() > 0.6 * len(numbers) / 10
        assert counts.max() < 1.4 * len(numbers) / 10
    back = {tuple(pair): n for pair, n in zip(graphs.edges.T.tolist(), numbers.tolist(), strict=True)}
    assert all(back[b, a] == number for (a, b), number in back.items())


def test_rows_are_the_samples_asked_for() -> None:
    part, wanted = many((8, 20, 13)).rows(slice(1, 3)), many((20, 13))
    assert len(part) == 2
    for name in ("nodes", "owner", "place"):
        assert torch.equal(getattr(part, name), getattr(wanted, name))
    assert {tuple(pair) for pair in part.edges.T.tolist()} == {tuple(pair) for pair in wanted.edges.T.tolist()}
    rooted = one([5, 6, 7]).rows(slice(1, 3))
    assert rooted.place[rooted.roots].tolist() == [6, 7]


def test_joined_and_put_together_again() -> None:
    pair = Graphs.join([many((8, 20)), many((13,))])
    wanted = many((8, 20, 13))
    for name in ("nodes", "edges", "owner", "place"):
        assert torch.equal(getattr(pair, name).sort(-1).values, getattr(wanted, name).sort(-1).values)
    rooted = Graphs.join([one([1, 2]), one([3])])
    assert rooted.place[rooted.roots].tolist() == [1, 2, 3]
    assert rooted.owner[rooted.roots].tolist() == [0, 0, 1]
    source = open_source(graph(40, 1), sampling="neighbours", fanout=(99,), scaling="none")
    parts = [{"views": [{"x": source.batch(index)["x"]}]} for index in torch.randperm(40).split(7)]
    again, before = whole_graph(iter(parts)), one([0])
    assert torch.equal(again.nodes, before.nodes)
    assert set(alone(again, 0).edges) == set(alone(before, 0).edges)
