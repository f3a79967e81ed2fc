"""Clusters and energy together against a plain loop over the equation, and Langevin chains."""

import math

import pytest
import torch

from tacit.errors import OptionError
from tacit.objectives.energy import ClusterEnergy, energy
from tacit.parts.langevin import Chains


def reference(logits, other, drawn, generative, invariance, prior):
    def shares(row):
        total = sum(math.exp(v) for v in row)
        return [math.exp(v) / total for v in row]

    def free(rows):
        return -sum(math.log(sum(math.exp(v) for v in row)) for row in rows) / len(rows)

    count, clusters = len(logits), len(logits[0])
    p, q = [shares(row) for row in logits], [shares(row) for row in other]
    loss = generative * (free(logits) - free(drawn))
    loss -= (
        invariance * sum(a * math.log(b) for x, y in zip(p, q, strict=True) for a, b in zip(x, y, strict=True)) / count
    )
    return loss - prior * sum(math.log(sum(row[y] for row in p) / count) for y in range(clusters)) / clusters


def test_is_the_equation():
    logits, other, drawn = torch.randn(3, 5, 4, dtype=torch.float64)
    found = ClusterEnergy(2.0, 3.0, 0.5)(logits, other, drawn[:3]).item()
    expected = reference(logits.tolist(), other.tolist(), drawn[:3].tolist(), 2.0, 3.0, 0.5)
    assert found == pytest.approx(expected, rel=1e-12)


def test_terms_add_up_and_go():
    logits, other, drawn = torch.randn(3, 5, 4)
    objective = ClusterEnergy()
    assert list(objective.terms(logits, other, drawn)) == ["generative", "invariance", "prior"]
    assert list(objective.terms(logits, other)) == ["invariance", "prior"]
    total = sum(objective.terms(logits, other, drawn).values())
    torch.testing.assert_close(objective(logits, other, drawn), total)


def test_the_best_clusters_are_sure_agree_and_are_used_equally():
    sure = 100.0 * torch.eye(4).repeat(3, 1)
    best = ClusterEnergy(invariance=1.0, prior=1.0).terms(sure, sure)
    assert best["invariance"].item() == pytest.approx(0, abs=1e-6)
    assert best["prior"].item() == pytest.approx(math.log(4), rel=1e-6)
    one = 100.0 * torch.eye(4)[:1].expand(12, 4)
    assert ClusterEnergy(prior=1.0).terms(one, one)["prior"] > 10
    assert ClusterEnergy(invariance=1.0).terms(sure, sure.roll(1, 0))["invariance"].item() == pytest.approx(100)
    flat = torch.zeros(12, 4)
    assert ClusterEnergy(invariance=1.0).terms(flat, flat)["invariance"].item() == pytest.approx(math.log(4))


def test_energy_gradient_is_minus_the_gradient_of_log_likelihood():
    """On a grid, where the density can be normalised, with samples of the model at their true frequencies."""
    points = torch.linspace(-2, 2, 201, dtype=torch.float64)[:, None]
    weight = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    data = points[[20, 90, 150]]
    log_density = -energy(points @ weight) - (-energy(points @ weight)).logsumexp(0)
    (wanted,) = torch.autograd.grad(-log_density[[20, 90, 150]].mean(), weight)
    model = log_density.exp().detach()
    loss = energy(data @ weight).mean() - (model * energy(points @ weight)).sum()
    torch.testing.assert_close(torch.autograd.grad(loss, weight)[0], wanted)


@pytest.mark.parametrize("kind", ["zero", "huge", "equal", "batch of 2"])
def test_finite_on_hard_inputs(kind):
    rows = {"zero": torch.zeros(3, 6, 4), "huge": 1e4 * torch.randn(3, 6, 4), "equal": torch.ones(3, 6, 4)}
    given = rows.get(kind, torch.randn(3, 2, 4)).requires_grad_()
    value = ClusterEnergy()(*given)
    value.backward()
    assert value.isfinite()
    assert given.grad.isfinite().all()


def test_half_precision_is_widened():
    rows = torch.randn(3, 6, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = ClusterEnergy()(*rows)
    assert found.dtype == torch.float32
    assert found == ClusterEnergy()(*rows.float())
    with pytest.raises(ValueError, match="one shape"):
        ClusterEnergy()(rows[0], rows[1, :3])


def test_chains_sample_the_density():
    """A Gaussian: chains that go on from each other come to its mean and deviation."""
    torch.manual_seed(0)
    chains = Chains(400, 40, 0.02, 0.2, fresh=0.0)
    like = torch.zeros(400, 1)
    for _ in range(20):
        drawn = chains.draw(lambda x: (x[:, 0] - 1.5).square() / 2 / 0.25, like)
    # The step is a/2 = 0.02 and the noise sqrt(a) = 0.2, so that the density is exp(-E), of deviation 0.5.
    assert drawn.mean().item() == pytest.approx(1.5, abs=0.1)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.07)
    assert not drawn.requires_grad


def test_chains_go_on_and_are_kept():
    chains = Chains(8, 1, 0.0, 0.0, fresh=0.0)
    drawn = chains.draw(lambda x: x.sum(1), torch.zeros(8, 2))
    again = chains.draw(lambda x: x.sum(1), torch.zeros(8, 2))
    assert {tuple(row) for row in drawn.tolist()} == {tuple(row) for row in again.tolist()}
    other = Chains(8, 1, 0.0, 0.0)
    other.load_state_dict(chains.state_dict())
    assert torch.equal(other.stored, chains.stored)
    chains.load_state_dict(Chains(8, 1, 0.0, 0.0).state_dict())
    assert not len(chains.stored)


def test_chains_are_float32_whatever_comes_in():
    net = torch.nn.Linear(2, 1)
    chains = Chains(4, 3, 0.1, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        drawn = chains.draw(lambda x: net(x)[:, 0], torch.zeros(4, 2, dtype=torch.bfloat16))
    assert drawn.dtype == chains.stored.dtype == torch.float32


def test_chains_walk_downhill_by_bounded_steps_and_bear_steep_energies():
    chains = Chains(4, 1, 0.1, 0.0, fresh=0.0)
    chains.stored = torch.zeros(4, 2)
    drawn = chains.draw(lambda x: (x * torch.tensor([0.5, -1e9])).sum(1), torch.zeros(4, 2))
    torch.testing.assert_close(drawn, torch.tensor([[-0.05, 1.0]]).expand(4, 2))
    chains.stored = torch.zeros(4, 2)
    assert chains.draw(lambda x: (x / 0).sum(1), torch.zeros(4, 2)).isfinite().all()


def test_chains_refuse_what_cannot_be():
    with pytest.raises(OptionError, match="chains need"):
        Chains(0, 1, 0.1, 0.1)
    chains = Chains(2, 1, 0.1, 0.1)
    chains.draw(lambda x: x.sum(1), torch.zeros(2, 1))
    with pytest.raises(OptionError, match="smaller than a batch"):
        chains.draw(lambda x: x.sum(1), torch.zeros(3, 1))
