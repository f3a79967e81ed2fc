"""Spark3D: nothing leaks, and with nothing hidden it is an ordinary network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tacit.errors import OptionError
from tacit.methods.reconstruction.spark3d import Spark3D
from tacit.modalities import volume
from tacit.parts.draws import Draws
from tacit.parts.visible import PyramidDecoder, VisibleNorm, at_level

SPEC = volume.Spec(2, (16, 16, 8), (1.0, 1.0, 1.0), (0.0, 0.0), (1.0, 1.0))
every_norm = pytest.mark.parametrize("norm", ["group", "instance"])


def built(seed: int = 0, norm: str = "group", **options: Any) -> Spark3D:
    torch.manual_seed(seed)
    encoder = volume.make_encoder("unet", SPEC, width=4, depth=3, blocks=2, norm=norm)
    made = Spark3D(encoder, **options)
    with torch.no_grad():  # norms that do something, so that a shift could give hidden places away
        for part in made.modules():
            if isinstance(part, VisibleNorm):
                part.weight.normal_(1, 0.3)
                part.bias.normal_(0, 0.5)
    return made


def scans(count: int = 3, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 2, 16, 16, 8, generator=torch.Generator().manual_seed(seed))


def loss(method: Spark3D, x: torch.Tensor, seed: int = 2) -> torch.Tensor:
    torch.manual_seed(seed)
    return method({"views": [{"x": x}]})["loss"]


@every_norm
@pytest.mark.parametrize("block", [None, 2, 8])
def test_no_feature_depends_on_what_is_hidden(norm: str, block: int | None) -> None:
    method, x = built(norm=norm, block=block), scans()
    mask = method.mask(x, Draws.seeded(3))
    visible = at_level(mask, (16, 16, 8))
    assert visible is not None
    other = torch.where(visible, x, 1e3 * scans(seed=9) + 7)
    one, two = (method.encoder.features(part, mask) for part in (x, other))  # type: ignore[operator]
    for level, (a, b) in enumerate(zip(one, two, strict=True)):
        assert torch.equal(a, b), level
        here = at_level(mask, a.shape[2:])
        if here is not None:
            assert not a.masked_select(~here).any()
            assert a.masked_select(here).any()
    assert torch.equal(method.restored(x, mask), method.restored(other, mask))
    changed = torch.where(visible, x + 1, x)
    assert not torch.equal(method.restored(changed, mask), method.restored(x, mask))


@every_norm
def test_with_all_visible_it_is_the_ordinary_network(norm: str) -> None:
    method, x = built(norm=norm), scans()
    encoder = method.encoder
    everything = torch.ones(3, 1, 4, 4, 2, dtype=torch.bool)

    def plain_norm(h: torch.Tensor, part: VisibleNorm) -> torch.Tensor:
        if norm == "instance":
            return F.instance_norm(h, weight=part.weight, bias=part.bias)
        return F.group_norm(h, part.groups, part.weight, part.bias)

    def conv(h: torch.Tensor, part: nn.Conv3d) -> torch.Tensor:
        return F.conv3d(h, part.weight, None, part.stride, part.padding)

    e: Any = encoder
    h = F.leaky_relu(plain_norm(conv(x, e.stem), e.stem_norm))
    wanted = [h]
    for level in e.levels:
        for block in level:
            inner = F.leaky_relu(plain_norm(conv(h, block.first), block.norms[0]))
            inner = plain_norm(conv(inner, block.second), block.norms[1])
            past = F.avg_pool3d(h, 2) if block.stride == 2 else h
            if block.past is not None:
                past = plain_norm(conv(past, block.past), block.past_norm)
            h = F.leaky_relu(inner + past)
        wanted.append(h)
    for mask in (None, everything):
        for a, b in zip(e.features(x, mask), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder(x), wanted[-1].mean((2, 3, 4)), rtol=1e-4, atol=1e-5)


def test_a_norm_sees_visible_places_alone() -> None:
    x, mask = scans(2)[:, :1].repeat(1, 4, 1, 1, 1) * torch.arange(1, 5).view(1, 4, 1, 1, 1), scans(2, 5)[:, :1] > 0
    norm = VisibleNorm(4, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    found = norm(x * mask, mask).detach().numpy()
    for b in range(2):
        at = mask[b, 0].numpy()
        for group in ((0, 1), (2, 3)):
            values = np.concatenate([x[b, c].numpy()[at] for c in group]).astype(np.float64)
            for c in group:
                normal = (x[b, c].numpy() - values.mean()) / np.sqrt(values.var() + 1e-5)
                wanted = np.where(at, normal * norm.weight[c].item() + norm.bias[c].item(), 0)
                assert np.allclose(found[b, c], wanted, atol=1e-5)
    assert not norm(torch.zeros(1, 4, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2, dtype=torch.bool)).any()


def test_the_loss_is_the_mean_squared_error_of_hidden_voxels() -> None:
    method, x = built(), scans()
    found = loss(method, x)
    torch.manual_seed(2)
    mask = method.mask(x, Draws())
    restored = method.restored(x, mask)
    total, count = 0.0, 0
    for b, d, h, w in np.ndindex(3, 16, 16, 8):
        if not mask[b, 0, d // 4, h // 4, w // 4]:
            total += float((restored[b, :, d, h, w] - x[b, :, d, h, w]).double().square().sum())
            count += 2
    assert float(found) == pytest.approx(total / count, rel=1e-5)


def test_as_many_blocks_are_hidden_in_each_volume_and_the_share_varies() -> None:
    method, shares = built(block=2), set()
    for seed in range(20):
        visible = method.mask(scans(), Draws.seeded(seed)).flatten(1).sum(1)
        assert len(set(visible.tolist())) == 1
        shares.add(1 - float(visible[0]) / (8 * 8 * 4))
    assert 0.59 < min(shares) < 0.7
    assert 0.8 < max(shares) < 0.91
    fixed = built(block=8, ratio=(0.75, 0.75)).mask(scans(), Draws.seeded(0))
    assert fixed.flatten(1).sum(1).tolist() == [1, 1, 1]


def test_what_is_hidden_becomes_the_token_and_is_smoothed_in() -> None:
    method, x = built(), scans()
    assert method.densify is not None
    mask = method.mask(x, Draws.seeded(3))
    part: Any = method.densify[1]
    features = method.encoder.features(x, mask)[1]  # type: ignore[operator]
    here = at_level(mask, features.shape[2:])
    assert here is not None
    filled = torch.where(here, part.norm(features, here), part.token.expand_as(features))
    torch.testing.assert_close(part(features, here), F.conv3d(filled, part.smooth.weight, part.smooth.bias, padding=1))
    assert isinstance(method.densify[0].smooth, nn.Identity)  # type: ignore[union-attr]


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("count", [2, 5])
def test_it_reaches_every_parameter(sparse: bool, count: int) -> None:
    method = built(sparse=sparse)
    value = loss(method, scans(count))
    assert torch.isfinite(value)
    value.backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all()
        assert bool(parameter.grad.any()), name


def test_bf16_is_close_and_constant_volumes_are_finite() -> None:
    method, x = built(), scans()
    exact = loss(method, x)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss(method, x)
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).abs() / exact) < 0.05
    loss(method, torch.full((2, 2, 16, 16, 8), 3.0)).backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


def test_it_learns_and_goes_on_where_it_was_saved() -> None:
    # smooth volumes, which can be told from what is around
    x = F.interpolate(scans(4)[:, :, :4, :4, :4], (16, 16, 8), mode="trilinear")
    method = built()
    optimiser = torch.optim.AdamW(method.parameters(), 3e-3)
    first = float(loss(method, x).detach())
    for step in range(60):
        optimiser.zero_grad()
        loss(method, x, seed=step).backward()
        optimiser.step()
    last = loss(method, x).detach()
    assert float(last) < 0.6 * first
    other = built(seed=5)
    other.load_state_dict(method.state_dict())
    assert torch.equal(loss(other, x), last)


def test_the_unet_has_the_trained_weights_and_another_last_layer() -> None:
    method, x = built(), scans()
    made = method.unet(5)
    assert made(x).shape == (3, 5, 16, 16, 8)
    decoder: PyramidDecoder = method.decoder
    made.decoder.leave = decoder.leave
    torch.testing.assert_close(made(x), decoder(method.encoder.features(x)))  # type: ignore[operator]
    before = method.encoder.stem.weight.clone()  # type: ignore[union-attr, operator]
    with torch.no_grad():
        made.encoder.stem.weight.zero_()  # type: ignore[union-attr, operator]
    assert torch.equal(method.encoder.stem.weight, before)  # type: ignore[union-attr, arg-type]


def test_odd_sides_come_back_at_their_size() -> None:
    made = built().unet(1)
    assert made(torch.randn(1, 2, 7, 9, 10)).shape == (1, 1, 7, 9, 10)


@pytest.mark.parametrize(
    ("options", "sides", "why"),
    [
        ({"ratio": (0.5, 1.0)}, (16, 16, 8), "ratio"),
        ({"ratio": (0.0, 0.5)}, (16, 16, 8), "ratio"),
        ({"block": 0}, (16, 16, 8), "block"),
        ({}, (16, 18, 8), r"blocks of 4 voxels.*data.size='\(16, 16, 8\)'"),
        ({"block": 8}, (16, 12, 8), "halves 2 times"),
        ({"block": 6}, (12, 12, 12), "a multiple of 4"),
        ({}, (4, 4, 4), "all of a volume"),
    ],
)
def test_impossible_values_are_refused(options: dict[str, Any], sides: tuple[int, ...], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        loss(built(**options), torch.zeros(2, 2, *sides))


def test_another_encoder_is_refused() -> None:
    with pytest.raises(OptionError, match="say --encoder unet"):
        Spark3D(volume.make_encoder("vit", SPEC, width=16, depth=1, heads=2))
