"""PAL: the graph that answers make, and the loss on it."""

import csv

import numpy as np
import pytest
import torch
from composing import build, student, views_of
from tiny_encoders import images

import tacit
from tacit.errors import DataError, OptionError
from tacit.objectives.contrastive import NTXent
from tacit.objectives.graphs import GraphContrast
from tacit.parts.relations import LabelOracle, Relations, ask


@pytest.mark.parametrize("form", ["simclr", "vicreg", "barlow", "squared"])
def test_pal_of_views_alone_has_the_graph_of_views(form):
    method = build("pal", form=form, queries=0.0, norm="layer", out=6)
    batch = views_of(method)
    z = torch.stack([student(method, v) for v in batch["views"]], 1).flatten(0, 1)
    graph = torch.kron(torch.eye(6), torch.ones(2, 2))
    torch.testing.assert_close(method(batch)["loss"], method.objective(z, graph))
    if form == "simclr":
        expected = NTXent(0.2)(*(student(method, v) for v in batch["views"]))
        torch.testing.assert_close(method(batch)["loss"], expected)


def answered(closure, count=12):
    found = Relations(count)
    found.add(torch.tensor([[0, 3], [3, 5], [1, 2], [0, 7]]), torch.tensor([1, 1, 0, 0]))
    method = build("pal", count, queries=2.0, closure=closure, norm="layer", out=6)
    method.remember(found)
    return method


def test_pal_knows_what_was_answered_and_what_follows():
    index = torch.tensor([5, 0, 3, 7, 1, 2])
    plain, closed = answered(False).graph(index), answered(True).graph(index)
    expected = torch.eye(6)
    for a, b in ((1, 2), (2, 0)):
        expected[a, b] = expected[b, a] = 1
    assert torch.equal(plain, expected)
    expected[0, 1] = expected[1, 0] = 1
    assert torch.equal(closed, expected)


def test_pal_a_no_counts_more_than_the_closure():
    found = Relations(12)
    found.add(torch.tensor([[0, 1], [1, 2], [0, 2]]), torch.tensor([1, 1, 0]))
    method = build("pal", 12, queries=2.0)
    method.remember(found)
    assert method.graph(torch.arange(3)).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]


def test_pal_loss_is_on_that_graph():
    method = answered(True)
    batch = views_of(method)
    z = torch.stack([student(method, v) for v in batch["views"]], 1).flatten(0, 1)
    graph = torch.kron(method.graph(torch.arange(6)), torch.ones(2, 2))
    torch.testing.assert_close(method(batch)["loss"], GraphContrast(0.2)(z, graph))


def labelled(method, labels):
    def samples():
        for rows in torch.arange(len(labels)).split(5):
            yield {"index": rows, "y": labels[rows], "views": [{"x": images(len(labels), 9)["x"][rows]}]}

    return samples


@pytest.mark.parametrize("rule", ["passive", "star", "active", "disagreement"])
def test_pal_asks_labels_at_the_start(rule):
    labels = torch.arange(12) % 3
    method = build("pal", 12, queries=3.0, rule=rule)
    method.begin(labelled(method, labels))
    graph = method.graph(torch.arange(12))
    wrong = (graph > 0) & (labels[:, None] != labels)
    assert not wrong.any()
    assert graph.sum() > 12


def test_pal_with_all_labels_is_supervised_and_unknown_labels_are_alone():
    labels = torch.tensor([0, 1, -1, 0, -1, 1])
    method = build("pal", 6, queries=0.0, labels=True)
    method.begin(labelled(method, labels))
    expected = ((labels[:, None] == labels) & (labels >= 0)) | torch.eye(6, dtype=torch.bool)
    assert torch.equal(method.graph(torch.arange(6)), expected.float())


def test_pal_reads_answers_and_refuses_bad_ones(tmp_path):
    path = tmp_path / "answers.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["first", "second", "answer"], [0, 3, 1], [1, 2, 0]])
    method = build("pal", 12, answers=str(path))
    method.begin(labelled(method, torch.zeros(12)))
    assert method.graph(torch.arange(12)).sum() == 14
    few = build("pal", 12, queries=0.1, answers=str(path))
    few.queries = 0.01
    few.sized(12)
    with pytest.raises(OptionError, match="more than"):
        few.begin(labelled(few, torch.zeros(12)))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="CSV"):
        build("pal", 12, answers=str(path)).begin(labelled(method, torch.zeros(12)))
    with pytest.raises(DataError, match="answers"):
        build("pal", 12, answers=str(tmp_path / "none.csv")).begin(labelled(method, torch.zeros(12)))


def test_a_labelling_loop_between_runs(tmp_path):
    """Train, ask by the run's embeddings, write the answers, train with them."""
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    x = (100 * y[:, None, None, None] + rng.integers(0, 50, (24, 1, 16, 16))).astype(np.uint8)
    options = {"hidden": 8, "out": 4, "encoder.width": 4}
    with pytest.warns(UserWarning, match="no labels"):
        run = tacit.pretrain(x, "pal", steps=2, batch_size=8, out=tmp_path / "a", quiet=True, options=options)
    assert len(run.method.group.unique()) == 24  # nobody answered
    found = Relations(24)
    ask(LabelOracle(torch.from_numpy(y)), found, 24, "active", torch.from_numpy(run.embed(x)))
    with open(tmp_path / "answers.csv", "w", newline="") as file:
        rows = torch.cat((found.pairs, found.answers[:, None]), 1).tolist()
        csv.writer(file).writerows([["first", "second", "answer"], *rows])
    options |= {"answers": str(tmp_path / "answers.csv")}
    run = tacit.pretrain(x, "pal", steps=2, batch_size=8, out=tmp_path / "b", quiet=True, options=options)
    assert torch.equal(run.method.group, found.groups())


def test_pal_without_questions_asks_nothing():
    method = build("pal", 12, queries=0.0)
    method.begin(labelled(method, torch.arange(12) % 3))
    assert torch.equal(method.graph(torch.arange(12)), torch.eye(12))
