import itertools
import math

import pytest
import torch
from test_all_objectives import KINDS, hard, value_and_gradient
from test_contrastive import projections

from tacit.objectives.contrastive import NTXent
from tacit.objectives.kernel_infonce import KernelInfoNCE, SpectralContrastive
from tacit.objectives.learned import Exponential
from tacit.objectives.relation import Relation
from tacit.objectives.supervisory import Given

OBJECTIVES = [
    KernelInfoNCE(), KernelInfoNCE(0.5, 1.0, "none"), KernelInfoNCE(1.0, 0.5, "concatenation", 0.3),
    KernelInfoNCE(1.0, 0.5, "none", p=1.0, mu=2.0), KernelInfoNCE(1.0, 0.5, "none", arc_cosine=3),
    SpectralContrastive(),
]  # fmt: skip
each = pytest.mark.parametrize("objective", OBJECTIVES, ids=range(6))


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"gamma": 1.0, "temperature": 0.5, "mixture": "none"}, 1.5709262768533823),
        ({"gamma": 2.0, "temperature": 0.5, "mixture": "none"}, 1.3976572183550953),
        ({"gamma": 0.5, "temperature": 1.0, "mixture": "none"}, 2.07869320205467),
    ],
)
def test_agrees_with_its_code_without_its_epsilon(options, value):
    """Recorded from yifanzhang-pro/Kernel-InfoNCE at 184f2df, gamma_loss with eps=0, float64."""
    assert KernelInfoNCE(**options)(*projections()).item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(("mixture", "value"), [("sum", 1.44963834778641), ("concatenation", 1.701774349350893)])
def test_mixtures_agree_with_its_code(mixture, value):
    """Recorded likewise, nt_xent_loss with its eps of 1e-6 and lambda 0.3; ``product`` is the concatenation."""
    found = KernelInfoNCE(1.0, 0.5, mixture, 0.3)(*projections()).item()
    assert found == pytest.approx(value, rel=2e-6)


def test_spectral_loss_agrees_with_its_code():
    """Recorded likewise, spectral_loss."""
    assert SpectralContrastive()(*projections()).item() == pytest.approx(0.0583104705774935, rel=1e-12)


def test_two_is_ntxent_at_half_the_temperature():
    wanted = value_and_gradient(NTXent(0.25), *projections())
    found = value_and_gradient(KernelInfoNCE(2.0, 0.5, "none"), *projections())
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)
    scaled = KernelInfoNCE(2.0, 1.0, "none", mu=2.0)(*projections())
    torch.testing.assert_close(scaled, wanted[0], rtol=1e-9, atol=1e-11)


def test_lambda_chooses_the_kernel():
    pure, gaussian = (KernelInfoNCE(g, 0.5, "none")(*projections()) for g in (1.0, 2.0))
    for weight in (0.0, 0.3, 1.0):
        found = KernelInfoNCE(1.0, 0.5, "sum", weight)(*projections())
        torch.testing.assert_close(found, weight * pure + (1 - weight) * gaussian)


def test_expected_infonce_is_spectral_clustering_with_a_repulsion():
    """E of -log prod_i Q(W_i | i) over subgraphs W = 1/t tr(Z^T L Z) + sum_i log sum_l k(z_i - z_l)."""
    n, t = 4, 0.7
    z = torch.randn(n, 2).double()
    graph = torch.rand(n, n).double()
    graph = (graph + graph.T).fill_diagonal_(0)
    for _ in range(2000):  # row and column sums of one, so that the Laplacian's form is exact
        graph = graph / graph.sum(1, True)
        graph = (graph + graph.T) / 2
    p = graph / graph.sum(1, True)
    k = (-(z[:, None] - z).square().sum(2) / (2 * t)).exp().fill_diagonal_(0)
    q = k / k.sum(1, True)
    expected = 0.0
    for chosen in itertools.product(*[[j for j in range(n) if j != i] for i in range(n)]):
        chance = math.prod(float(p[i, j]) for i, j in enumerate(chosen))
        expected -= chance * sum(math.log(float(q[i, j])) for i, j in enumerate(chosen))
    laplacian = torch.eye(n, dtype=torch.float64) - p
    by_laplacian = (z.T @ laplacian @ z).trace() / t + k.sum(1).log().sum()
    relation = Relation(Given(), Exponential(2.0, 2 * t, normalise=False), "cross-entropy")
    assert expected == pytest.approx(float(by_laplacian), rel=1e-6)
    assert n * relation(z, graph=graph).item() == pytest.approx(expected, rel=1e-9)


@each
@pytest.mark.parametrize("kind", KINDS)
def test_finite_on_hard_inputs(objective, kind):
    z1, z2 = hard(kind)
    if kind == "one dimension":  # which cannot be halved
        z1, z2 = z1.expand(-1, 2), z2.expand(-1, 2)
    value, gradients = value_and_gradient(objective, z1, z2)
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients)


@each
def test_gradient_and_symmetries(objective):
    z = [v.requires_grad_() for v in projections(5, 4)]
    assert torch.autograd.gradcheck(objective, z)
    whole, order = objective(*z), torch.randperm(5)
    torch.testing.assert_close(objective(z[1][order], 3 * z[0][order]), whole)
    torch.testing.assert_close(sum(objective.terms(*z).values()), whole)


@each
def test_autocast_is_off_inside(objective):
    z = [v.float() for v in projections()]
    wanted, found = (value_and_gradient(objective, *z, autocast=a) for a in (False, True))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    "options",
    [{"gamma": 0.0}, {"gamma": 2.5}, {"temperature": 0.0}, {"mixture": "product"}, {"lambda_": 1.5}, {"p": 0.0},
     {"mu": 0.0}, {"arc_cosine": 1}, {"arc_cosine": 4, "mixture": "none"}],
)  # fmt: skip
def test_bad_options(options):
    with pytest.raises(ValueError):
        KernelInfoNCE(**options)


def test_an_odd_width_cannot_be_halved():
    with pytest.raises(ValueError, match="odd width 3"):
        KernelInfoNCE(mixture="concatenation")(*projections(4, 3))
