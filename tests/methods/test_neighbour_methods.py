"""MYOW, TriBYOL and Transitive: BYOL with neighbours, with three views; triplets from a graph of neighbours."""

import itertools

import pytest
import torch
from tiny_encoders import TinyEncoder, batch_for, images
from torch.nn import functional
from torch.nn.functional import cosine_similarity

from tacit.errors import OptionError
from tacit.methods.predictive.byol import BYOL
from tacit.methods.predictive.myow import MYOW
from tacit.methods.predictive.transitive import Transitive, mutual_neighbours
from tacit.methods.predictive.tribyol import TriBYOL


def shaken(method):
    """Teachers that are no longer copies."""
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            if name.startswith("teacher_"):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return method.double()


def distance(a, b):
    return (2 - 2 * cosine_similarity(a, b)).mean()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_tribyol_sums_over_the_other_views_and_averages_over_views(count):
    method = shaken(TriBYOL(TinyEncoder(), norm="layer"))
    batch = images(4, views=count)
    views = [view["x"] for view in batch["views"]]
    predicted = [method.predictor(method.projector(method.encoder(x))) for x in views]
    target = [method.teacher_projector(method.teacher_encoder(x)) for x in views]
    total = sum(distance(predicted[v], target[w]) for v, w in itertools.permutations(range(count), 2))
    torch.testing.assert_close(method(batch)["loss"], total / count, rtol=1e-10, atol=0)


def test_tribyol_of_two_views_is_half_of_byol():
    method, byol = shaken(TriBYOL(TinyEncoder(), norm="layer")), BYOL(TinyEncoder(), norm="layer").double()
    byol.load_state_dict(method.state_dict())
    torch.testing.assert_close(2 * method(images(4))["loss"], byol(images(4))["loss"], rtol=1e-10, atol=0)


def test_tribyol_mean_of_the_others():
    method = shaken(TriBYOL(TinyEncoder(), norm="layer", mean_weight=0.5))
    batch = images(4, views=3)
    views = [view["x"] for view in batch["views"]]
    target = [functional.normalize(method.teacher_projector(method.teacher_encoder(x))) for x in views]
    total = 0.0
    for v, x in enumerate(views):
        others = sum(t for w, t in enumerate(target) if w != v)
        total = total + distance(method.predictor(method.projector(method.encoder(x))), others) / 3
    terms = method(batch)
    torch.testing.assert_close(terms["mean"], 0.5 * total, rtol=1e-10, atol=0)
    with pytest.raises(OptionError, match="2 views"):
        method(images(4, views=1))


def myow(**options):
    return shaken(MYOW(TinyEncoder(), **{"norm": "layer", "pool": 6} | options))


def test_myow_is_byol_and_the_prediction_of_a_neighbour():
    method = myow(neighbours=1, weight=0.5, warmup=0.0, ramp=0.0)
    batch = batch_for(method, 5)
    first, second, plain = (view["x"] for view in batch["views"])
    ways = []
    for seen, other in ((first, second), (second, first)):
        prediction = method.predictor(method.projector(method.encoder(seen)))
        ways.append(distance(prediction, method.teacher_projector(method.teacher_encoder(other))))
    anchor, candidates = method.encoder(first), method.teacher_encoder(plain)
    mined = 0.0
    for i in range(5):
        alike = [cosine_similarity(anchor[i], candidates[j], dim=0) if j != i else -2 for j in range(5)]
        j = max(range(5), key=lambda j: alike[j])
        prediction = method.second_predictor(method.second_projector(method.projector(anchor[i : i + 1])))
        target = method.teacher_second(method.teacher_projector(candidates[j : j + 1]))
        mined = mined + distance(prediction, target) / 5
    terms = method(batch)
    torch.testing.assert_close(terms["augmented"], (ways[0] + ways[1]) / 2 / 1.5, rtol=1e-8, atol=0)
    torch.testing.assert_close(terms["mined"], mined * 0.5 / 1.5, rtol=1e-8, atol=0)


def test_myow_draws_one_of_the_nearest_and_never_the_sample_itself():
    method = myow(neighbours=2, pool=4)
    angle = torch.tensor([0.0, 0.1, 0.2, 1.0, 2.0]).double()
    rows = functional.pad(torch.stack((angle.cos(), angle.sin()), 1), (0, 10))
    index = torch.tensor([4, 9, 1, 3, 0])
    drawn = []
    for seed in range(30):
        torch.manual_seed(seed)
        method.owners.fill_(-1)
        found = method.mine(rows, rows, index)
        drawn.append([int((rows - row).norm(dim=1).argmin()) for row in found])
    assert [set(column) for column in zip(*drawn, strict=True)] == [{1, 2}, {0, 2}, {0, 1}, {1, 2}, {2, 3}]
    assert method.owners.tolist() == [4, 9, 1, 3]
    assert torch.equal(method.bank, rows[:4])


def test_myow_mines_among_earlier_batches_too_but_not_what_the_sample_itself_was():
    method = myow(neighbours=1, pool=3)
    rows = torch.eye(12).double()
    method.mine(rows[:2], rows[:2], torch.tensor([0, 1]))
    anchors = rows[:2] + 0.5 * rows[5:7]
    found = method.mine(anchors, rows[5:7], torch.tensor([0, 8]))
    assert torch.equal(found[1], rows[1])  # of sample 1, in the pool: nearer than anything in the batch
    assert not torch.equal(found[0], rows[0])  # of sample 0 itself
    assert method.owners.tolist() == [0, 8, 0]


def test_myow_with_fewer_candidates_than_neighbours():
    method = myow(neighbours=3, pool=0)
    rows = torch.randn(2, 12).double()
    assert torch.equal(method.mine(rows, rows, torch.tensor([0, 1])), rows.flip(0))


def test_myow_weight_waits_rises_and_stays():
    method = myow(weight=0.4, warmup=0.2, ramp=0.4)
    found = []
    for progress in (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.9):
        method.after_step(progress)
        found.append(method.mining_weight())
    assert found == pytest.approx([0, 0, 0, 0.1, 0.2, 0.4, 0.4])
    with pytest.raises(OptionError, match="neighbours"):
        myow(neighbours=0)
    with pytest.raises(OptionError, match="warmup"):
        myow(warmup=2.0)


def test_mutual_neighbours():
    x = torch.randn(20, 3, dtype=torch.float64)
    found = mutual_neighbours(x, 4)
    unit = functional.normalize(x)
    near = []
    for i in range(20):
        alike = {j: float(unit[i] @ unit[j]) for j in range(20) if j != i}
        near.append(set(sorted(alike, key=alike.__getitem__)[-4:]))
    for i in range(20):
        assert set(found[i].tolist()) - {-1} == {j for j in near[i] if i in near[j]}


def transitive(partners, **options):
    method = Transitive(TinyEncoder(), **{"norm": "layer", "neighbours": 1, "negatives": 100} | options)
    method.sized(len(partners))
    method.partners.copy_(torch.tensor(partners)[:, None])
    return method.double()


def test_transitive_positives_and_negatives():
    """Samples 0 and 2 are neighbours, and 1 and 5, which is not in the batch; all allowed negatives take part."""
    method = transitive([2, 5, 0, -1, -1, 1], margin=3.0)
    batch = batch_for(method, 5)
    z = [method.projector(method.encoder(view["x"])) for view in batch["views"]]

    def triplet(a, p, forbidden):
        far = [z[v][n] for v in (0, 1) for n in range(5) if n not in forbidden]
        gaps = [3.0 + cosine_similarity(a, n, dim=0) - cosine_similarity(a, p, dim=0) for n in far]
        # 100 are wanted: the likeliest one stands for those that are missing, and which one that is is random
        return sum(gaps), gaps

    terms = method(batch)
    assert set(terms) == {"loss", "intra", "inter", "transitive"}

    # With random fillers the value lies between that of the least and of the largest gap filling up.
    def bounds(rows):
        low, high = 0.0, 0.0
        for a, p, forbidden in rows:
            total, gaps = triplet(a, p, forbidden)
            missing = 10 - len(gaps)
            low = low + (total + missing * min(gaps)) / 10 / len(rows)
            high = high + (total + missing * max(gaps)) / 10 / len(rows)
        return low, high

    close = {0: {0, 2}, 1: {1}, 2: {0, 2}, 3: {3}, 4: {4}}
    pairs = {
        "intra": [(z[0][i], z[1][i], close[i]) for i in range(5)],
        "inter": [(z[0][i], z[0][j], close[i]) for i, j in ((0, 2), (2, 0))],
        "transitive": [(z[u][i], z[v][j], close[i]) for i, j in ((0, 2), (2, 0)) for u, v in ((0, 1), (1, 0), (1, 1))],
    }
    for kind, rows in pairs.items():
        low, high = bounds(rows)
        assert low <= terms[kind] <= high, kind


def test_transitive_hard_negatives_are_the_nearest():
    method = transitive([2, -1, 0, -1, -1], margin=3.0, negatives=2)
    method.after_step(0.9)
    batch = batch_for(method, 5)
    z = [method.projector(method.encoder(view["x"])) for view in batch["views"]]
    expected = 0.0
    for i in range(5):
        close = {0, 2} if i in (0, 2) else {i}
        alike = sorted(
            (cosine_similarity(z[0][i], z[v][n], dim=0) for v in (0, 1) for n in range(5) if n not in close),
            reverse=True,
        )
        near = cosine_similarity(z[0][i], z[1][i], dim=0)
        expected = expected + sum(3.0 + n - near for n in alike[:2]) / 2 / 5
    torch.testing.assert_close(method(batch)["intra"], expected)


def test_transitive_without_neighbours_or_negatives():
    method = transitive([-1, -1])
    terms = method(batch_for(method, 2))
    assert terms["inter"] == terms["transitive"] == 0
    assert terms["intra"] > 0
    both = transitive([1, 0])
    assert both(batch_for(both, 2))["loss"] == 0  # nothing is left to be a negative of a pair of neighbours
    with pytest.raises(OptionError, match="more than 3 samples"):
        transitive([-1, -1, -1], neighbours=3)


def test_transitive_brings_neighbours_into_one_batch_and_keeps_all_samples():
    partners = [3, -1, 7, 0, -1, 6, 5, 2]
    method = transitive(partners)
    order = torch.randperm(8)
    arranged = method.arrange(order, 4)
    assert sorted(arranged.tolist()) == list(range(8))
    place = arranged.argsort().tolist()
    for i, j in enumerate(partners):
        if j >= 0:
            assert abs(place[i] - place[j]) == 1
    assert torch.equal(method.arrange(order, 4), arranged)


def test_transitive_finds_neighbours_before_it_begins():
    method = Transitive(TinyEncoder(), neighbours=2).double()
    method.sized(10)
    x = images(10)["x"]
    method.begin(lambda: ({"index": rows, "views": [{"x": x[rows]}]} for rows in torch.arange(10).split(4)))
    expected = mutual_neighbours(method.encoder(x).detach().float(), 2)
    assert torch.equal(method.partners, expected)
