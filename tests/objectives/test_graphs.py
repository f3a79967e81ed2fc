"""Losses on a graph, against plain loops and the losses that they become for a graph of views."""

import pytest
import torch
from torch.nn.functional import one_hot

from tacit.objectives.contrastive import NTXent
from tacit.objectives.graphs import GraphBarlowTwins, GraphContrast, GraphFactorisation, GraphVICReg
from tacit.objectives.redundancy import BarlowTwins

ALL = [GraphContrast(0.3), GraphVICReg(), GraphBarlowTwins(0.1), GraphFactorisation()]
each = pytest.mark.parametrize("objective", ALL, ids=lambda o: type(o).__name__)


def rows(k, count=6, width=4):
    i = torch.arange(count * width, dtype=torch.float64).reshape(count, width)
    return torch.sin(1.7 * i + k) + 0.3 * torch.cos(2.3 * i * (k + 1))


def some_graph(count=6):
    """Symmetric, weighted, with a row that has no neighbour."""
    half = torch.rand(count, count, generator=torch.Generator().manual_seed(0)).double()
    graph = (half + half.T) * ((half + half.T) > 1)
    graph[2], graph[:, 2] = 0, 0
    return graph


def of_views(count):
    """Views of a sample lie one after the other."""
    return torch.kron(torch.eye(count), torch.ones(2, 2)).double()


def interleaved(z1, z2):
    return torch.stack((z1, z2), 1).flatten(0, 1)


def test_contrast_is_the_equation():
    z, g = rows(0), some_graph()
    u = [row / row.norm() for row in z]
    total, weight = 0.0, 0.0
    for i in range(6):
        others = sum(torch.exp(u[i] @ u[k] / 0.3) for k in range(6) if k != i)
        for j in range(6):
            if j != i:
                total -= g[i, j] * torch.log(torch.exp(u[i] @ u[j] / 0.3) / others)
                weight += g[i, j]
    assert GraphContrast(0.3)(z, g).item() == pytest.approx(float(total / weight), rel=1e-9)


def test_contrast_of_views_is_nt_xent():
    found = GraphContrast(0.3)(interleaved(rows(0), rows(1)), of_views(6))
    assert found.item() == pytest.approx(NTXent(0.3)(rows(0), rows(1)).item(), rel=1e-9)


def test_contrast_of_no_neighbours_is_zero():
    z = rows(0).requires_grad_()
    value = GraphContrast()(z, torch.zeros(6, 6))
    value.backward()
    assert value.item() == 0
    assert z.grad.isfinite().all()


def test_vicreg_is_the_equation():
    z, g = rows(0), some_graph()
    z = 0.3 * z
    apart = sum(g[i, j] * (z[i] - z[j]).square().sum() for i in range(6) for j in range(6) if j != i)
    weight = sum(g[i, j] for i in range(6) for j in range(6) if j != i)
    s = torch.cov(z.T)
    spread = sum(max(0.0, 1 - float((s[d, d] + 1e-4).sqrt())) for d in range(4)) / 4
    shared = sum(float(s[d, e]) ** 2 for d in range(4) for e in range(4) if d != e) / 4
    terms = GraphVICReg(2.0, 3.0, 5.0).terms(z, g)
    expected = [2 * float(apart / weight) / 4, 3 * spread, 5 * shared]
    assert [v.item() for v in terms.values()] == pytest.approx(expected, rel=1e-9)


def test_barlow_is_the_equation():
    z, g = rows(0), some_graph()
    for i in range(6):
        g[i, i] = 0
    h = (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()
    c, used = torch.zeros(4, 4).double(), 0
    for i in range(6):
        if float(g[i].sum()) > 0:
            used += 1
            c += torch.outer(h[i], (g[i] @ h) / g[i].sum())
    c /= used
    loss = sum((1 - float(c[d, d])) ** 2 for d in range(4))
    loss += 0.1 * sum(float(c[d, e]) ** 2 for d in range(4) for e in range(4) if d != e)
    assert GraphBarlowTwins(0.1)(z, g).item() == pytest.approx(loss, rel=1e-9)


def test_barlow_of_equal_views_is_barlow_twins():
    z = rows(0)
    found = GraphBarlowTwins(0.1)(interleaved(z, z), of_views(6))
    assert found.item() == pytest.approx(BarlowTwins(0.1)(z, z).item(), rel=1e-6)


def test_factorisation_of_labels_is_a_rotation_of_them():
    """The theorem of the card: Z Z^T = Y Y^T at the minimum, and least squares reads the labels off Z."""
    labels = torch.tensor([0, 1, 2, 0, 1, 0, 2, 0])
    y = one_hot(labels).double()
    z = rows(0, 8, 3).requires_grad_()  # of more columns the surplus vanishes, but slowly
    optimiser = torch.optim.LBFGS(
        [z], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-14, tolerance_change=0
    )
    objective = GraphFactorisation()

    def closure():
        optimiser.zero_grad()
        loss = objective(z, y @ y.T)
        loss.backward()
        return loss

    optimiser.step(closure)
    found = z.detach()
    torch.testing.assert_close(found @ found.T, y @ y.T, rtol=0, atol=1e-5)
    probe = torch.linalg.lstsq(found, y, driver="gelsd").solution
    assert (found @ probe).argmax(1).tolist() == labels.tolist()


@each
@pytest.mark.parametrize("kind", ["zero", "constant", "two", "huge", "no edges"])
def test_finite_on_hard_inputs(objective, kind):
    x = {
        "zero": torch.zeros(8, 4),
        "constant": torch.full((8, 4), 0.7),
        "two": rows(0, 2).float(),
        "huge": 1e4 * rows(0, 8).float(),
        "no edges": rows(0, 8).float(),
    }[kind].requires_grad_()
    graph = torch.ones(len(x), len(x)) if kind != "no edges" else torch.zeros(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        value = objective(x, graph)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert x.grad.isfinite().all()


@each
def test_order_of_rows_does_not_matter(objective):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    z, g = rows(0), some_graph()
    torch.testing.assert_close(objective(z[order], g[order][:, order]), objective(z, g))


@each
def test_bad_graphs(objective):
    lopsided = torch.zeros(6, 6)
    lopsided[0, 1] = 1
    for graph in (lopsided, -torch.ones(6, 6)):
        with pytest.raises(ValueError, match="symmetric"):
            objective(rows(0), graph)
    with pytest.raises(ValueError, match="shape"):
        objective(rows(0), torch.ones(5, 5))
