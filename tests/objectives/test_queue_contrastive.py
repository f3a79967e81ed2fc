"""Contrast with queues and batches, against the equations in plain loops and the authors' code."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from tacit.objectives.contrastive import NTXent
from tacit.objectives.predictive import NegativeCosine
from tacit.objectives.queue_contrastive import (
    BatchContrast,
    QueueContrast,
    SoftCosine,
    SymmetricContrast,
    neighbour_weights,
)

KINDS = ("normal", "hard", "ahcl", "ascl")


def rows(k, count=6, width=4):
    """Fixed numbers without a generator."""
    i = torch.arange(count * width, dtype=torch.float64).reshape(count, width)
    return torch.sin(1.7 * i + k) + 0.3 * torch.cos(2.3 * i * (k + 1))


def unit(k, count=6):
    return normalize(rows(k, count))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def plain_weights(similar, usable, kind, n, t):
    """Steps 1 to 3 of adaptive soft contrast for one sample."""
    at = [j for j, use in enumerate(usable) if use]
    u = [0.0] * len(similar)
    if not at:
        return u
    total = sum(math.exp(similar[j] / t) for j in at)
    s = {j: math.exp(similar[j] / t) / total for j in at}
    entropy = -sum(v * math.log(v) for v in s.values())
    certain = 1 - entropy / math.log(len(at)) if len(at) > 1 else 0.0
    nearest = sorted(at, key=lambda j: -similar[j])[:n]
    for j in at:
        if kind == "ascl":
            u[j] = min(1.0, n * certain * s[j])
        elif kind != "normal" and j in nearest:
            u[j] = certain if kind == "ahcl" else 1.0
    return u


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 3, 9])
@pytest.mark.parametrize("hidden", [(), (0, 3), (0, 1, 2, 3, 4, 6), (0, 1, 2, 3, 4, 5, 6)])
def test_soft_contrast_is_the_equation(kind, n, hidden):
    q, k, queue = rows(0), rows(1), unit(2, 7)
    usable = torch.tensor([j not in hidden for j in range(7)])
    t, t2 = 0.3, 0.2
    weights, certain = neighbour_weights(normalize(k) @ queue.T, usable, kind, n, t2)
    loss = 0.0
    for i in range(6):
        own = [cosine(k[i].tolist(), row) for row in queue.tolist()]
        u = plain_weights(own, usable.tolist(), kind, n, t2)
        assert weights[i].tolist() == pytest.approx(u, abs=1e-12)
        logits = [cosine(q[i].tolist(), row) / t for row in [k[i].tolist(), *queue.tolist()]]
        log = math.log(sum(map(math.exp, logits)))
        loss -= sum(w * (logit - log) for w, logit in zip([1.0, *u], logits, strict=True)) / (1 + sum(u)) / 6
    assert QueueContrast(t)(q, k, queue, weights).item() == pytest.approx(loss, rel=1e-12)
    assert (certain >= 0).all()
    assert (certain <= 1).all()
    if kind == "normal":
        assert QueueContrast(t)(q, k, queue).item() == pytest.approx(loss, rel=1e-12)


def test_certainty_is_small_for_a_flat_queue_and_one_for_a_single_neighbour():
    usable = torch.ones(5, dtype=torch.bool)
    flat = neighbour_weights(torch.full((1, 5), 0.3), usable, "ascl", 5, 0.05)
    assert flat[1].item() == pytest.approx(0, abs=1e-6)
    assert flat[0].abs().max() < 1e-5
    sharp = neighbour_weights(torch.tensor([[1.0, -1, -1, -1, -1]]), usable, "ascl", 5, 0.05)
    assert sharp[1].item() == pytest.approx(1)
    assert sharp[0].tolist()[0] == pytest.approx([1, 0, 0, 0, 0], abs=1e-12)


def test_key_queue_and_weights_are_constants():
    q, k, queue = rows(0).requires_grad_(), rows(1).requires_grad_(), unit(2, 7).requires_grad_()
    weights = torch.rand(6, 7, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    QueueContrast(0.2)(q, k, queue, weights).backward()
    assert q.grad.isfinite().all()
    assert q.grad.any()
    assert k.grad is None and queue.grad is None and weights.grad is None  # noqa: PT018


def test_two_queues_agree_with_the_authors_sy_con():
    """Recorded from csm9493/PNR at e4b3a7a, moco_pnr_loss_func, float64, on unit rows."""
    both = torch.cat((unit(3, 5), unit(5, 7)))
    assert QueueContrast(0.2)(unit(0), unit(1), both).item() == pytest.approx(3.130342111119187, rel=1e-9)
    assert QueueContrast(0.3)(unit(4), unit(2), both).item() == pytest.approx(5.778453487589569, rel=1e-9)


def test_batch_form_agrees_with_the_authors_sy_con():
    """Recorded from csm9493/PNR at e4b3a7a, simclr_moco_loss_func, float64."""
    p1, p2, z1, z2, f1, f2 = (rows(k) for k in range(6))
    terms = SymmetricContrast(0.2, 0.2).terms(z1, z2, p1, p2, f1, f2)
    assert terms["plasticity"].item() == pytest.approx(3.5226878139638536, rel=1e-9)
    assert terms["stability"].item() == pytest.approx(9.204084129157922, rel=1e-9)


def test_batch_form_is_the_equation():
    p, z, f = ([*rows(k), *rows(k + 1)] for k in (0, 2, 4))
    t, d, plasticity, stability = 0.2, 0.5, 0.0, 0.0
    for i in range(12):
        seen = [(j, rows_) for rows_ in (z, f) for j in range(12) if j != i]
        plasticity += math.log(sum(math.exp(cosine(z[i].tolist(), r[j].tolist()) / t) for j, r in seen)) / 12
        stability += math.log(sum(math.exp(cosine(p[i].tolist(), r[j].tolist()) / d) for j, r in seen)) / 12
        plasticity -= cosine(z[i].tolist(), z[(i + 6) % 12].tolist()) / t / 12
        stability -= cosine(p[i].tolist(), f[i].tolist()) / d / 12
    terms = SymmetricContrast(t, d).terms(rows(2), rows(3), rows(0), rows(1), rows(4), rows(5))
    assert [v.item() for v in terms.values()] == pytest.approx([plasticity, stability], rel=1e-9)


def test_batch_contrast_is_the_equation():
    r, c = rows(0), rows(1)
    loss = 0.0
    for i in range(6):
        logits = [cosine(r[i].tolist(), c[j].tolist()) / 0.3 for j in range(6)]
        loss += (math.log(sum(map(math.exp, logits))) - logits[i]) / 6
    assert BatchContrast(0.3)(r, c).item() == pytest.approx(loss, rel=1e-9)
    assert torch.autograd.gradcheck(BatchContrast(0.3), (r.requires_grad_(), c.requires_grad_()))


@pytest.mark.parametrize("kind", KINDS)
def test_soft_cosine_is_the_equation(kind):
    p, k = rows(0), rows(1)
    loss = 0.0
    for i in range(6):
        similar = [cosine(k[i].tolist(), k[j].tolist()) for j in range(6)]
        u = plain_weights(similar, [j != i for j in range(6)], kind, 2, 0.3)
        y = [1.0 if j == i else u[j] for j in range(6)]
        loss += 2 / 6 - sum(2 * w * cosine(p[i].tolist(), k[j].tolist()) for j, w in enumerate(y)) / sum(y) / 6
    assert SoftCosine(kind, 2, 0.3)(p, k).item() == pytest.approx(loss, rel=1e-9)


def test_soft_cosine_of_two_samples_or_without_neighbours_is_byol():
    p, k = rows(0), rows(1)
    assert SoftCosine("normal")(p, k).item() == pytest.approx(NegativeCosine()(p, k).item(), rel=1e-12)
    assert SoftCosine("ascl", 5)(p[:2], k[:2]).item() == pytest.approx(NegativeCosine()(p[:2], k[:2]).item())


HARD = {
    "zero": torch.zeros(8, 4),
    "constant": torch.full((8, 4), 0.7),
    "batch of 2": torch.tensor([[1.0, 2, 3, 4], [4, 3, 2, 1]]),
    "huge": 1e18 * rows(7, 8).float(),
    "tiny": 1e-12 * rows(7, 8).float(),
}


@pytest.mark.parametrize("kind", HARD)
def test_finite_on_hard_inputs(kind):
    x = HARD[kind]
    queue = torch.zeros(5, 4)
    for compute in (
        lambda z: QueueContrast(0.01)(z, x, queue, torch.ones(len(x), 5)),
        lambda z: BatchContrast(0.01)(z, z),
        lambda z: SoftCosine("ascl", 5)(z, x),
        lambda z: SymmetricContrast(0.01, 0.01)(z, z, z, z, x, x),
    ):
        z = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            value = compute(z)
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite()
        assert z.grad.isfinite().all()


def test_autocast_changes_nothing():
    q, k, queue = rows(0).float(), rows(1).float(), unit(2, 7).float()
    similar, usable = k @ queue.T, torch.ones(7, dtype=torch.bool)
    values = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            weights, _ = neighbour_weights(similar, usable, "ascl", 3, 0.1)
            values.append((QueueContrast(0.2)(q, k, queue, weights), SoftCosine()(q, k), BatchContrast()(q, k)))
    assert values[0] == values[1]


def test_an_earlier_model_far_away_leaves_simclr_in_plasticity():
    """With the earlier model far away (orthogonal, at a low temperature) its negatives vanish."""
    z1, z2 = torch.cat((rows(0), torch.zeros(6, 4)), 1), torch.cat((rows(1), torch.zeros(6, 4)), 1)
    f = -torch.cat((torch.zeros(6, 4), rows(2)), 1)
    t = 0.02
    found = SymmetricContrast(t, t).terms(z1, z1, z1, z1, f, f)["plasticity"]
    assert found.item() == pytest.approx(NTXent(t)(z1, z1).item(), abs=1e-9)
    assert SymmetricContrast(t, t).terms(z1, z2, z1, z2, z1, z2)["plasticity"] > NTXent(t)(z1, z2)


@pytest.mark.parametrize("make", [QueueContrast, BatchContrast, SymmetricContrast])
def test_bad_arguments(make):
    with pytest.raises(ValueError, match="positive"):
        make(0.0)


def test_bad_shapes():
    with pytest.raises(ValueError, match="queue"):
        QueueContrast()(rows(0), rows(1), unit(2, 1))
    with pytest.raises(ValueError, match="weights"):
        QueueContrast()(rows(0), rows(1), unit(2, 5), torch.ones(6, 4))
    with pytest.raises(ValueError, match="one shape"):
        BatchContrast()(rows(0), rows(1, 5))
    with pytest.raises(ValueError, match="weighting"):
        SoftCosine("soft")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neighbours"):
        SoftCosine("hard", 0)
