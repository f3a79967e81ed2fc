import math

import pytest
import torch
from scipy.optimize import minimize_scalar
from test_all_objectives import KINDS, hard, value_and_gradient
from test_contrastive import projections

from tacit.objectives import blocks, contrastive
from tacit.objectives.individual import RobustGlobal

pytestmark = pytest.mark.filterwarnings("ignore:rho")


def state(count, tau=0.1, log_s=torch.inf, dtype=torch.float64):
    return torch.full((count,), tau, dtype=dtype), torch.full((count,), log_s, dtype=dtype)


def plain(z1, z2, tau, log_s, gamma, rho):
    """The equations, one number at a time: loss, new log of the average and slope of each sample."""
    b = len(z1)
    z = torch.cat((z1, z2))
    sim = (z @ z.T / z.norm(dim=1) / z.norm(dim=1)[:, None]).tolist()
    m, losses, averages, slopes = 2 * b - 2, [], [], []
    for i in range(b):
        t, loss, s_new, slope = float(tau[i]), 0.0, 0.0, 0.0
        for r in (i, i + b):
            others = [j for j in range(2 * b) if j % b != i]
            g = sum(math.exp(sim[r][j] / t) for j in others) / m
            s = g if math.isinf(log_s[i]) else (1 - gamma) * math.exp(log_s[i]) + gamma * g
            drawn = sum(math.exp(sim[r][j] / t) / s * sim[r][j] for j in others) / m
            loss += drawn - sim[r][(r + b) % (2 * b)]
            slope += (math.log(s) + rho - drawn / t) / 2
            s_new += s / 2
        losses.append(loss)
        averages.append(math.log(s_new))
        slopes.append(min(max(slope, -3), 3))
    return losses, averages, slopes


@pytest.mark.parametrize(("gamma", "rho"), [(0.8, 0.4), (1.0, 1.0), (0.3, 6.0)])
def test_is_the_equation(gamma, rho):
    z1, z2 = projections()
    tau = torch.tensor([0.05, 0.1, 0.3, 1.0, 0.07, 0.2], dtype=torch.float64)
    log_s = torch.tensor([torch.inf, 3.0, 0.0, torch.inf, 8.0, -1.0], dtype=torch.float64)
    found = RobustGlobal(gamma, rho).individual(z1, z2, tau, log_s)
    for value, wanted in zip(found, plain(z1, z2, tau, log_s, gamma, rho), strict=True):
        assert value.tolist() == pytest.approx(wanted, rel=1e-10)


def test_agrees_with_its_code():
    """Recorded from zhqiu/contrastive-learning-iSogCLR at c20903b, SogCLR_DRO_Loss, float64: two steps."""
    a, b = (torch.nn.functional.normalize(z).requires_grad_() for z in projections())
    objective = RobustGlobal(0.8, 0.4)
    tau, log_s = state(6)
    first = objective.individual(a, b, tau, log_s)
    assert first.loss.mean().item() == pytest.approx(-0.07190910619150787, rel=1e-7)
    (gradient,) = torch.autograd.grad(first.loss.mean(), a)
    recorded = [-0.1378824998644957, -0.006299253742365672, -0.019589759529763953, -0.03742900843142441]
    unit = a[0].detach()  # the code takes unit vectors as they come: its gradient along them is no part of ours
    wanted = torch.tensor(recorded, dtype=torch.float64)
    assert gradient[0].tolist() == pytest.approx((wanted - (wanted @ unit) * unit).tolist(), rel=1e-6, abs=1e-8)
    u = 0.5 * first.slope
    tau = tau - 0.03 * u
    second = objective.individual(b.roll(1, 0), a.roll(1, 0), tau, first.log_s)
    assert second.loss.mean().item() == pytest.approx(-0.5296869100676628, rel=1e-7)
    u = 0.5 * u + 0.5 * second.slope
    assert (tau - 0.03 * u)[0].item() == pytest.approx(0.08137481894974596, rel=1e-7)
    assert u[0].item() == pytest.approx(1.2069464561139338, rel=1e-6)
    assert second.log_s.exp()[0].item() == pytest.approx(638.8590839837469, rel=1e-6)


def test_at_gamma_one_the_gradient_is_that_of_the_decoupled_loss():
    z = projections()
    tau, log_s = state(6, 0.2)

    def decoupled(a, b):
        u = contrastive.unit_views((a, b), 0.2)
        return 2 * 0.2 * (contrastive.log_sum_exp_others(u.flatten(0, 1), 2).mean() - (u[:, 0] * u[:, 1]).sum(1).mean())

    wanted = value_and_gradient(decoupled, *z)[1]
    for gamma, known in ((1.0, torch.full_like(tau, 3.0)), (0.5, log_s)):  # no memory, or nothing to remember
        found = value_and_gradient(lambda *v, g=gamma, s=known: RobustGlobal(g)(*v, tau, s), *z)[1]
        torch.testing.assert_close(found, wanted)


def test_temperatures_go_to_the_minimum_of_the_dual():
    """tau log E exp(h / tau) + tau rho is least where the slope vanishes, and the relative entropy is rho there."""
    z1 = torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    objective, rho = RobustGlobal(1.0, 0.5), 0.5
    tau, log_s = state(20, 0.5)
    for _ in range(3000):
        tau = (tau - 0.03 * objective.individual(z1, z1, tau, log_s).slope).clamp(1e-3, 10)
    u = torch.nn.functional.normalize(z1)
    cosine = u @ u.T
    for i in (0, 7, 13):
        h = cosine[i][torch.arange(20) != i]  # with equal views each comes twice

        def dual(t, h=h):
            return t * float((h / t).exp().mean().log()) + t * rho

        least = minimize_scalar(dual, bounds=(1e-3, 10), method="bounded", options={"xatol": 1e-9}).x
        assert tau[i].item() == pytest.approx(least, rel=1e-3)
        w = (h / tau[i]).softmax(0)
        assert float((w * (w * 19).log()).sum()) == pytest.approx(rho, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_finite_on_hard_inputs(kind):
    z1, z2 = hard(kind)
    for tau, log_s in (state(len(z1), 0.05, 5.0, torch.float32), state(len(z1), 0.005, torch.inf, torch.float32)):
        value, gradients = value_and_gradient(lambda *z, a=tau, s=log_s: RobustGlobal()(*z, a, s), z1, z2)
        assert value.isfinite()
        assert all(g.isfinite().all() for g in gradients)
        found = RobustGlobal().individual(z1, z2, tau, log_s)
        assert found.log_s.isfinite().all()
        assert found.slope.abs().max() <= 3


def test_blocks_change_nothing(monkeypatch):
    z = projections(7, 3)
    tau, log_s = state(7, 0.2, 1.0)
    whole = value_and_gradient(lambda *v: RobustGlobal()(*v, tau, log_s), *z)
    monkeypatch.setattr(blocks, "BLOCK", 8 * 14 * 3)
    found = value_and_gradient(lambda *v: RobustGlobal()(*v, tau, log_s), *z)
    torch.testing.assert_close(found, whole)


def test_autocast_is_off_inside():
    z = [v.float() for v in projections()]
    tau, log_s = state(6, 0.1, 2.0, torch.float32)
    wanted, found = (
        value_and_gradient(lambda *v: RobustGlobal()(*v, tau, log_s), *z, autocast=a) for a in (False, True)
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_what_is_refused():
    z1, z2 = projections()
    with pytest.raises(ValueError, match="tau must be one for each of 6"):
        RobustGlobal()(z1, z2, torch.ones(5), torch.ones(6))
    for bad in ({"gamma": 0.0}, {"gamma": 1.1}, {"rho": 0.0}):
        with pytest.raises(ValueError):
            RobustGlobal(**bad)
    with pytest.warns(UserWarning, match="hardly binds"):
        RobustGlobal(rho=2.2)(z1, z2, *state(6))
