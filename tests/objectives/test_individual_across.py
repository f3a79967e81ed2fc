"""Temperatures for each sample between two parts: against the equations one number at a time, and against the code."""

import math

import pytest
import torch
from test_all_objectives import KINDS, hard, value_and_gradient
from test_contrastive import projections

from tacit.objectives import blocks
from tacit.objectives.contrastive import unit_views
from tacit.objectives.individual import RobustAcross

pytestmark = pytest.mark.filterwarnings("ignore:rho")


def state(count, tau=0.1, log_s=torch.inf, dtype=torch.float64):
    return torch.full((2, count), tau, dtype=dtype), torch.full((2, count), log_s, dtype=dtype)


def plain(z1, z2, tau, log_s, gamma, rho):
    """The equations: loss, new log of the average and slope of each sample as an anchor of either side."""
    b, rows = len(z1), ([], [], [])
    for side, (mine, theirs) in enumerate(((z1, z2), (z2, z1))):
        found = ([], [], [])
        for i in range(b):
            cosine = [float(mine[i] @ other / mine[i].norm() / other.norm()) for other in theirs]
            h = [cosine[j] - cosine[i] for j in range(b) if j != i]
            t, known = float(tau[side, i]), float(log_s[side, i])
            g = sum(math.exp(v / t) for v in h) / (b - 1)
            s = g if math.isinf(known) else (1 - gamma) * math.exp(known) + gamma * g
            drawn = sum(math.exp(v / t) / s * v for v in h) / (b - 1)
            slope = math.log(s) + rho - drawn / t
            for row, value in zip(found, (drawn, math.log(s), min(max(slope, -5), 5)), strict=True):
                row.append(value)
        for row, values in zip(rows, found, strict=True):
            row.append(values)
    return rows


@pytest.mark.parametrize(("gamma", "rho"), [(0.8, 0.4), (1.0, 1.0), (0.3, 6.0)])
def test_is_the_equation(gamma, rho):
    z1, z2 = projections()
    tau = torch.tensor([[0.05, 0.1, 0.3, 1.0, 0.07, 0.2], [0.2, 0.4, 0.06, 0.1, 0.5, 0.09]], dtype=torch.float64)
    log_s = torch.tensor([[torch.inf, 3.0, 0.0, -2.0, 8.0, -1.0], [1.0, torch.inf, -4.0, 0.5, 0.0, 2.0]]).double()
    found = RobustAcross(gamma, rho).individual(z1, z2, tau, log_s)
    for value, wanted in zip(found, plain(z1, z2, tau, log_s, gamma, rho), strict=True):
        torch.testing.assert_close(value.detach(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-12)
    total = RobustAcross(gamma, rho)(z1, z2, tau, log_s)
    assert total.item() == pytest.approx(sum(map(sum, plain(z1, z2, tau, log_s, gamma, rho)[0])) / 6)


def test_agrees_with_its_code():
    """Recorded from zhqiu/contrastive-learning-iSogCLR at c20903b, bimodal SogCLR_DRO_Loss, float64, two steps at tau
    0.05. Its sums hold the sample's own pair; here the others lie so much nearer that it does not count. It starts
    from an average of 0."""
    generator = torch.Generator().manual_seed(3)
    z1 = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    z2 = -z1 + 0.3 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    a, b = (torch.nn.functional.normalize(z).requires_grad_() for z in (z1, z2))
    tau, log_s = state(6, 0.05, -torch.inf)
    objective = RobustAcross(0.8, 1.0)
    first = objective.individual(a, b, tau, log_s)
    assert first.loss.sum(0).mean().item() == pytest.approx(3.9560337064175126, rel=1e-8)
    (gradient,) = torch.autograd.grad(first.loss.sum(0).mean(), a)
    recorded = [-0.2034066441180704, 0.14174859446602597, 0.725653875509154, -0.08920855854655188]
    wanted, unit = torch.tensor(recorded, dtype=torch.float64), a[0].detach()
    assert gradient[0].tolist() == pytest.approx((wanted - (wanted @ unit) * unit).tolist(), rel=1e-6, abs=1e-8)
    assert first.log_s[0, :2].tolist() == pytest.approx([30.704073760836057, 34.531699570205355], rel=1e-9)
    assert first.log_s[1, :2].tolist() == pytest.approx([28.70486568199078, 32.89712091306227], rel=1e-9)
    second = objective.individual(a, b, tau, first.log_s)
    assert second.loss.sum(0).mean().item() == pytest.approx(3.2966947556731734, rel=1e-8)
    momentum = 0.1 * 0.9 * first.slope + 0.9 * second.slope
    recorded = [-2.2553511006868767, -2.3938710945889348, -1.024857534661156]
    assert momentum[0, :3].tolist() == pytest.approx(recorded, rel=1e-6)
    recorded = [-2.180369855026965, -2.3366045314745247, -1.992304179554269]
    assert momentum[1, :3].tolist() == pytest.approx(recorded, rel=1e-6)


def test_at_gamma_one_the_gradient_is_that_of_the_loss_over_negatives_alone():
    z, t = projections(), 0.2
    tau, log_s = state(6, t)

    def decoupled(one, other):
        u = unit_views((one, other), t)
        cosine = u[:, 0] @ u[:, 1].T
        negatives = cosine.masked_fill(torch.eye(6, dtype=torch.bool), -torch.inf)
        return t * (negatives.logsumexp(1) + negatives.logsumexp(0) - 2 * cosine.diagonal()).mean()

    wanted = value_and_gradient(decoupled, *z)[1]
    found = value_and_gradient(lambda *v: RobustAcross(1.0)(*v, tau, log_s), *z)[1]
    torch.testing.assert_close(found, wanted)


def test_sides_change_places():
    z1, z2 = projections()
    tau, log_s = state(6, 0.1, 1.0)
    tau[1] *= 3
    one = RobustAcross().individual(z1, z2, tau, log_s)
    other = RobustAcross().individual(z2, z1, tau.flip(0), log_s)
    for value, turned in zip(one, other, strict=True):
        torch.testing.assert_close(value, turned.flip(0))


@pytest.mark.parametrize("kind", KINDS)
def test_finite_on_hard_inputs(kind):
    z1, z2 = hard(kind)
    for tau, log_s in (state(len(z1), 0.05, 5.0, torch.float32), state(len(z1), 0.005, torch.inf, torch.float32)):
        value, gradients = value_and_gradient(lambda *z, a=tau, s=log_s: RobustAcross()(*z, a, s), z1, z2)
        assert value.isfinite()
        assert all(g.isfinite().all() for g in gradients)
        found = RobustAcross().individual(z1, z2, tau, log_s)
        assert found.log_s.isfinite().all()
        assert found.slope.abs().max() <= 5


def test_blocks_change_nothing(monkeypatch):
    z = projections(7, 3)
    tau, log_s = state(7, 0.2, 1.0)
    whole = value_and_gradient(lambda *v: RobustAcross()(*v, tau, log_s), *z)
    monkeypatch.setattr(blocks, "BLOCK", 8 * 7 * 3)
    found = value_and_gradient(lambda *v: RobustAcross()(*v, tau, log_s), *z)
    torch.testing.assert_close(found, whole)


def test_autocast_is_off_inside():
    z = [v.float() for v in projections()]
    tau, log_s = state(6, 0.1, 2.0, torch.float32)
    wanted, found = (
        value_and_gradient(lambda *v: RobustAcross()(*v, tau, log_s), *z, autocast=a) for a in (False, True)
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_what_is_refused():
    z1, z2 = projections()
    with pytest.raises(ValueError, match=r"tau must be \[2, 6\]"):
        RobustAcross()(z1, z2, torch.ones(6), torch.ones(2, 6))
    for bad in ({"gamma": 0.0}, {"gamma": 1.1}, {"rho": 0.0}):
        with pytest.raises(ValueError):
            RobustAcross(**bad)
    with pytest.warns(UserWarning, match="hardly binds"):
        RobustAcross(rho=1.5)(z1, z2, *state(6))
