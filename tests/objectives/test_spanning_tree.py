import itertools
import math

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import connected_components
from scipy.sparse.csgraph import minimum_spanning_tree as by_scipy

from tacit.objectives.spanning_tree import TReg, TRegs, minimum_spanning_tree


def cloud(count, width=3, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def length(points, edges):
    return sum(math.dist(points[i].tolist(), points[j].tolist()) for i, j in edges.tolist())


def is_tree(edges, count):
    graph = np.zeros((count, count))
    graph[edges[:, 0], edges[:, 1]] = 1
    return len(edges) == count - 1 and connected_components(graph, directed=False)[0] == 1


@pytest.mark.parametrize("count", [2, 3, 4, 7, 33, 200])
def test_as_long_as_scipys(count):
    points = cloud(count, seed=count)
    edges = minimum_spanning_tree(points)
    assert is_tree(edges.numpy(), count)
    assert length(points, edges) == pytest.approx(by_scipy(torch.cdist(points, points).numpy()).sum(), rel=1e-6)


def test_shortest_of_all_trees_of_five_points():
    points = cloud(5, 2)
    every = list(itertools.combinations(range(5), 2))
    trees = [np.array(chosen) for chosen in itertools.combinations(every, 4)]
    best = min(length(points, torch.from_numpy(t)) for t in trees if is_tree(t, 5))
    assert length(points, minimum_spanning_tree(points)) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize(
    "points",
    [
        torch.zeros(9, 2),
        torch.cartesian_prod(torch.arange(6.0), torch.arange(5.0)),  # almost all lengths are ties
        cloud(12)[[0, 0, 0, 1, 1, 2, 3, 4, 4, 4, 5, 6]],
        torch.full((5, 2), torch.nan),
        1e6 + cloud(20).float(),
    ],
    ids=["one place", "grid", "duplicates", "nan", "far away"],
)
def test_a_tree_whatever_the_points(points):
    edges = minimum_spanning_tree(points)
    assert is_tree(edges.numpy(), len(points))


def test_grid_has_unit_edges():
    grid = torch.cartesian_prod(torch.arange(6.0), torch.arange(5.0))
    assert length(grid, minimum_spanning_tree(grid)) == pytest.approx(29)


def test_tight_pairs_far_from_the_origin():
    """Squares of such numbers hold no trace of their distances in float32."""
    line = torch.arange(8, dtype=torch.float64)[:, None] * 1e-3 + 1000
    points = torch.cat((line, torch.zeros(8, 1, dtype=torch.float64)), 1)
    edges = minimum_spanning_tree(points[torch.randperm(8, generator=torch.Generator().manual_seed(0))])
    assert len(edges) == 7
    assert length(points, minimum_spanning_tree(points)) == pytest.approx(7e-3, rel=1e-6)


def plain(z, gamma, lambda_):
    """Prim's algorithm, one number at a time, and the equation."""
    rows = z.tolist()
    inside, total = {0}, 0.0
    while len(inside) < len(rows):
        d, j = min((math.dist(rows[i], rows[j]), j) for i in inside for j in range(len(rows)) if j not in inside)
        total += d
        inside.add(j)
    sphere = sum((math.hypot(*r) - 1) ** 2 for r in rows)
    return (lambda_ * sphere - gamma * total) / len(rows)


def test_is_the_equation():
    z1, z2 = cloud(11), cloud(11, seed=1)
    assert TReg(0.7, 3.0)(z1).item() == pytest.approx(plain(z1, 0.7, 3.0), rel=1e-9)
    apart = sum(math.dist(a, b) ** 2 for a, b in zip(z1.tolist(), z2.tolist(), strict=True)) / 11
    expected = 5.0 * apart + plain(z1, 0.7, 3.0) + plain(z2, 0.7, 3.0)
    assert TRegs(5.0, 0.7, 3.0)(z1, z2).item() == pytest.approx(expected, rel=1e-9)


def test_gradient():
    assert torch.autograd.gradcheck(TReg(), [cloud(7).requires_grad_()])


def test_permutation():
    z = cloud(20)
    torch.testing.assert_close(TReg()(z[torch.randperm(20)]), TReg()(z), rtol=1e-12, atol=1e-12)


def test_duplicates_have_no_gradient_from_their_edge():
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    TReg()(z).backward()
    assert z.grad.abs().max() < 1e-4


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_eight_points_become_a_simplex(gamma):
    """All distances equal, and the radius where the pull of the tree and of the sphere balance."""
    z = (0.3 * cloud(8, 8)).requires_grad_()
    optimiser = torch.optim.Adam([z], 0.02)
    objective = TReg(gamma, 10.0)
    for step in range(1500):
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * (1 - step / 1500)
        optimiser.zero_grad()
        objective(z).backward()
        optimiser.step()
    z = z.detach()
    distances, radius = torch.pdist(z), z.norm(dim=1).mean()
    assert distances.std() / distances.mean() < 0.01
    assert (distances.mean() / radius).item() == pytest.approx(math.sqrt(16 / 7), rel=0.01)
    assert radius.item() == pytest.approx(1 + gamma * 7 / 8 * math.sqrt(16 / 7) / 20, rel=0.01)


def test_a_flat_cloud_recovers_its_rank():
    flat = torch.cat((cloud(48, 2), 1e-3 * cloud(48, 4, seed=1)), 1)
    z = flat.clone().requires_grad_()
    optimiser = torch.optim.Adam([z], 0.02)
    for _ in range(300):
        optimiser.zero_grad()
        TReg()(z).backward()
        optimiser.step()

    def shares(points):
        values = torch.linalg.svdvals(points - points.mean(0))
        return (values / values[0])[-1].item()

    assert shares(flat) < 0.01
    assert shares(z.detach()) > 0.5


def test_lambda_must_be_positive():
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            TReg(lambda_=bad)
