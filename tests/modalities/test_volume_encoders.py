"""Encoders of volumes: shapes, levels and tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tacit.errors import OptionError
from tacit.modalities import volume
from tacit.parts.tokens import TokenEncoder
from tacit.parts.visible import PyramidEncoder

SPEC = volume.Spec(2, (16, 12, 20), (1.0, 1.0, 1.0), (0.0, 0.0), (1.0, 1.0))
SMALL: dict[str, dict[str, Any]] = {
    "unet": {"width": 4, "depth": 3},
    "vit": {"width": 16, "depth": 1, "heads": 2},
}
every_encoder = pytest.mark.parametrize("name", volume.encoder_names())


@every_encoder
@pytest.mark.parametrize("sides", [(16, 12, 20), (9, 7, 5), (1, 2, 3)])
def test_volumes_of_any_size_give_an_embedding(name: str, sides: tuple[int, ...]) -> None:
    encoder = volume.make_encoder(name, SPEC, **SMALL[name])
    x = torch.randn(2, 2, *sides)
    found = encoder(x)
    assert found.shape == (2, encoder.dim)
    assert found.isfinite().all()
    alone = encoder(x[:1])
    torch.testing.assert_close(found[:1], alone, rtol=1e-4, atol=1e-5)  # no sample sees another


@every_encoder
def test_every_parameter_learns(name: str) -> None:
    encoder = volume.make_encoder(name, SPEC, **SMALL[name])
    encoder(torch.randn(2, 2, 16, 12, 20)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in encoder.parameters())


def test_levels_halve_and_double() -> None:
    encoder = volume.make_encoder("unet", SPEC, width=4, depth=4, blocks=2, widest=20)
    assert isinstance(encoder, PyramidEncoder)
    assert encoder.widths == [4, 8, 16, 20]
    shapes = [tuple(f.shape[1:]) for f in encoder.features(torch.randn(1, 2, 16, 12, 20))]
    assert shapes == [(4, 16, 12, 20), (8, 8, 6, 10), (16, 4, 3, 5), (20, 2, 2, 3)]
    made = volume.make_encoder("unet", volume.Spec(1, (128, 128, 128), (1.0,) * 3, (0.0,), (1.0,)))
    assert len(made.widths) == 6  # type: ignore[arg-type]
    assert made.dim == 320


def test_tokens_are_patches_at_their_place() -> None:
    encoder = volume.make_encoder("vit", SPEC, patch=(4, 3, 5), **SMALL["vit"])
    assert isinstance(encoder, TokenEncoder)
    x = torch.randn(2, 2, 16, 12, 20)
    tokens = encoder.tokenize(x)
    assert tokens.target.shape == (2, 4 * 4 * 4, 2 * 60)
    for token, (d, h, w) in ((0, (0, 0, 0)), (1, (0, 0, 1)), (4, (0, 1, 0)), (27, (1, 2, 3))):
        patch = x[:, :, 4 * d : 4 * d + 4, 3 * h : 3 * h + 3, 5 * w : 5 * w + 5]
        assert torch.equal(tokens.target[:, token], patch.flatten(1))
        assert tokens.position[token].tolist() == pytest.approx([(d + 0.5) / 4, (h + 0.5) / 4, (w + 0.5) / 4])
    changed = x.clone()
    changed[:, :, 8:] += 1
    other = encoder.tokenize(changed)
    assert torch.equal(other.x[:, :32], tokens.x[:, :32])
    assert not torch.equal(other.x[:, 32:], tokens.x[:, 32:])
    keep = torch.tensor([[3, 1], [60, 0]])
    assert encoder.encode_tokens(tokens.x, keep).shape == (2, 2, 16)


def test_what_patches_do_not_divide_is_continued() -> None:
    encoder = volume.make_encoder("vit", SPEC, patch=4, **SMALL["vit"])
    x = torch.randn(1, 2, 6, 4, 4)
    target = encoder.tokenize(x).target.view(2, 2, 4, 4, 4)  # type: ignore[union-attr, operator]
    assert torch.equal(target[1, :, 2], x[0, :, 5])
    assert torch.equal(target[1, :, 3], x[0, :, 5])


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("unet", {"width": 0}, "width"),
        ("unet", {"depth": 0}, "depth"),
        ("unet", {"norm": "odd"}, "norm"),
        ("vit", {"patch": 0}, "patch"),
        ("vit", {"heads": 3}, "multiple of heads"),
        ("resnet", {}, "unknown encoder"),
    ],
)
def test_impossible_encoders_are_refused(name: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        volume.make_encoder(name, SPEC, **options)


def test_any_module_is_an_encoder() -> None:
    made = volume.wrap_encoder(torch.nn.Conv3d(2, 6, 3), SPEC)
    assert made.dim == 6
    assert made(torch.randn(3, 2, 8, 8, 8)).shape == (3, 6)
