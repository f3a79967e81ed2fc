"""The focal loss on pairs and the dictionary's labels, against plain loops."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from tacit.objectives.multilabel import DictionaryBCE, nearest_labels
from tacit.objectives.relational import FocalBCE


def rows(k, count=6, width=4):
    i = torch.arange(count * width, dtype=torch.float64).reshape(count, width)
    return torch.sin(1.7 * i + k) + 0.3 * torch.cos(2.3 * i * (k + 1))


LOGITS = torch.tensor([-3.0, -0.2, 0.0, 0.7, 4.0, 1.1], dtype=torch.float64)
TARGET = torch.tensor([0, 1, 0, 1, 1, 0])


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [0.25, 0.5])
def test_focal_is_the_equation(gamma, alpha):
    loss = 0.0
    for x, y in zip(LOGITS.tolist(), TARGET.tolist(), strict=True):
        sure = 1 / (1 + math.exp(-x))
        right = sure if y else 1 - sure
        loss -= (alpha if y else 1 - alpha) * (1 - right) ** gamma * math.log(right) / 6
    assert FocalBCE(gamma, alpha)(LOGITS, TARGET).item() == pytest.approx(loss, rel=1e-12)


def test_focal_without_focus_is_half_of_binary_cross_entropy():
    expected = binary_cross_entropy_with_logits(LOGITS, TARGET.double()) / 2
    assert FocalBCE(0.0)(LOGITS, TARGET > 0).item() == pytest.approx(expected.item(), rel=1e-12)


def test_focal_gradient_is_finite_for_sure_answers():
    x = torch.tensor([1e4, -1e4, 1e4, -1e4, 0.0]).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = FocalBCE()(x, torch.tensor([1, 0, 0, 1, 1]))
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert x.grad.isfinite().all()
    assert x.grad[0] == 0
    assert x.grad[2] == pytest.approx(0.1)  # surely wrong: the slope of a straight line, alpha / 5
    assert torch.autograd.gradcheck(lambda v: FocalBCE()(v, TARGET), LOGITS.clone().requires_grad_())


def test_focal_bad_arguments():
    for make, word in ((lambda: FocalBCE(-1.0), "gamma"), (lambda: FocalBCE(2.0, 1.0), "alpha")):
        with pytest.raises(ValueError, match=word):
            make()
    with pytest.raises(ValueError, match="one shape"):
        FocalBCE()(torch.zeros(3), torch.zeros(4))


def test_dictionary_is_the_equation():
    z, queue, t = rows(0), normalize(rows(1, 9)), 0.3
    usable = torch.arange(9) < 7
    labels = torch.rand(6, 9, generator=torch.Generator().manual_seed(0)) < 0.3
    labels[0] = False
    labels[1] = True
    loss = 0.0
    for i in range(6):
        parts = {True: [], False: []}
        for j in range(7):
            logit = float(normalize(z)[i] @ queue[j]) / t
            parts[bool(labels[i, j])].append(-math.log(1 / (1 + math.exp(-logit if labels[i, j] else logit))))
        loss += sum(sum(part) / len(part) for part in parts.values() if part) / 2 / 6
    assert DictionaryBCE(t)(z, queue, labels, usable).item() == pytest.approx(loss, rel=1e-9)


def test_dictionary_is_constant_and_gradients_are_finite():
    for x in (torch.zeros(8, 4), torch.ones(2, 4), 1e15 * rows(0, 8).float()):
        z, queue = x.clone().requires_grad_(), normalize(rows(1, 9)).float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            value = DictionaryBCE(0.01)(z, queue, torch.eye(len(x), 9) > 0, torch.ones(9) > 0)
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite()
        assert z.grad.isfinite().all()
        assert queue.grad is None


def test_labels_are_the_nearest_and_the_own_row():
    similar = torch.tensor([[0.9, 0.1, 0.5, 0.7], [0.2, 0.3, 0.4, 0.9]])
    usable = torch.tensor([True, True, True, False])
    found = nearest_labels(similar, usable, torch.tensor([1, 0]), 2)
    assert found.tolist() == [[True, True, False, False], [True, False, True, False]]
    everything = nearest_labels(similar, usable, torch.tensor([1, 0]), 20)
    assert everything.tolist() == [[True, True, True, False]] * 2


def test_dictionary_bad_arguments():
    with pytest.raises(ValueError, match="positive"):
        DictionaryBCE(0.0)
    with pytest.raises(ValueError, match="dictionary"):
        DictionaryBCE()(rows(0), rows(1, 5, 3), torch.ones(6, 5) > 0, torch.ones(5) > 0)
    with pytest.raises(ValueError, match="shapes"):
        DictionaryBCE()(rows(0), rows(1, 5), torch.ones(6, 4) > 0, torch.ones(5) > 0)
