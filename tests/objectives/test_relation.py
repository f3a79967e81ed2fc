"""The relation objective against plain loops, and the named losses that are its settings."""

import math

import pytest
import torch
from test_all_objectives import KINDS, hard, value_and_gradient

from tacit.objectives import blocks
from tacit.objectives.contrastive import NTXent
from tacit.objectives.learned import ArcCosine, Cluster, Exponential, Gaussian, StudentT
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import (
    Augmentation,
    Classes,
    GaussianNeighbours,
    Given,
    Labels,
    Neighbours,
    Pairs,
    Sum,
    Walk,
)

LEARNED = {
    "cosine": Gaussian(0.5),
    "euclidean": Gaussian(0.8, "euclidean"),
    "dot": Gaussian(1.0, "dot"),
    "student": StudentT(2.0, 0.7),
    "cluster": Cluster(),
    "laplacian": Exponential(1.0, 0.5),
    "root": Exponential(0.5, 0.5, p=3.0),
    "arc-cosine 1": ArcCosine(1),
    "arc-cosine 2": ArcCosine(2, 0.5),
    "arc-cosine 3": ArcCosine(3, 0.5),
}
each_learned = pytest.mark.parametrize("learned", LEARNED.values(), ids=LEARNED)
DIVERGENCES = ["kl", "cross-entropy", "reverse-kl", "js", "l2", "tv", "hellinger", "inner"]


def pair(rows=6, width=4, seed=0):
    return torch.randn(2, rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).unbind()


def interleaved(*views):
    return torch.stack(views, 1).flatten(0, 1)


def weight(kernel, z, i, j):
    """One learned weight, from its definition."""
    a, b = (z[i].tolist(), z[j].tolist())

    def norm(x, p=2.0):
        return sum(abs(v) ** p for v in x) ** (1 / p)

    cosine = sum(x * y for x, y in zip(a, b, strict=True)) / norm(a) / norm(b)
    distance = norm([x - y for x, y in zip(a, b, strict=True)])
    if isinstance(kernel, StudentT):
        return (1 + distance**2 / (kernel.df * kernel.gamma**2)) ** (-(kernel.df + 1) / 2)
    if isinstance(kernel, Cluster):
        phi = [[math.exp(v) / sum(map(math.exp, row)) for v in row] for row in z.tolist()]
        return sum(phi[i][c] * phi[j][c] / sum(row[c] for row in phi) for c in range(len(a)))
    if isinstance(kernel, Exponential):
        apart = [x / norm(a, kernel.p) - y / norm(b, kernel.p) for x, y in zip(a, b, strict=True)]
        return math.exp(-(norm(apart, kernel.p) ** kernel.gamma) / kernel.temperature)
    if isinstance(kernel, ArcCosine):
        t = math.acos(kernel.temperature * cosine + 1 - kernel.temperature)
        return {
            1: math.pi - t,
            2: math.sin(t) + (math.pi - t) * math.cos(t),
            3: 3 * math.sin(t) * math.cos(t) + (math.pi - t) * (1 + 2 * math.cos(t) ** 2),
        }[kernel.order]
    d = {"cosine": 1 - cosine, "euclidean": distance**2, "dot": -sum(x * y for x, y in zip(a, b, strict=True))}
    return math.exp(-d[kernel.metric] / (2 * kernel.sigma**2))


def learned_rows(kernel, z, mask):
    rows = []
    for i in range(len(z)):
        w = [0.0 if mask and i == j else weight(kernel, z, i, j) for j in range(len(z))]
        rows.append([v / sum(w) for v in w])
    return rows


def compare(kind, p, q):
    """One row's divergence, from its definition."""
    pairs = list(zip(p, q, strict=True))
    if kind == "inner":
        return -math.log(sum(a * b for a, b in pairs))
    if kind == "cross-entropy":
        return -sum(a * math.log(b) for a, b in pairs if a)
    if kind == "kl":
        return sum(a * math.log(a / b) for a, b in pairs if a)
    if kind == "reverse-kl":
        return sum(b * math.log(b / max(a, 1e-10)) for a, b in pairs if b)
    if kind == "js":
        half = [(a + b) / 2 for a, b in pairs]
        return (compare("kl", p, half) + compare("kl", q, half)) / 2
    if kind == "l2":
        return sum((a - b) ** 2 for a, b in pairs)
    if kind == "tv":
        return sum(abs(a - b) for a, b in pairs) / 2
    return sum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in pairs) / 2


SMOOTHED = ("laplacian", "root", "arc-cosine 1", "arc-cosine 2", "arc-cosine 3")
"""Kernels that are rounded off where a row meets itself, since their slope is infinite there."""


@pytest.mark.parametrize(
    ("name", "mask"), [(n, mask) for n in LEARNED for mask in (True, False) if mask or n not in SMOOTHED]
)
def test_learned_kernels_are_their_definitions(name, mask):
    learned = LEARNED[name]
    z1, z2 = pair()
    z = interleaved(z1, z2)
    q = learned_rows(learned, z, mask)
    own = [[float(i // 2 == j // 2 and not (mask and i == j)) for j in range(12)] for i in range(12)]
    expected = sum(compare("kl", [v / sum(p) for v in p], row) for p, row in zip(own, q, strict=True)) / 12
    found = Relation(Augmentation(), learned, mask_diagonal=mask)(z1, z2).item()
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", DIVERGENCES)
@pytest.mark.parametrize("debias", [None, "learned", "supervisory"])
def test_divergences_and_debiasing_are_their_definitions(kind, debias):
    z1, z2 = pair()
    y = [0, 1, 0, 2, 1, 0]
    alpha, n = (0.3 if debias else 0.0), 12
    total = 0.0
    for i, q in enumerate(learned_rows(Gaussian(0.5), interleaved(z1, z2), True)):
        p = [float(y[i // 2] == y[j // 2] and i != j) for j in range(n)]
        p = [v / sum(p) for v in p]
        uniform = [float(i != j) / (n - 1) for j in range(n)]
        if debias == "learned":
            q = [(1 - alpha) * v + alpha * u for v, u in zip(q, uniform, strict=True)]
        if debias == "supervisory":
            p = [(1 - alpha) * v + alpha * u for v, u in zip(p, uniform, strict=True)]
        total += compare(kind, p, q) / n
    loss = Relation(Labels(), Gaussian(0.5), kind, alpha=alpha, debias=debias or "learned")
    assert loss(z1, z2, labels=torch.tensor(y)).item() == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("sigma", [0.2, 0.5])
def test_augmentation_and_cosine_is_ntxent(sigma):
    wanted = value_and_gradient(NTXent(2 * sigma**2), *pair(9))
    found = value_and_gradient(Relation(Augmentation(), Gaussian(sigma)), *pair(9))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def test_classes_and_inner_products_with_prototypes_is_cross_entropy():
    z, prototypes = torch.randn(7, 4).double(), torch.randn(3, 4).double().requires_grad_()
    y = torch.arange(7) % 3
    loss = Relation(Classes(3), Gaussian(0.5**0.5, "dot"))(z, labels=y, columns=prototypes)
    wanted = torch.nn.functional.cross_entropy(z @ prototypes.T, y)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(v, prototypes)[0] for v in (loss, wanted)))


def test_pairs_of_two_modalities_is_one_side_of_clip():
    image, text = pair(7)
    t = 0.3
    units = [torch.nn.functional.normalize(z) for z in (image, text)]
    wanted = torch.nn.functional.cross_entropy(units[0] @ units[1].T / t, torch.arange(7))
    found = Relation(Pairs(), Gaussian((t / 2) ** 0.5))(image, columns=text)
    torch.testing.assert_close(found, wanted)


def test_gradient_of_sne():
    """2 sum_j (p_ij - q_ij + p_ji - q_ji)(z_i - z_j), Hinton and Roweis 2002, at sigma^2 = 1/2."""
    x, z = torch.randn(8, 5).double(), torch.randn(8, 2).double().requires_grad_()
    sne = Relation(GaussianNeighbours(2.0), Gaussian(0.5**0.5, "euclidean"))
    (found,) = torch.autograd.grad(8 * sne(z, features=x), z)

    def rows(points, scale):
        d = (points[:, None] - points).square().sum(2) * scale
        return d.neg().fill_diagonal_(-torch.inf).softmax(1)

    gap = rows(x, 1 / 8) - rows(z.detach(), 1.0)
    gap = gap + gap.T
    wanted = 2 * (gap[:, :, None] * (z[:, None] - z)).sum(1)
    torch.testing.assert_close(found, wanted.detach())


def test_rows_without_neighbours_count_as_nothing():
    z = torch.randn(5, 3).double().requires_grad_()
    labels = torch.tensor([0, 0, 1, 2, 0])
    for kind in DIVERGENCES:
        loss = Relation(Labels(), Gaussian(0.5), kind)
        rows = loss.rows(z, labels=labels)
        assert rows[2] == rows[3] == 0
        assert (rows[[0, 1, 4]] > 0).all()
        (grad,) = torch.autograd.grad(loss(z, labels=labels), z)
        assert grad.isfinite().all()
        assert torch.autograd.grad(loss(z, labels=torch.arange(5)), z)[0].abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
@each_learned
def test_finite_on_hard_inputs(learned, kind):
    z1, z2 = hard(kind)
    p = Sum([Augmentation(), Neighbours(2), Walk(Neighbours(2))])
    for divergence in DIVERGENCES:
        for alpha in (0.0, 0.4):
            relation = Relation(p, learned, divergence, alpha=alpha)
            features = torch.stack((z1, z2), 1)
            value, gradients = value_and_gradient(lambda *z, r=relation, f=features: r(*z, features=f), z1, z2)
            assert value.isfinite()
            assert all(g.isfinite().all() for g in gradients)


@each_learned
def test_blocks_change_nothing(learned, monkeypatch):
    z1, z2 = pair(11)
    p = Sum([Augmentation(), Neighbours(3), Walk(Neighbours(3), 3), GaussianNeighbours(perplexity=4.0)], (1, 2, 1, 0.5))
    relation = Relation(p, learned, alpha=0.2)
    x = torch.randn(11, 6).double()

    def compute(*z):
        return relation(*z, features=x)

    whole = value_and_gradient(compute, z1, z2)
    monkeypatch.setattr(blocks, "BLOCK", 8 * 22 * 4)  # four rows at a time, the last block has two
    torch.testing.assert_close(value_and_gradient(compute, z1, z2), whole, rtol=1e-9, atol=1e-11)


@each_learned
def test_gradient(learned):
    views = [z.clone().requires_grad_() for z in pair(3, 3)]
    assert torch.autograd.gradcheck(Relation(Augmentation(), learned, "js", alpha=0.1), views)


@each_learned
def test_autocast_is_off_inside(learned):
    z1, z2 = (z.float() for z in pair())
    relation = Relation(Augmentation(), learned)
    wanted, found = (value_and_gradient(relation, z1, z2, autocast) for autocast in (False, True))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    assert relation(z1.bfloat16(), z2.bfloat16()).dtype == torch.float32


def test_order_of_samples_and_views_does_not_matter():
    z1, z2 = pair(8)
    order = torch.randperm(8)
    x = torch.randn(8, 2, 3).double()
    p = Sum([Augmentation(), Walk(Neighbours(2))])
    for learned in LEARNED.values():
        relation = Relation(p, learned)
        wanted = relation(z1, z2, features=x)
        torch.testing.assert_close(relation(z1[order], z2[order], features=x[order]), wanted)
        torch.testing.assert_close(relation(z2, z1, features=x.flip(1)), wanted)


def test_what_is_missing_is_named():
    z = torch.ones(4, 2)
    with pytest.raises(ValueError, match="Labels needs labels"):
        Relation(Labels(), Gaussian())(z)
    with pytest.raises(ValueError, match="Neighbours needs features"):
        Relation(Sum([Augmentation(), Walk(Neighbours())]), Gaussian())(z)
    with pytest.raises(ValueError, match="Classes needs columns"):
        Relation(Classes(2), Gaussian())(z, labels=torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="takes no columns"):
        Relation(Augmentation(), Gaussian())(z, columns=z)
    with pytest.raises(ValueError, match="4 samples"):
        Relation(Labels(), Gaussian())(z, labels=torch.zeros(3))
    with pytest.raises(ValueError, match=r"features must be \[4, width\]"):
        Relation(Neighbours(), Gaussian())(z, features=torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"graph must be \[4, 4\]"):
        Relation(Given(), Gaussian())(z, graph=torch.ones(4, 3))
    with pytest.raises(ValueError, match="at least 2 samples"):
        Relation(Augmentation(), Gaussian())(z[:1], z[:1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Relation(Augmentation(), Gaussian(), "kullback"),
        lambda: Relation(Augmentation(), Gaussian(), alpha=1.0),
        lambda: Relation(Augmentation(), Gaussian(), debias="both"),
        lambda: Gaussian(0.0),
        lambda: Gaussian(1.0, "manhattan"),
        lambda: StudentT(0.0),
        lambda: Exponential(0.0),
        lambda: Exponential(2.1),
        lambda: Exponential(1.0, -1.0),
        lambda: Exponential(1.0, 1.0, p=0.5),
        lambda: ArcCosine(4),
        lambda: ArcCosine(1, 1.5),
        lambda: Neighbours(0),
        lambda: GaussianNeighbours(-1.0),
        lambda: GaussianNeighbours(perplexity=0.5),
        lambda: Walk(Augmentation(), 0),
        lambda: Sum([]),
        lambda: Sum([Augmentation()], (1.0, 2.0)),
        lambda: Sum([Augmentation()], (-1.0,)),
    ],
)
def test_bad_options(make):
    with pytest.raises(ValueError):
        make()
