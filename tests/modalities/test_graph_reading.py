"""Every way to hand over a graph, each against what another program wrote."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import Batch, Data, HeteroData, InMemoryDataset

from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities import recognised
from tacit.modalities.graph import open_source
from tacit.parts.graphs import Graphs

RANDOM = np.random.default_rng(0)


def made(nodes: int = 9, seed: int = 0) -> nx.Graph:
    return nx.gnm_random_graph(nodes, 2 * nodes, seed=seed)


def pairs_of(graph: nx.Graph) -> np.ndarray:
    return np.array(list(graph.edges)).T


def whole(source: Source) -> Graphs:
    return source.batch(torch.arange(len(source)))["x"]


def edge_set(graphs: Graphs) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in graphs.edges.T}


def both(graph: nx.Graph) -> set[tuple[int, int]]:
    return {pair for a, b in graph.edges if a != b for pair in ((a, b), (b, a))}


def test_an_npz_of_one_graph(tmp_path: Path) -> None:
    graph, x, y = made(), RANDOM.normal(size=(9, 4)), RANDOM.integers(0, 3, 9)
    np.savez(tmp_path / "a.npz", edge_index=pairs_of(graph), x=x, y=y)
    assert recognised(tmp_path / "a.npz")[0] == "graph"
    source = open_source(tmp_path / "a.npz")
    assert len(source) == 9
    assert source.labels is not None
    np.testing.assert_array_equal(source.labels, y)
    np.testing.assert_allclose(whole(source).nodes, x, rtol=1e-6)
    assert edge_set(whole(source)) == both(graph)


def test_an_npz_of_sparse_matrices(tmp_path: Path) -> None:
    graph, x = made(), sp.random(9, 6, 0.3, random_state=0, format="csr")
    matrix = nx.to_scipy_sparse_array(graph, format="csr")
    parts = {"adj": matrix, "attr": x}
    arrays = {f"{n}_{p}": getattr(m, p) for n, m in parts.items() for p in ("data", "indices", "indptr", "shape")}
    np.savez(tmp_path / "a.npz", **arrays, labels=np.arange(9) % 2)
    found = whole(open_source(tmp_path / "a.npz"))
    assert edge_set(found) == both(graph)
    np.testing.assert_allclose(found.nodes, x.toarray(), rtol=1e-6)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_matrix_that_scipy_wrote_keeps_its_directions(tmp_path: Path, form: str) -> None:
    graph = nx.gnp_random_graph(8, 0.3, seed=1, directed=True)
    sp.save_npz(tmp_path / "a.npz", sp.coo_matrix(nx.to_scipy_sparse_array(graph)).asformat(form))
    assert recognised(tmp_path / "a.npz")[0] == "graph"
    found = whole(open_source(tmp_path / "a.npz", undirected=False))
    assert edge_set(found) == set(graph.edges)


def test_several_graphs_in_one_npz(tmp_path: Path) -> None:
    several = [made(n, n) for n in (4, 7, 5)]
    union = nx.disjoint_union_all(several)
    owner = np.repeat([0, 1, 2], [4, 7, 5])
    np.savez(tmp_path / "b.npz", edge_index=pairs_of(union), x=np.arange(16.0)[:, None], batch=owner, y=[1, 0, 1])
    np.savez(
        tmp_path / "p.npz", edge_index=pairs_of(union), x=np.arange(16.0)[:, None], ptr=[0, 4, 11, 16], y=[1, 0, 1]
    )
    for name in ("b.npz", "p.npz"):
        source = open_source(tmp_path / name)
        assert source.describe()["samples"] == "graphs"
        second = source.batch(torch.tensor([1]))
        assert edge_set(second["x"]) == both(several[1])
        assert second["x"].nodes[:, 0].tolist() == list(range(4, 11))
        assert second["y"].tolist() == [0]


def test_batches_hold_the_graphs_asked_for_in_order(tmp_path: Path) -> None:
    several = [made(n, n) for n in (4, 7, 5)]
    data = [{"edge_index": pairs_of(g), "x": np.full((len(g), 1), float(len(g)))} for g in several]
    found = open_source(data).batch(torch.tensor([2, 0, 2]))["x"]
    wanted = nx.disjoint_union_all([several[2], several[0], several[2]])
    assert edge_set(found) == both(wanted)
    assert found.owner.tolist() == [0] * 5 + [1] * 4 + [2] * 5
    assert found.nodes[:, 0].tolist() == [5.0] * 5 + [4.0] * 4 + [5.0] * 5


def test_geometrics_objects() -> None:
    graph = made()
    edges, x = torch.from_numpy(pairs_of(graph)), torch.randn(9, 3)
    data = Data(x=x, edge_index=edges, y=torch.arange(9) % 3)
    assert recognised(data) == ["graph"]
    source = open_source(data)
    assert torch.equal(whole(source).nodes, x)
    assert edge_set(whole(source)) == both(graph)
    small = [
        Data(x=torch.randn(n, 3), edge_index=torch.from_numpy(pairs_of(made(n))), y=torch.tensor([n])) for n in (4, 6)
    ]
    for several in (small, Batch.from_data_list(small)):
        source = open_source(several)
        assert len(source) == 2
        assert source.labels is not None
        assert source.labels.tolist() == [4, 6]
        assert torch.equal(source.batch(torch.tensor([1]))["x"].nodes, small[1].x)
    with pytest.raises(DataError, match="to_homogeneous"):
        open_source(HeteroData())


class Small(InMemoryDataset):
    """A data set that PyTorch Geometric processes and stores by itself."""

    def __init__(self, root: str, graphs: list[Data]) -> None:
        self.graphs = graphs
        super().__init__(root)
        self.load(self.processed_paths[0])

    @property
    def processed_file_names(self) -> str:
        return "data.pt"

    def process(self) -> None:
        self.save(self.graphs, self.processed_paths[0])


def test_geometrics_data_sets_and_what_they_store(tmp_path: Path) -> None:
    graphs = [
        Data(x=torch.randn(n, 3), edge_index=torch.from_numpy(pairs_of(made(n))), y=torch.tensor([n % 2]))
        for n in (4, 6, 5)
    ]
    stored = Small(str(tmp_path / "set"), graphs)
    for data in (stored, tmp_path / "set", tmp_path / "set" / "processed" / "data.pt"):
        source = open_source(data)
        assert len(source) == 3
        assert torch.equal(source.batch(torch.tensor([1]))["x"].nodes, graphs[1].x)
        assert edge_set(source.batch(torch.tensor([2]))["x"]) == both(made(5))


def test_a_list_of_edges_that_networkx_wrote(tmp_path: Path) -> None:
    graph = nx.relabel_nodes(made(), lambda i: 10 * i + 3)
    nx.write_edgelist(graph, tmp_path / "a.edgelist")
    assert recognised(tmp_path / "a.edgelist") == ["graph"]
    source = open_source(tmp_path / "a.edgelist", degrees=5)
    names = [int(name) for name in source.names]
    assert names == sorted(graph.nodes)
    found = whole(source)
    assert {(names[a], names[b]) for a, b in edge_set(found)} == both(graph)
    degree = [min(graph.degree[name], 4) for name in names]
    assert found.nodes.argmax(1).tolist() == degree  # nodes without features are told apart by their degree


def tables(folder: Path, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame, nx.Graph]:
    graph = made()
    names = [f"n{i}" for i in graph]
    nodes = pd.DataFrame({"id": names, "a": RANDOM.normal(size=9), "b": np.arange(9), "label": ["x", "y", "z"] * 3})
    edges = pd.DataFrame([(names[a], names[b]) for a, b in graph.edges], columns=["source", "target"])
    nodes.to_csv(folder / "nodes.csv", index=False)
    edges.to_csv(folder / "edges.csv", index=False)
    return nodes, edges, graph


def test_a_folder_of_tables(tmp_path: Path) -> None:
    nodes, _, graph = tables(tmp_path)
    assert recognised(tmp_path)[0] == "graph"
    source = open_source(tmp_path)
    np.testing.assert_allclose(whole(source).nodes, nodes[["a", "b"]].to_numpy(), rtol=1e-6)
    assert source.classes == ["x", "y", "z"]
    assert edge_set(whole(source)) == both(graph)
    again = open_source(tmp_path / "edges.csv", nodes=str(tmp_path / "nodes.csv"), columns=("b",))
    assert whole(again).nodes[:, 0].tolist() == list(range(9))


def test_tables_of_several_graphs(tmp_path: Path) -> None:
    pd.DataFrame(
        {"id": range(6), "g": ["p", "p", "q", "q", "q", "p"], "f": range(6), "label": [1, 1, 0, 0, 0, 1]}
    ).to_csv(tmp_path / "nodes.csv", index=False)
    pd.DataFrame({"from": [0, 2, 3], "to": [5, 3, 4]}).to_csv(tmp_path / "edges.csv", index=False)
    source = open_source(tmp_path, graph="g")
    assert list(source.names) == ["p", "q"]
    assert source.labels is not None
    assert source.labels.tolist() == [1, 0]
    first = source.batch(torch.tensor([0]))["x"]
    assert first.nodes[:, 0].tolist() == [0, 1, 5]
    assert edge_set(first) == {(0, 2), (2, 0)}


def test_dortmunds_text_files(tmp_path: Path) -> None:
    (tmp_path / "T_A.txt").write_text("1, 2\n2, 1\n3, 4\n4, 3\n4, 5\n5, 4\n")
    (tmp_path / "T_graph_indicator.txt").write_text("1\n1\n2\n2\n2\n")
    (tmp_path / "T_graph_labels.txt").write_text("-1\n1\n")
    (tmp_path / "T_node_labels.txt").write_text("0\n3\n3\n0\n7\n")
    assert recognised(tmp_path)[0] == "graph"
    source = open_source(tmp_path)
    assert source.labels is not None
    assert source.labels.tolist() == [0, 1]
    assert source.classes == ["-1", "1"]
    second = source.batch(torch.tensor([1]))["x"]
    assert second.nodes.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert edge_set(second) == {(0, 1), (1, 0), (1, 2), (2, 1)}


def test_a_folder_with_a_file_a_graph_skips_what_it_cannot_read(tmp_path: Path) -> None:
    for label, sizes in (("p", (4, 5)), ("q", (6,))):
        (tmp_path / label).mkdir()
        for n in sizes:
            np.savez(tmp_path / label / f"{n}.npz", edge_index=pairs_of(made(n)), x=np.ones((n, 2)))
    (tmp_path / "q" / "9.npz").write_bytes(b"PK no more")
    source = open_source(tmp_path)
    assert len(source) == 3
    assert [name for name, _ in source.skipped] == [str(Path("q", "9.npz"))]
    assert source.classes == ["p", "q"]


def test_labels_of_nodes_in_several_graphs_make_nodes_the_samples() -> None:
    data = [{"edge_index": pairs_of(made(n)), "x": np.ones((n, 2)), "y": np.arange(n) % 2} for n in (4, 6)]
    source = open_source(data)
    assert len(source) == 10
    assert source.groups is not None
    assert source.groups.tolist() == [0] * 4 + [1] * 6
    found = whole(source)
    assert edge_set(found) == both(nx.disjoint_union(made(4), made(6)))


def edges_and(**more: Any) -> dict[str, Any]:
    return {"edge_index": np.array([[0, 1], [1, 2]]), "x": np.ones((3, 2)), **more}


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (edges_and(edge_index=np.array([[0, 1], [1, 3]])), {}, "edge 1 joins nodes 1 and 3, and there are 3 nodes"),
        (edges_and(edge_index=np.array([[0, -1], [1, 2]])), {}, "edge 1 joins nodes -1 and 2"),
        (edges_and(edge_index=np.zeros((3, 2), int)), {}, r"\[2, E\]"),
        (edges_and(edge_index=np.array([[0.0], [1.0]])), {}, "whole numbers"),
        (edges_and(x=np.array([[1, 2], [np.nan, 0], [1, 1]])), {}, "feature 0 of node 1 is nan"),
        (edges_and(x=np.ones((3, 2, 2))), {}, "features must be numbers"),
        (edges_and(num_nodes=4), {}, "there are 4 nodes and features of 3"),
        (edges_and(edge_index=np.zeros((2, 0), int)), {}, "has no edges"),
        ([edges_and(edge_index=np.zeros((2, 0), int))] * 2, {}, "has no edges"),
        (edges_and(y=np.arange(2)), {}, "labels must be one a node"),
        (edges_and(), {"features": 5}, "2 features, and 5 are expected"),
        ([edges_and(), {"edge_index": np.zeros((2, 0), int), "num_nodes": 0}], {}, "graph 1 has no nodes"),
        ([edges_and(), {"edge_index": np.array([[0], [1]])}], {}, "graph 1 has no features"),
        ([edges_and(y=1), edges_and()], {}, "graph 1 has no label"),
        (edges_and(batch=np.array([0, 0, 1])), {}, "edge 1 joins a node of graph 0 and one of graph 1"),
        (edges_and(batch=np.array([0, 0, 2]), edge_index=np.array([[0], [1]])), {}, "graph 1 has no nodes"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_graph_is_said(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(data, **options)


def test_what_is_wrong_with_files_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", **edges_and())
    data = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    np.savez(tmp_path / "objects.npz", edge_index=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    adj = {"adj_data": [1, 1], "adj_indices": [1, 7], "adj_indptr": [0, 1, 2], "adj_shape": [2, 2]}
    np.savez(tmp_path / "beyond.npz", **adj)
    (tmp_path / "one.edgelist").write_text("0 1\n2\n")
    (tmp_path / "none.edgelist").write_text("# nothing\n")
    (tmp_path / "latin.edgelist").write_bytes("é ü\n".encode("latin-1"))
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 cut")
    for name, message in (
        ("cut.npz", "damaged"), ("objects.npz", "data.pickle=true"), ("other.npz", "has no edges"),
        ("beyond.npz", "column numbers up to 7"), ("one.edgelist", "line 2"), ("none.edgelist", "has no edges"),
        ("latin.edgelist", "not UTF-8"), ("cut.pt", "cut.pt"), ("missing.npz", "there is no file"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message) as caught:
            open_source(tmp_path / name)
        assert name in str(caught.value)


class Harmful:
    """Unpickled, it leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled_unless_a_flag_says_so(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save({"edge_index": Harmful(trace)}, tmp_path / "a.pt")
    with (tmp_path / "b.npz").open("wb") as file:
        np.savez(file, edge_index=np.array([Harmful(trace)], dtype=object))
    for name in ("a.pt", "b.npz"):
        with pytest.raises(DataError, match=r"data\.pickle=true"):
            open_source(tmp_path / name)
        assert not trace.exists()
    assert pickle.dumps(Harmful(trace))
    torch.save(nx.Graph(), tmp_path / "c.pt")
    with pytest.raises(DataError, match="holds Graph"):
        open_source(tmp_path / "c.pt", pickle=True)


def test_what_is_wrong_with_tables_is_said(tmp_path: Path) -> None:
    nodes, edges, _ = tables(tmp_path)
    edges.loc[4, "target"] = "n99"
    edges.to_csv(tmp_path / "edges.csv", index=False)
    with pytest.raises(DataError, match=r"edge 4 joins .* no node 'n99'"):
        open_source(tmp_path)
    tables(tmp_path)
    nodes.loc[2, "id"] = "n1"
    nodes.to_csv(tmp_path / "nodes.csv", index=False)
    with pytest.raises(DataError, match="'n1' is there 2 times"):
        open_source(tmp_path)
    nodes, _, _ = tables(tmp_path)
    nodes.loc[3, "a"] = None
    nodes.to_csv(tmp_path / "nodes.csv", index=False)
    with pytest.raises(DataError, match="column 'a' is empty in row 4"):
        open_source(tmp_path)
    tables(tmp_path)
    with pytest.raises(DataError, match="no column 'weight'"):
        open_source(tmp_path, columns=("weight",))
    (tmp_path / "edges.csv").write_text("source;target\nn0;n1\n")
    with pytest.raises(DataError, match="looks like several"):
        open_source(tmp_path)


def test_options_that_cannot_be() -> None:
    for options in ({"degrees": 0}, {"fanout": ()}, {"fanout": (0,)}, {"label": "y"}):
        with pytest.raises(OptionError):
            open_source(edges_and(), **options)


def test_drawn_neighbours_lie_around_the_samples() -> None:
    graph = nx.barabasi_albert_graph(60, 3, seed=0)
    data = {"edge_index": pairs_of(graph), "x": np.arange(60.0)[:, None]}
    source = open_source(data, sampling="neighbours", fanout=(4, 2))
    index = torch.tensor([7, 31, 2])
    found = source.batch(index)["x"]
    assert found.place[found.roots].tolist() == index.tolist()
    assert torch.equal(found.nodes[:, 0].long(), found.place)
    real = {(int(a), int(b)) for a, b in found.place[found.edges].T}
    assert real <= both(graph)
    assert all((b, a) in real for a, b in real)
    for node in index.tolist():
        assert sum(a == node for a, _ in real) >= min(graph.degree[node], 2)
    away = nx.multi_source_dijkstra_path_length(graph, set(index.tolist()), cutoff=2)
    assert set(found.place.tolist()) <= set(away)
    again = source.batch(index)["x"]
    assert torch.equal(again.edges, found.edges)
    everything = open_source(data, sampling="neighbours", fanout=(99, 99)).batch(index)["x"]
    assert set(everything.place.tolist()) == set(away)
