"""Methods with queues, orders and relations: that each is the composition that its paper says."""

import copy
import csv

import numpy as np
import pytest
import torch
from tiny_encoders import TinyEncoder, batch_for, images
from torch.nn.functional import cross_entropy, normalize

import tacit
from tacit.errors import DataError, OptionError
from tacit.methods.contrastive.sy_con import SyCON
from tacit.objectives.contrastive import NTXent
from tacit.objectives.graphs import GraphContrast
from tacit.objectives.predictive import NegativeCosine
from tacit.objectives.queue_contrastive import QueueContrast
from tacit.parts.relations import LabelOracle, Relations, ask
from tacit.registry import find


def build(name, count=16, dtype=torch.float64, **options):
    torch.manual_seed(0)
    method = find(name, "method")(TinyEncoder(), **options).to(dtype)
    method.sized(count)
    return method.to(dtype)


def views_of(method, rows=6, seed=0):
    return batch_for(method, rows, seed)


def teacher(method, view):
    return normalize(method.teacher_projector.network(method.teacher_encoder.network(view["x"])))


def student(method, view):
    return method.projector(method.encoder(view["x"]))


def moved(method):
    """With a teacher that is no longer its student."""
    for parameter in method.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return method


def test_moco_v2_is_cross_entropy_over_key_and_queue():
    method = moved(build("moco-v2", queue=8, out=4, temperature=0.3))
    for step in range(3):
        batch = views_of(method, 3, 10 * step)
        (before,) = method.queue.read()
        loss = method(batch)["loss"]
        q, k = normalize(student(method, batch["views"][0])), teacher(method, batch["views"][1])
        logits = torch.cat(((q * k).sum(1, keepdim=True), q @ before.T), 1) / 0.3
        torch.testing.assert_close(loss, cross_entropy(logits, torch.zeros(3, dtype=torch.int64)))
        (after,) = method.queue.read()
        torch.testing.assert_close(after[(torch.arange(3) + 3 * step) % 8], k)
    assert int(method.queue.entered) == 9


def test_moco_v2_teacher_moves_at_a_constant_rate():
    method = moved(build("moco-v2", momentum=0.9))
    before = copy.deepcopy(method.teacher_encoder.network.state_dict())
    method.after_step(0.9)
    for name, value in method.teacher_encoder.network.state_dict().items():
        torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * method.encoder.state_dict()[name])


def test_moco_v3_is_both_directions_over_the_batch():
    method = moved(build("moco-v3", norm="layer", temperature=0.3))
    batch = views_of(method)
    first, second = batch["views"]
    total = 0
    for one, other in ((first, second), (second, first)):
        q, k = normalize(method.predictor(student(method, one))), teacher(method, other)
        total += 2 * 0.3 * cross_entropy(q @ k.T / 0.3, torch.arange(6))
    torch.testing.assert_close(method(batch)["loss"], total)


def test_nnclr_takes_the_neighbour_out_of_the_filled_part_of_the_queue():
    method = moved(build("nnclr", norm="layer", queue=16, temperature=0.3))
    z = normalize(torch.randn(4, 256, dtype=torch.float64))
    assert torch.equal(method.nearest(z), z)
    method.queue.push(z[:2])
    assert torch.equal(method.nearest(z[:2]), z[:2])
    for step in range(2):
        batch = views_of(method, 6, step)
        z1, z2 = (student(method, view) for view in batch["views"])
        p1, p2 = method.predictor(z1), method.predictor(z2)
        rows = method.queue.rows[: int(method.queue.entered)]
        total = 0
        for z, p in ((z1, p2), (z2, p1)):
            near = rows[(normalize(z) @ rows.T).argmax(1)]
            total += cross_entropy(near @ normalize(p).T / 0.3, torch.arange(6)) / 2
        torch.testing.assert_close(method(batch)["loss"], total)
        torch.testing.assert_close(method.queue.rows[2 + 6 * step : 8 + 6 * step], normalize(z1))


def test_ascl_normal_is_moco_and_starts_as_it():
    """While nothing is in the queue nothing can be a neighbour."""
    losses = {}
    for weighting in ("normal", "hard", "ahcl", "ascl"):
        method = moved(build("ascl", queue=8, weighting=weighting, neighbours=3, out=4))
        torch.manual_seed(1)
        moved(method)
        losses[weighting] = [method(views_of(method, 6, 10 * step))["loss"].item() for step in range(2)]
    assert len({row[0] for row in losses.values()}) == 1
    assert len({row[1] for row in losses.values()}) == 4


def test_ascl_asks_the_weak_view_of_the_teacher():
    method = moved(build("ascl", queue=8, out=4, neighbours=2))
    method(views_of(method, 6, 3))
    batch = views_of(method)
    strong, weak = batch["views"]
    key, (queue,) = teacher(method, weak), method.queue.read()
    weights, certain = method.weigh(key, queue)
    assert weights[:, :6].any()
    assert not weights[:, 6:].any()  # unfilled
    assert (certain > 0).all()
    expected = QueueContrast(0.1)(student(method, strong), key, queue, weights)
    torch.testing.assert_close(method(batch)["loss"], expected)


def test_ascl_in_byol_form_without_neighbours_is_byol_of_one_direction():
    method = moved(build("ascl", form="byol", weighting="normal", norm="layer"))
    batch = views_of(method)
    prediction = method.predictor(student(method, batch["views"][0]))
    expected = NegativeCosine()(prediction, teacher(method, batch["views"][1]))
    torch.testing.assert_close(method(batch)["loss"], expected)
    assert "queue" not in dict(method.named_children())


def sampled(count=12, seed=50):
    """What begin() is given: all samples with one view each."""

    def samples():
        for rows in torch.arange(count).split(5):
            views = images(count, seed)["views"]
            yield {"index": rows, "views": [{"x": views[0]["x"][rows]}]}

    return samples


@pytest.mark.parametrize("form", ["moco", "simclr"])
def test_sy_con_keeps_the_model_that_it_starts_from(form):
    method = moved(build("sy-con", form=form, norm="batch", queue=8, out=4))
    method.begin(sampled())
    assert int(method.task) == 0
    method(views_of(method))
    method.after_step(0.5)
    later = build("sy-con", form=form, norm="batch", queue=8, out=4)
    later.load_state_dict(method.state_dict())
    later.eval().begin(sampled())
    later.train()
    assert int(later.task) == 1
    assert later.queue.filled.all()
    for kept, now in ((later.earlier_encoder, later.encoder), (later.earlier_projector, later.projector)):
        assert not kept.training
        for name, value in kept.state_dict().items():
            assert torch.equal(value, now.state_dict()[name])
    before = copy.deepcopy(later.earlier_projector.state_dict())
    terms = later(views_of(later))
    terms["loss"].backward()
    assert set(terms) == {"loss", "plasticity", "stability"}
    assert all(p.grad is None for p in (*later.earlier_encoder.parameters(), *later.earlier_projector.parameters()))
    reached = {n.partition(".")[0] for n, p in later.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert reached == {"encoder", "projector", "predictor"}
    for name, value in later.earlier_projector.state_dict().items():
        assert torch.equal(value, before[name])


def test_sy_con_contrasts_with_both_models():
    method = moved(build("sy-con", norm="layer", queue=8, out=4, temperature=0.3, distillation_temperature=0.5))
    method.after_step(0.0)
    method.begin(sampled())
    moved(method)
    batch = views_of(method, 3)
    rows = method.queue.read()
    views = batch["views"]
    q = [normalize(student(method, v)) for v in views]
    p = [normalize(method.predictor(x)) for x in q]
    k = [teacher(method, v) for v in views]
    r = [normalize(method.earlier_projector(method.earlier_encoder(v["x"]))) for v in views]

    def contrast(a, positive, negatives, t):
        logits = torch.cat(((a * positive).sum(1, keepdim=True), a @ negatives.T), 1) / t
        return cross_entropy(logits, torch.zeros(3, dtype=torch.int64))

    both = [torch.cat((rows[1], rows[2])), torch.cat((rows[0], rows[3]))]
    assert len(both[0]) == 16  # |Qc| + |Qp|
    terms = method(batch)
    expected = sum(contrast(q[i], k[1 - i], both[i], 0.3) for i in (0, 1)) / 2
    torch.testing.assert_close(terms["plasticity"], expected)
    expected = sum(contrast(p[i], r[i], both[i], 0.5) for i in (0, 1)) / 2
    torch.testing.assert_close(terms["stability"], expected)
    for part, wanted in zip(method.queue.read(), [*k, *r], strict=True):
        # twelve rows were pushed at the start of the task: the eight of the queue, from slot 5 on in turn
        at = (int(method.queue.entered) - 3 + torch.arange(3)) % 8
        torch.testing.assert_close(part[at], wanted)


def test_sy_con_without_shared_negatives_has_those_of_one_model_each():
    options = {"norm": "layer", "queue": 8, "out": 4}
    losses = []
    for shared in (True, False):
        method = build("sy-con", **options, earlier_in_plasticity=shared, present_in_stability=shared)
        method.after_step(0.0)
        method.begin(sampled())
        losses.append({n: v.item() for n, v in method(views_of(method, 3)).items()})
    assert all(losses[0][name] > losses[1][name] for name in ("plasticity", "stability"))


@pytest.mark.parametrize("form", ["moco", "simclr"])
def test_the_first_task_teaches_the_encoder_what_moco_or_simclr_does(form):
    method = moved(build("sy-con", form=form, norm="layer", queue=8, out=4, temperature=0.3))
    batch = views_of(method)
    present = method.queue.read()
    method(batch)["loss"].backward()
    found = [p.grad.clone() for p in method.encoder.parameters()]
    method.zero_grad()
    z1, z2 = (student(method, v) for v in batch["views"])
    if form == "simclr":
        NTXent(0.3)(z1, z2).backward()
    else:
        keys = [teacher(method, v) for v in batch["views"]]
        contrast = QueueContrast(0.3)
        ((contrast(z1, keys[1], present[1]) + contrast(z2, keys[0], present[0])) / 2).backward()
    for grad, parameter in zip(found, method.encoder.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad)


def test_sy_con_over_two_runs(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (24, 1, 16, 16), dtype=np.uint8)
    options = {"queue": 16, "hidden": 16, "out": 8, "encoder.width": 4}
    runs = [None]
    for task in range(3):
        runs.append(
            tacit.pretrain(
                data[: 24 - 4 * task], SyCON, steps=3, batch_size=8, out=tmp_path / str(task), quiet=True,
                continue_from=runs[-1], options=options,
            )
        )  # fmt: skip
    last, before = (tacit.load(run.folder) for run in (runs[3], runs[2]))
    assert int(last.method.task) == 2
    for name, value in last.method.earlier_projector.state_dict().items():
        assert torch.equal(value, before.method.projector.state_dict()[name])


def test_mls_labels_itself_and_its_neighbours():
    method = moved(build("mls", queue=16, labels=3, contrast=0.0, out=4, temperature=0.3))
    method(views_of(method, 6, 20))
    batch = views_of(method)
    embeddings = [method.encoder(v["x"]) for v in batch["views"]]
    terms = method(batch)
    rows = method.queue.read()
    own, filled = torch.arange(6, 12), method.queue.filled
    assert filled.tolist() == [True] * 12 + [False] * 4
    total = 0
    for i in (0, 1):
        torch.testing.assert_close(rows[1 - i][own], teacher(method, batch["views"][1 - i]))
        slow = method.teacher_encoder.network(batch["views"][1 - i]["x"])
        torch.testing.assert_close(rows[3 - i][own], normalize(slow))
        chosen = method.choose(embeddings[i], rows[3 - i], own, filled)
        assert chosen.sum(1).tolist() == [3] * 6
        assert chosen[torch.arange(6), own].all()
        assert not chosen[:, 12:].any()
        total += method.objective(method.projector(embeddings[i]), rows[1 - i], chosen, filled) / 2
    assert set(terms) == {"loss", "labels"}
    torch.testing.assert_close(terms["loss"], total)


def test_mls_needs_a_dictionary_that_holds_a_batch():
    method = build("mls", queue=4)
    with pytest.raises(OptionError, match="raise queue"):
        method(views_of(method))


def test_groco_takes_smaller_views_as_anchors_only():
    method = build("groco", norm="layer", out=6)
    batch = images(5, views=3)
    small = batch["views"][2]["x"][:, :, 2:6, 2:6]
    batch["views"][2]["x"] = small

    class Any(TinyEncoder):
        def forward(self, x):
            return super().forward(torch.nn.functional.interpolate(x, 8))

    method.encoder.__class__ = Any
    z = [student(method, view) for view in batch["views"]]
    torch.testing.assert_close(method(batch)["loss"], method.objective(*z, full=2))


@pytest.mark.parametrize("aggregation", ["concat", "sum", "mean", "max"])
@pytest.mark.parametrize("rows", [2, 3, 5])
def test_relational_reasoning_asks_about_these_pairs(aggregation, rows):
    method = build("relational-reasoning", norm="layer", aggregation=aggregation, gamma=1.0)
    batch = views_of(method, rows)
    h = [method.encoder(view["x"]) for view in batch["views"]]
    values, shift = [], 0
    for a in range(4):
        for b in range(a + 1, 4):
            shift = shift + 1 if shift + 1 < rows else 1
            for i in range(rows):
                for j, same in ((i, True), ((i - shift) % rows, False)):
                    pair = {
                        "concat": torch.cat((h[a][i], h[b][j])),
                        "sum": h[a][i] + h[b][j],
                        "mean": (h[a][i] + h[b][j]) / 2,
                        "max": torch.maximum(h[a][i], h[b][j]),
                    }[aggregation]
                    right = torch.sigmoid(method.relation(pair)[0] * (1 if same else -1))
                    values.append(-0.5 * (1 - right) * right.log())
    assert len(values) == rows * 4 * 3
    torch.testing.assert_close(method(batch)["loss"], torch.stack(values).mean())


def test_relational_reasoning_needs_two_samples_and_views():
    method = build("relational-reasoning", norm="layer")
    with pytest.raises(OptionError, match="2 samples"):
        method(views_of(method, 1))
    with pytest.raises(OptionError, match="2 views"):
        method(images(4, views=1))


def test_g_simclr_batches_hold_each_cluster_once(tmp_path):
    rng = np.random.default_rng(0)
    level = rng.permutation(np.repeat([10, 90, 170, 240], 10))
    x = (level[:, None, None, None] + rng.integers(0, 10, (40, 1, 16, 16))).astype(np.uint8)
    options = {"clusters": 4, "autoencoder_epochs": 8, "hidden": 8, "out": 4, "encoder.width": 4}
    run = tacit.pretrain(x, "g-simclr", steps=2, batch_size=4, out=tmp_path / "r", quiet=True, options=options)
    method = run.method
    groups = {}
    for value, cluster in zip(level, method.cluster.tolist(), strict=True):
        groups.setdefault(int(value), set()).add(cluster)
    assert sorted(map(list, groups.values())) == [[0], [1], [2], [3]]
    for batch in method.arrange(torch.randperm(40), 4).split(4):
        assert len(set(level[batch])) == 4


def test_g_simclr_before_it_has_clusters_leaves_the_order():
    order = torch.randperm(16)
    assert torch.equal(build("g-simclr").arrange(order, 4), order)


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


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ascl", {"form": "both"}), ("sy-con", {"form": "byol"}), ("pal", {"form": "moco"}), ("pal", {"queries": -1.0}),
        ("pal", {"noise": 1.0}), ("mls", {"labels": 0}), ("mls", {"contrast": -1.0}), ("g-simclr", {"clusters": 1}),
        ("g-simclr", {"autoencoder_epochs": 0}), ("relational-reasoning", {"aggregation": "dot"}),
    ],
)  # fmt: skip
def test_bad_options(name, options):
    with pytest.raises(OptionError):
        build(name, **options)
