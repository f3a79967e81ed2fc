"""Supervisory kernels: rows of distributions over neighbours."""

import math

import pytest
import torch

from tacit.objectives.supervisory import (
    Augmentation,
    Context,
    GaussianNeighbours,
    Given,
    Labels,
    Neighbours,
    Sum,
    Walk,
)


def context(views=1, samples=6, **known):
    z = [torch.zeros(samples, 2, dtype=torch.float64)] * views
    return Context.of(z, **known)


def rows(kernel, known, mask=True):
    return kernel(known, 0, known.total, mask)


def line(*places):
    return torch.tensor(places, dtype=torch.float64)[:, None]


def test_augmentation_of_three_views():
    p = rows(Augmentation(), context(3, 2))
    block = (1 - torch.eye(3, dtype=torch.float64)) / 2
    assert torch.equal(p, torch.block_diag(block, block))
    assert torch.equal(rows(Augmentation(), context(1, 3), mask=False), torch.eye(3, dtype=torch.float64))


def test_labels_of_two_views():
    p = rows(Labels(), context(2, 3, labels=torch.tensor([5, 7, 5])))
    assert p[0].tolist() == [0, 1 / 3, 0, 0, 1 / 3, 1 / 3]
    assert p[2].tolist() == [0, 0, 0, 1, 0, 0]


def test_nearest_neighbours_are_no_selves():
    known = context(samples=5, features=line(0.0, 1.0, 3.0, 3.5, 9.0))
    for mask in (True, False):
        p = rows(Neighbours(2), known, mask)
        assert [row.nonzero()[:, 0].tolist() for row in p] == [[1, 2], [0, 2], [1, 3], [1, 2], [2, 3]]
        assert (p.sum(1) == 1).all()
    few = rows(Neighbours(9), known)
    assert torch.equal(few, (1 - torch.eye(5, dtype=torch.float64)) / 4)


def test_a_walk_is_a_power_of_the_graph():
    known = context(samples=6, features=torch.randn(6, 3).double())
    one = rows(Neighbours(2), known)
    for steps in (1, 2, 3):
        power = torch.linalg.matrix_power(one, steps)
        assert torch.allclose(rows(Walk(Neighbours(2), steps), known, mask=False), power)
        power.fill_diagonal_(0)
        wanted = power / power.sum(1, True)
        assert torch.allclose(rows(Walk(Neighbours(2), steps), known), wanted)
        pieces = [Walk(Neighbours(2), steps)(known, first, 2, True) for first in (0, 2, 4)]
        assert torch.allclose(torch.cat(pieces), wanted)


@pytest.mark.parametrize("perplexity", [1.5, 3.0, 8.0])
def test_perplexity_is_met(perplexity):
    known = context(samples=12, features=100 * torch.randn(12, 4).double())
    p = rows(GaussianNeighbours(perplexity=perplexity), known)
    entropy = -torch.xlogy(p, p).sum(1)
    assert torch.allclose(entropy.exp(), torch.full_like(entropy, perplexity), rtol=1e-6)
    assert torch.allclose(p.sum(1), torch.ones_like(entropy))


def test_perplexity_is_at_most_the_number_of_others():
    same = context(samples=4, features=torch.zeros(4, 2).double())
    apart = context(samples=4, features=torch.randn(4, 2).double())
    for known in (same, apart):
        p = rows(GaussianNeighbours(perplexity=30.0), known)
        assert torch.allclose(p, (1 - torch.eye(4, dtype=torch.float64)) / 3, atol=1e-6)


def test_gaussian_weights():
    p = rows(GaussianNeighbours(2.0), context(samples=3, features=line(0.0, 1.0, 3.0)))
    near, far = math.exp(-1 / 8), math.exp(-9 / 8)
    assert p[0].tolist() == pytest.approx([0, near / (near + far), far / (near + far)])


def test_a_sum_is_normalised_anew_where_a_part_knows_nobody():
    graph = torch.tensor([[0, 3, 1], [0, 0, 0], [1, 0, 0]], dtype=torch.float64)
    known = context(samples=3, graph=graph, labels=torch.tensor([0, 0, 1]))
    p = rows(Sum([Given(), Labels()], (3.0, 1.0)), known)
    assert p.tolist() == [[0, 0.8125, 0.1875], [1, 0, 0], [1, 0, 0]]
    assert rows(Labels(), known)[2].sum() == 0


def test_a_graph_of_samples_is_inherited_by_views():
    graph = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    p = rows(Given(), context(2, 2, graph=graph))
    assert p[0].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert p[2].tolist() == [0, 0, 0, 1]
