import math

import pytest
import torch
from torch import nn

from tacit.parts.teacher import Teacher


def student():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_starts_as_a_copy_without_gradient():
    net = student()
    teacher = Teacher(net)
    x = torch.randn(5, 3)
    assert torch.equal(teacher(x), net(x))
    assert not teacher(x).requires_grad
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in net.parameters())
    assert set(teacher.state_dict()) == {f"network.{key}" for key in net.state_dict()}


def test_follows_along_the_cosine():
    net, steps = student(), 10
    teacher = Teacher(net, momentum=0.8)
    wanted = [p.detach().double().clone() for p in net.parameters()]
    for k in range(steps):
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.3 * torch.randn_like(p))
        teacher.follow(net, k / steps)
        m = 1 - (1 - 0.8) * (math.cos(math.pi * k / steps) + 1) / 2
        wanted = [m * w + (1 - m) * p.detach().double() for w, p in zip(wanted, net.parameters(), strict=True)]
    for found, w in zip(teacher.parameters(), wanted, strict=True):
        torch.testing.assert_close(found.double(), w, rtol=1e-5, atol=1e-6)


def test_ends_still_and_starts_at_the_given_momentum():
    teacher = Teacher(student(), momentum=0.9)
    assert teacher.momentum_at(0.0) == pytest.approx(0.9)
    assert teacher.momentum_at(0.5) == pytest.approx(0.95)
    assert teacher.momentum_at(1.0) == 1.0
    before = [p.clone() for p in teacher.parameters()]
    other = student()
    with torch.no_grad():
        other[0].weight.add_(1)
    teacher.follow(other, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))


def test_keeps_its_own_running_statistics():
    net = student()
    teacher = Teacher(net)
    teacher(torch.randn(50, 3) + 4)
    own = teacher.network[1].running_mean.clone()
    assert not torch.equal(own, net[1].running_mean)
    teacher.follow(net)
    assert torch.equal(teacher.network[1].running_mean, own)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_bad_momentum(momentum):
    with pytest.raises(ValueError, match="momentum"):
        Teacher(student(), momentum)


def test_the_momentum_goes_to_its_final_value():
    teacher = Teacher(torch.nn.Linear(2, 2), 0.9, 0.99)
    assert teacher.momentum_at(0) == pytest.approx(0.9)
    assert teacher.momentum_at(0.5) == pytest.approx(0.945)
    assert teacher.momentum_at(1) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="momentum"):
        Teacher(torch.nn.Linear(2, 2), 0.9, 1.1)
