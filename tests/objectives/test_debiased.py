import math

import pytest
import torch
from test_all_objectives import KINDS, hard, value_and_gradient
from test_contrastive import projections

from tacit.objectives import blocks
from tacit.objectives.debiased import Debiased, Decoupled

OBJECTIVES = [Debiased(0.1, 0.1), Debiased(0.6, 0.5), Decoupled(0.1), Decoupled(0.1, 0.5)]
each = pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)


def exponentials(views, t):
    """exp(cosine / t) of all rows, a sample's views next to each other."""
    z = torch.stack(views, 1).flatten(0, 1)
    z = z / z.norm(dim=1, keepdim=True)
    return (z @ z.T / t).exp().tolist()


def plain(views, tau, t):
    """The equation, one number at a time."""
    e, count, rows = exponentials(views, t), len(views), len(views) * len(views[0])
    total, terms = rows - count, []
    for i in range(rows):
        positives = [e[i][j] for j in range(rows) if j != i and j // count == i // count]
        negatives = [e[i][j] for j in range(rows) if j // count != i // count]
        g = (sum(negatives) / total - tau * sum(positives) / len(positives)) / (1 - tau)
        g = max(g, math.exp(-1 / t))
        terms += [-math.log(p / (p + total * g)) for p in positives]
    return sum(terms) / len(terms)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize(("tau", "t"), [(0.0, 0.5), (0.1, 0.5), (0.1, 0.1), (0.5, 0.5), (0.9, 0.07)])
def test_is_the_equation(views, tau, t):
    z = [*projections(), projections()[0] ** 3 + 0.1][:views]
    assert Debiased(tau, t)(*z).item() == pytest.approx(plain(z, tau, t), rel=1e-10)


@pytest.mark.parametrize(
    ("t", "tau", "value", "clamped"),
    [
        (0.5, 0.1, 1.5348307325868535, 0),
        (0.5, 0.05, 1.6093708697590428, 0),
        (0.1, 0.1, 0.9109883524281477, 1 / 12),
        (0.5, 0.5, 0.35963494234871624, 2 / 3),
    ],
)
def test_agrees_with_its_code(t, tau, value, clamped):
    """Recorded from chingyaoc/DCL at 30189fb, main.py, float64."""
    assert Debiased(tau, t)(*projections()).item() == pytest.approx(value, rel=1e-12)
    assert Debiased(tau, t).clamped(*projections()).item() == pytest.approx(clamped)


@pytest.mark.parametrize(
    ("t", "value", "weighted"),
    [(0.5, 1.4542625890627472, 1.461469167943223), (0.1, 0.6768230294206687, 0.7128559238230475)],
)
def test_decoupled_agrees_with_lightly(t, value, weighted):
    """Recorded from lightly 1.6.0, DCLLoss and DCLWLoss(sigma=0.5), float64."""
    assert Decoupled(t)(*projections()).item() == pytest.approx(value, rel=1e-12)
    assert Decoupled(t, 0.5)(*projections()).item() == pytest.approx(weighted, rel=1e-12)


def test_without_prior_only_the_positive_is_left_to_negatives():
    """With tau_plus = 0 it is the decoupled loss with the positive back under the logarithm."""
    e = exponentials(projections(), 0.5)
    wanted = 0.0
    for i in range(12):
        positive, others = e[i][i ^ 1], sum(e[i][j] for j in range(12) if j // 2 != i // 2)
        wanted += math.log(1 + others / positive) / 12
    assert Debiased(0.0, 0.5)(*projections()).item() == pytest.approx(wanted, rel=1e-12)


def test_no_gradient_through_a_clamped_estimate():
    z1, z2 = projections()
    objective = Debiased(0.95, 0.5)
    assert objective.clamped(z1, z2) == 1
    _, found = value_and_gradient(objective, z1, z2)

    def floor(a, b):
        positive = torch.nn.functional.cosine_similarity(a, b) / 0.5
        return (positive.exp() + 10 * math.exp(-2)).log().mean() - positive.mean()

    torch.testing.assert_close(found, value_and_gradient(floor, z1, z2)[1])


@each
@pytest.mark.parametrize("kind", KINDS)
def test_finite_on_hard_inputs(objective, kind):
    value, gradients = value_and_gradient(objective, *hard(kind))
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("t", [0.01, 0.005])
def test_small_temperatures_do_not_overflow(t):
    z = [v.float() for v in projections()]
    value, gradients = value_and_gradient(Debiased(0.1, t), *z)
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients)
    # What exponentials of 100 and more would have given, in float64's range.
    if t == 0.01:
        assert value.item() == pytest.approx(plain(projections(), 0.1, t), rel=1e-3)


@each
def test_gradient_blocks_and_symmetries(objective, monkeypatch):
    z = [v.requires_grad_() for v in projections(5, 3)]
    assert torch.autograd.gradcheck(objective, z)
    whole = objective(*z)
    order = torch.randperm(5)
    torch.testing.assert_close(objective(z[1][order], 3 * z[0][order]), whole)
    monkeypatch.setattr(blocks, "BLOCK", 30)
    parts = objective(*z)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts, z), torch.autograd.grad(whole, z))


@each
def test_autocast_is_off_inside(objective):
    z = [v.float() for v in projections()]
    wanted, found = (value_and_gradient(objective, *z, autocast=a) for a in (False, True))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_what_is_refused():
    with pytest.raises(ValueError, match="other views"):
        Debiased()(projections()[0])
    for bad in ({"tau_plus": 1.0}, {"tau_plus": -0.1}, {"temperature": 0.0}):
        with pytest.raises(ValueError):
            Debiased(**bad)
    for bad in ({"temperature": -1.0}, {"sigma": -0.5}):
        with pytest.raises(ValueError):
            Decoupled(**bad)
    for objective in OBJECTIVES:
        with pytest.raises(ValueError, match="at least 2 samples"):
            objective(torch.ones(1, 4), torch.ones(1, 4))
