import math

import pytest
import torch
from test_all_objectives import KINDS, hard, value_and_gradient
from test_contrastive import projections

from tacit.objectives import blocks
from tacit.objectives.contrastive import NTXent
from tacit.objectives.learned import Gaussian
from tacit.objectives.relation import Relation
from tacit.objectives.supcon import SupCon
from tacit.objectives.supervisory import Labels

LABELS = torch.tensor([0, 1, 0, 2, 1, 0])
MASK = torch.tensor(
    [[1, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0], [1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 0, 1], [0, 0, 0, 0, 1, 0],
     [1, 1, 0, 0, 0, 1]]
)  # fmt: skip


def plain(views, labels, t, form):
    """The equations, one number at a time."""
    z = [view[i].tolist() for i in range(len(labels)) for view in views]
    y = [int(label) for label in labels for _ in views]
    n, loss = len(z), 0.0

    def e(i, j):
        dot, (a, b) = sum(x * w for x, w in zip(z[i], z[j], strict=True)), (z[i], z[j])
        return math.exp(dot / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b)) / t)

    for i in range(n):
        positives = [p for p in range(n) if p != i and y[p] == y[i]]
        others = sum(e(i, a) for a in range(n) if a != i)
        if not positives:
            continue
        if form == "out":
            loss -= sum(math.log(e(i, p) / others) for p in positives) / len(positives)
        else:
            loss -= math.log(sum(e(i, p) for p in positives) / others / len(positives))
    return loss / n


@pytest.mark.parametrize("form", ["out", "in"])
@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("t", [0.07, 0.5])
def test_is_the_equation(form, views, t):
    z = [*projections(), projections()[0] ** 3 + 0.1][:views]
    assert SupCon(t, form)(*z, labels=LABELS).item() == pytest.approx(plain(z, LABELS, t, form), rel=1e-10)


@pytest.mark.parametrize(
    ("t", "anchors", "value"),
    [(0.5, "all", 2.9358799004120932), (0.5, "one", 2.949821100086457), (0.1, "all", 7.519838730647663)],
)
def test_agrees_with_its_code(t, anchors, value):
    """Recorded from HobbitLong/SupContrast at 66a8fe5, SupConLoss, float64; it adds 1e-9 to the sum."""
    assert SupCon(t, anchors=anchors)(*projections(), labels=LABELS).item() == pytest.approx(value, rel=1e-8)


def test_base_temperature_and_mask_agree_with_its_code():
    """Recorded likewise."""
    scaled = SupCon(0.5, base_temperature=0.07)(*projections(), labels=LABELS).item()
    assert scaled == pytest.approx(20.970570717229236, rel=1e-8)
    assert SupCon(0.5)(*projections(), mask=MASK).item() == pytest.approx(2.5110321432607434, rel=1e-8)


def test_two_samples_by_hand():
    """Orthogonal classes, equal views: each row has one other at cosine 1 and two at 0."""
    z, labels = torch.eye(2), torch.tensor([3, 8])
    assert SupCon(1.0)(z, z, labels=labels).item() == pytest.approx(math.log(1 + 2 / math.e), rel=1e-6)


@pytest.mark.parametrize("form", ["out", "in"])
def test_each_sample_a_class_is_ntxent(form):
    z = projections()
    wanted = value_and_gradient(NTXent(0.3), *z)
    for labels in (torch.arange(6), None):
        found = value_and_gradient(lambda *pair, y=labels: SupCon(0.3, form)(*pair, labels=y), *z)
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_is_the_relation_objective_with_labels():
    z = projections()
    relation = Relation(Labels(), Gaussian(0.5), "cross-entropy")
    wanted = value_and_gradient(lambda *pair: relation(*pair, labels=LABELS), *z)
    found = value_and_gradient(lambda *pair: SupCon(0.5)(*pair, labels=LABELS), *z)
    by_mask = value_and_gradient(lambda *pair: SupCon(0.5)(*pair, mask=LABELS[:, None] == LABELS), *z)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(by_mask, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_inside_is_never_larger_than_outside(seed):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, 9, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (9,), generator=generator)
    inside, outside = (SupCon(0.2, form)(*z, labels=labels) for form in ("in", "out"))
    assert inside <= outside
    order = torch.randperm(9, generator=generator)
    for form, value in (("in", inside), ("out", outside)):
        torch.testing.assert_close(SupCon(0.2, form)(*z[:, order], labels=labels[order]), value)


@pytest.mark.filterwarnings("ignore:all samples of the batch")
@pytest.mark.parametrize("form", ["out", "in"])
@pytest.mark.parametrize("kind", KINDS)
def test_finite_on_hard_inputs(form, kind):
    z1, z2 = hard(kind)
    labels = torch.arange(len(z1)) // 2
    value, gradients = value_and_gradient(lambda *z: SupCon(0.05, form)(*z, labels=labels), z1, z2)
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("form", ["out", "in"])
def test_gradient_and_blocks(form, monkeypatch):
    z = [v.requires_grad_() for v in projections(5, 3)]
    assert torch.autograd.gradcheck(lambda *v: SupCon(0.3, form)(*v, labels=LABELS[:5]), z)
    whole = SupCon(0.3, form)(*z, labels=LABELS[:5])
    monkeypatch.setattr(blocks, "BLOCK", 30)
    parts = SupCon(0.3, form)(*z, labels=LABELS[:5])
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts, z), torch.autograd.grad(whole, z))


def test_a_sample_alone_in_its_class_counts_as_nothing():
    z = projections()[0].requires_grad_()
    (grad,) = torch.autograd.grad(SupCon(0.5)(z, labels=torch.arange(6)), z)
    assert grad.abs().max() == 0


def test_autocast_is_off_inside():
    z = [v.float() for v in projections()]
    wanted, found = (value_and_gradient(lambda *v: SupCon()(*v, labels=LABELS), *z, autocast=a) for a in (False, True))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_what_is_refused():
    z = projections()
    with pytest.raises(ValueError, match="not both"):
        SupCon()(*z, labels=LABELS, mask=MASK)
    with pytest.raises(ValueError, match="6 samples"):
        SupCon()(*z, labels=LABELS[:5])
    with pytest.raises(ValueError, match="one shape"):
        SupCon()(torch.ones(2, 3, 4), labels=LABELS[:2])
    for options in ({"temperature": 0.0}, {"base_temperature": -1.0}, {"form": "both"}, {"anchors": "two"}):
        with pytest.raises(ValueError):
            SupCon(**options)
    with pytest.warns(UserWarning, match="nothing to tell apart"):
        SupCon()(*z, labels=torch.zeros(6, dtype=torch.int64))
