"""Soft sorting and group ordering, against plain loops and the libraries of the authors."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from tacit.objectives.ordering import GroupOrdering
from tacit.objectives.sorting import soft_permutation


def rows(k, count=6, width=4):
    i = torch.arange(count * width, dtype=torch.float64).reshape(count, width)
    return torch.sin(1.7 * i + k) + 0.3 * torch.cos(2.3 * i * (k + 1))


def plain_permutation(values, steepness):
    """The network, one comparison at a time."""
    n = len(values)
    x, share = list(values), [[float(i == r) for r in range(n)] for i in range(n)]
    for layer in range(n):
        for a in range(layer % 2, n - 1, 2):
            alpha = 0.5 + math.atan(steepness * (x[a + 1] - x[a])) / math.pi
            x[a], x[a + 1] = alpha * x[a] + (1 - alpha) * x[a + 1], (1 - alpha) * x[a] + alpha * x[a + 1]
            for row in share:
                row[a], row[a + 1] = (
                    alpha * row[a] + (1 - alpha) * row[a + 1],
                    (1 - alpha) * row[a] + alpha * row[a + 1],
                )
    return share


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("steepness", [0.5, 1.0, 30.0])
def test_permutation_is_the_network(n, steepness):
    values = rows(0, 3, n)
    found = soft_permutation(values, steepness)
    for row, share in zip(values.tolist(), found, strict=True):
        assert share.tolist() == [pytest.approx(line, abs=1e-12) for line in plain_permutation(row, steepness)]
    for dim in (1, 2):
        torch.testing.assert_close(found.sum(dim), torch.ones(3, n, dtype=torch.float64))


def test_permutation_agrees_with_diffsort():
    """Recorded from diffsort 0.2.0, odd_even, cauchy, steepness 2, float64."""
    found = soft_permutation(rows(0, 3, 7), 2.0)
    first = [0.17447934, 0.17526687, 0.19453668, 0.20600583, 0.12465764, 0.10007833, 0.02497528]
    assert found[0, 0].tolist() == pytest.approx(first, abs=2e-8)
    assert found.square().sum().item() == pytest.approx(4.397452853809013, rel=1e-9)


def test_a_steep_network_sorts():
    values = torch.tensor([[0.3, -1.0, 2.0, 0.9, -0.2]], dtype=torch.float64)
    place = soft_permutation(values, 1e6)[0].argmax(1)
    assert place.tolist() == values[0].argsort().argsort().tolist()


@pytest.mark.parametrize(
    ("views", "full", "negatives", "steepness", "value"),
    [(2, 2, 3, 1.0, 0.46251846004129726), (3, 2, 4, 2.0, 0.4368275728256555)],
)
def test_agrees_with_the_authors(views, full, negatives, steepness, value):
    """Recorded from ninatu/learning_by_sorting at 108f501 with diffsort 0.2.0, float64; two views, and two of three."""
    objective = GroupOrdering(negatives, steepness)
    assert objective(*(rows(k) for k in range(views)), full=full).item() == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("full", [1, 2, 3])
def test_is_the_equation(full):
    views, K, beta = [normalize(rows(k)) for k in range(3)], 2, 1.5
    total, terms = 0.0, 0
    for a, anchor in enumerate(views):
        partners = [views[p] for p in range(full) if p != a]
        if not partners:
            continue
        terms += 1
        for i in range(6):
            negative = sorted(float(anchor[i] @ anchor[j]) for j in range(6) if j != i)[-K:]
            positive = sorted(float(anchor[i] @ other[i]) for other in partners)
            share = plain_permutation([*negative, *positive], beta)
            for at, row in enumerate(share):
                low, high = sum(row[:K]), sum(row[K:])
                right = (low, 1 - high) if at < K else (high, 1 - low)
                total -= sum(map(math.log, right)) / 2 / len(share) / 6
    found = GroupOrdering(K, beta)(*views, full=full)
    assert found.item() == pytest.approx(total / terms, rel=1e-9)


def test_order_matters_and_only_between_groups():
    objective = GroupOrdering(2, 20.0)
    apart = torch.tensor([[-0.9, -0.8, 0.8, 0.9]], dtype=torch.float64)
    swapped = torch.tensor([[-0.9, 0.8, -0.8, 0.9]], dtype=torch.float64)
    inside = torch.tensor([[-0.8, -0.9, 0.9, 0.8]], dtype=torch.float64)
    assert objective.ordered(apart, 2) < 0.1
    assert objective.ordered(swapped, 2) > 5 * objective.ordered(apart, 2)
    assert objective.ordered(inside, 2) < 2 * objective.ordered(apart, 2)


def test_only_the_anchor_learns():
    first, second = rows(0).requires_grad_(), rows(1).requires_grad_()
    positive = normalize(second).detach()
    GroupOrdering(3)(first, second).backward()
    alone = rows(0).requires_grad_()
    (GroupOrdering(3)(alone, positive)).backward()
    torch.testing.assert_close(first.grad, alone.grad)


def test_a_small_batch_takes_all_others():
    assert GroupOrdering(10)(rows(0, 3), rows(1, 3)) == GroupOrdering(2)(rows(0, 3), rows(1, 3))


@pytest.mark.parametrize("steepness", [1.0, 1e8])
@pytest.mark.parametrize("kind", ["zero", "constant", "two", "huge", "solved"])
def test_finite_on_hard_inputs(kind, steepness):
    x = {
        "zero": torch.zeros(8, 4),
        "constant": torch.full((8, 4), 0.7),
        "two": rows(0, 2).float(),
        "huge": 1e15 * rows(0, 8).float(),
        "solved": torch.eye(8),
    }[kind]
    z = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    with torch.autocast("cpu", torch.bfloat16):
        value = GroupOrdering(10, steepness)(*z)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert all(v.grad.isfinite().all() for v in z)


def test_bad_arguments():
    with pytest.raises(ValueError, match="negatives"):
        GroupOrdering(0)
    for call in (lambda: GroupOrdering(1, 0.0), lambda: soft_permutation(rows(0), 0.0)):
        with pytest.raises(ValueError, match="steepness"):
            call()
    with pytest.raises(ValueError, match="views"):
        GroupOrdering()(rows(0))
    with pytest.raises(ValueError, match="one shape"):
        GroupOrdering()(rows(0), rows(1, 5))
    with pytest.raises(ValueError, match="sort"):
        soft_permutation(torch.ones(3))
