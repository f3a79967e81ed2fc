import math

import pytest
import torch

from tacit.objectives.labels import Distillation, JointLabels, Labels, aggregated, single


def softmax(row):
    top = max(row)
    exps = [math.exp(v - top) for v in row]
    return [e / sum(exps) for e in exps]


def scores(copies=4, rows=5, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(copies, rows, classes * copies, generator=generator, dtype=torch.float64)


Y = torch.tensor([0, 2, 1, 1, 0])


@pytest.mark.parametrize("large", [False, True])
def test_joint_labels_are_the_equation(large):
    s, loss = scores(), 0.0
    for b, label in enumerate(Y.tolist()):
        for j in range(4):
            loss -= math.log(softmax(s[j, b].tolist())[label * 4 + j])
    wanted = loss / 5 / (1 if large else 4)
    assert JointLabels(large)(s, Y).item() == pytest.approx(wanted, rel=1e-12)


def test_aggregation_picks_each_copy_s_own_classes():
    s = scores()
    for b in range(5):
        for label in range(3):
            wanted = sum(float(s[j, b, label * 4 + j]) for j in range(4)) / 4
            assert aggregated(s)[b, label].item() == pytest.approx(wanted, rel=1e-12)


def test_single_inference_is_conditioned_on_the_transformation():
    s = scores()[0]
    for j in range(4):
        for label in range(3):
            assert torch.equal(single(s, j, 4)[:, label], s[:, label * 4 + j])


def test_one_transformation_is_plain_cross_entropy():
    s = scores(1)
    torch.testing.assert_close(JointLabels()(s, Y), Labels()(s[0], Y))
    torch.testing.assert_close(aggregated(s), s[0])


@pytest.mark.parametrize("t", [0.5, 1.0, 4.0])
def test_distillation_is_the_equation(t):
    student, teacher = scores(2)[:, :, :6].unbind()
    loss = 0.0
    for a, b in zip(student.tolist(), teacher.tolist(), strict=True):
        q, p = softmax([v / t for v in a]), softmax([v / t for v in b])
        loss += t * t * sum(x * math.log(x / y) for x, y in zip(p, q, strict=True)) / 5
    assert Distillation(t)(student, teacher).item() == pytest.approx(loss, rel=1e-10)


def test_the_teacher_gets_no_gradient():
    student, teacher = torch.randn(2, 4, 3, requires_grad=True).unbind()
    grads = torch.autograd.grad(Distillation()(student, teacher), (student, teacher), allow_unused=True)
    assert grads[0].any()
    assert grads[1] is None
    assert Distillation()(teacher, teacher).item() == pytest.approx(0, abs=1e-7)


def test_half_precision_and_huge_scores():
    s = (1e4 * scores()).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = JointLabels()(s, Y) + Distillation()(s[0], aggregated(s).repeat(1, 4)) + Labels()(s[0], Y)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert s.grad.isfinite().all()


def test_bad_input():
    with pytest.raises(ValueError, match="classes \\* transformations"):
        JointLabels()(torch.ones(4, 5, 10), Y)
    with pytest.raises(ValueError, match="one label each"):
        Labels()(torch.ones(4, 5), Y)
    with pytest.raises(ValueError, match="positive"):
        Distillation(0)
    with pytest.raises(ValueError, match="one shape"):
        Distillation()(torch.ones(2, 3), torch.ones(2, 4))
