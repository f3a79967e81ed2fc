"""Optimisers: who decays, who is scaled, and that steps are those of the equations."""

import pytest
import torch
from torch import nn

from tacit.errors import OptionError
from tacit.modalities.image.encoders import make_encoder
from tacit.modalities.image.spec import Spec
from tacit.training.optimisers import learning_rate, make_optimiser, set_rate


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
        self.head = nn.Linear(3, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, x):
        return self.head(self.encoder(x))


def by_name(net, optimiser):
    names = {id(p): n for n, p in net.named_parameters()}
    return {names[id(p)]: group for group in optimiser.param_groups for p in group["params"]}


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_vectors_do_not_decay_and_frozen_parameters_are_left_out(name):
    net = Net()
    groups = by_name(net, make_optimiser(net, name, 0.1, weight_decay=0.3))
    assert set(groups) == {n for n, p in net.named_parameters() if p.requires_grad}
    assert {n for n, g in groups.items() if g["weight_decay"] == 0.3} == {
        "encoder.0.weight", "encoder.2.weight", "head.weight",
    }  # fmt: skip
    assert all(g["weight_decay"] in (0.0, 0.3) for g in groups.values())


def test_named_embeddings_do_not_decay():
    spec = Spec(3, (32, 32), (0.0,) * 3, (1.0,) * 3)
    net = nn.ModuleDict({"encoder": make_encoder("vit", spec, registers=1, depth=1)})
    groups = by_name(net, make_optimiser(net))
    for name in ("pos_embed", "reg_token"):
        assert groups[f"encoder.model.{name}"]["weight_decay"] == 0
    assert groups["encoder.model.patch_embed.proj.weight"]["weight_decay"] > 0


def test_rates_are_scaled_by_prefix():
    net = Net()
    optimiser = make_optimiser(net, "sgd", lr_scales={"encoder.": 0.1, "encoder.2.": 0.5})
    set_rate(optimiser, 2.0)
    rates = {n: g["lr"] for n, g in by_name(net, optimiser).items()}
    assert rates["encoder.0.weight"] == rates["encoder.1.bias"] == pytest.approx(0.2)
    assert rates["encoder.2.weight"] == rates["encoder.2.bias"] == pytest.approx(1.0)
    assert rates["head.weight"] == 2.0
    with pytest.raises(OptionError, match="'encoder'"):
        make_optimiser(net, lr_scales={"encodr.": 0.1})


def test_lars_adapts_matrices_and_leaves_vectors_to_plain_momentum():
    net = Net()
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    optimiser = make_optimiser(net, "lars", 0.5, weight_decay=0.0, momentum=0.9)
    for p in net.parameters():
        if p.requires_grad:
            p.grad = torch.full_like(p, 0.01)
    optimiser.step()
    for name, p in net.named_parameters():
        if not p.requires_grad:
            continue
        gradient = torch.full_like(p, 0.01)
        ratio = 0.001 * before[name].norm() / gradient.norm() if p.ndim > 1 else 1.0
        torch.testing.assert_close(p.detach(), before[name] - 0.5 * ratio * gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_fused_steps_equal_the_plain_ones(name):
    ours, plain = Net(), Net()
    a = make_optimiser(ours, name, 0.05, weight_decay=0.0, momentum=0.8)
    b = (
        torch.optim.AdamW(plain.parameters(), 0.05, betas=(0.8, 0.999), weight_decay=0, fused=False, foreach=False)
        if name == "adamw"
        else torch.optim.SGD(plain.parameters(), 0.05, momentum=0.8, fused=False, foreach=False)
    )
    assert a.defaults["fused"] is True
    for step in range(4):
        for net, optimiser in ((ours, a), (plain, b)):
            torch.manual_seed(step)
            for p in net.parameters():
                p.grad = torch.randn_like(p) if p.requires_grad else None
            optimiser.step()
    for p, q in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_a_state_of_another_memory_layout_gives_the_same_weights(name):
    def train(change):
        torch.manual_seed(0)
        net = nn.Conv2d(4, 8, 3)
        x = torch.randn(2, 4, 8, 8)
        optimiser = make_optimiser(net, name, 0.05)
        for step in range(5):
            if step == 2 and change:
                state = optimiser.state_dict()
                optimiser = make_optimiser(net, name, 0.05)
                optimiser.load_state_dict(state)
                net.to(memory_format=torch.channels_last)
            optimiser.zero_grad()
            net(x).square().mean().backward()
            optimiser.step()
        return net.weight.detach().contiguous()

    torch.testing.assert_close(train(True), train(False), rtol=1e-4, atol=1e-5)


def test_automatic_rates_scale_with_the_batch():
    for name in ("sgd", "lars"):
        assert learning_rate(name, 1024) == pytest.approx(4 * learning_rate(name, 256))
    assert learning_rate("adamw", 1024) == pytest.approx(2 * learning_rate("adamw", 256))
    net = Net()
    assert make_optimiser(net, "lars", batch_size=512).defaults["lr"] == learning_rate("lars", 512)
    assert make_optimiser(net, "lars", lr=0.7, batch_size=512).defaults["lr"] == 0.7


def test_bad_input():
    with pytest.raises(OptionError, match="'adamw'"):
        make_optimiser(Net(), "adam")
    with pytest.raises(OptionError, match="momentum"):
        make_optimiser(Net(), momentum=1.0)
    with pytest.raises(OptionError, match="no trainable"):
        make_optimiser(Net().requires_grad_(False))
    with pytest.raises(OptionError, match="batch_size"):
        learning_rate("sgd", 0)
