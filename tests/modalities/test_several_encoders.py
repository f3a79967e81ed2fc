"""Encoders of samples of several parts: what they do with each part, alone and together, and with their tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.methods.reconstruction.masked_autoencoder import MaskedAutoencoder
from tacit.modalities import modality, open_source
from tacit.modalities.several.encoders import Separate
from tacit.modalities.several.joint import Joint
from tacit.parts.tokens import TokenEncoder, Tokens, encoded, tokens_of
from tacit.views.base import View
from tacit.views.bundle import Bundle

several = modality("several")


def opened(ragged: bool = False, count: int = 6) -> tuple[Any, View]:
    """A picture, two channels of a series and a record, and the evaluation view of some samples."""
    random = np.random.default_rng(0)
    series: Any = random.normal(0, 1, (count, 2, 24)).astype(np.float32)
    if ragged:
        series = [row[:, : 24 - 5 * (i % 3)] for i, row in enumerate(series)]
    data = {
        "image": random.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8), "wave": series,
        "record": random.normal(0, 1, (count, 3)),
    }  # fmt: skip
    source = open_source(data, "several", parts={"image": "image", "wave": "series", "record": "table"})
    spec = several.spec_of(source)
    return spec, several.evaluation_view(spec)(source.batch(torch.arange(count)))[0]


def padded(view: View, name: str, more: int) -> View:
    part = view["x"][name]
    longer = {**part, "x": nn.functional.pad(part["x"], (0, more))}
    return view | {"x": Bundle({**view["x"].parts, name: longer})}


@pytest.mark.parametrize("ragged", [False, True])
def test_every_part_goes_through_its_own_kinds_encoder(ragged: bool) -> None:
    spec, view = opened(ragged)
    torch.manual_seed(0)
    encoder = several.make_encoder("separate", spec, fuse="concat", width=8)
    assert encoder.dim == sum(encoder.widths.values())
    x = view["x"]
    found = encoder.eval()(x)
    at = 0
    for name in spec.names:
        part = x[name]
        own = encoder.encoders[f"part_{name}"]
        wanted = own(part["x"], length=part["length"]) if "length" in part else own(part["x"])
        torch.testing.assert_close(found[:, at : at + own.dim], wanted)
        at += own.dim


def test_the_mean_is_over_the_parts_that_there_are() -> None:
    spec, view = opened()
    encoder = several.make_encoder("separate", spec, dim=20).eval()
    x = view["x"]
    each = encoder.each(x)
    assert list(each) == ["image", "wave", "record"]
    torch.testing.assert_close(encoder(x), (each["image"] + each["wave"] + each["record"]) / 3)
    torch.testing.assert_close(encoder(x.only("wave")), each["wave"])
    torch.testing.assert_close(encoder(x.only("record", "image")), (each["image"] + each["record"]) / 2)
    assert encoder.dim == 20


def test_concatenation_puts_zeros_where_a_part_is_not() -> None:
    spec, view = opened()
    encoder = several.make_encoder("separate", spec, fuse="concat").eval()
    whole, alone = encoder(view["x"]), encoder(view["x"].only("wave"))
    first = encoder.widths["image"]
    mine = slice(first, first + encoder.widths["wave"])
    torch.testing.assert_close(alone[:, mine], whole[:, mine])
    assert not alone[:, :first].any()
    assert not alone[:, mine.stop :].any()


def test_options_are_for_one_part_or_for_all_that_have_them() -> None:
    spec, _ = opened()
    encoder = several.make_encoder(
        "separate", spec, **{"image.width": 12, "wave": "patch", "wave.width": 24, "depth": 2}
    )
    assert type(encoder.encoders["part_wave"]).__name__ == "PatchNet"
    assert encoder.widths["wave"] == 24
    assert len(encoder.encoders["part_wave"].transformer.layers) == 2
    plain = several.make_encoder("separate", spec, **{"image.width": 12, "wave": "patch", "wave.width": 24})
    assert len(plain.encoders["part_wave"].transformer.layers) == 4
    for wrong in ({"widht": 4}, {"image.widht": 4}, {"wave": "nothing"}, {"fuse": "sum"}, {"dim": 0}):
        with pytest.raises(OptionError):
            several.make_encoder("separate", spec, **wrong)
    with pytest.raises(OptionError, match="encoder"):
        several.make_encoder("both", spec)


def test_a_shared_encoder_takes_all_parts_in_one_call() -> None:
    random = np.random.default_rng(0)
    data = {name: random.normal(0, 1, (5, 3, 16)).astype(np.float32) for name in ("left", "right", "back")}
    source = open_source(data, "several", parts=dict.fromkeys(data, "series"))
    spec = several.spec_of(source)
    x = several.evaluation_view(spec)(source.batch(torch.arange(5)))[0]["x"]
    encoder = several.make_encoder("shared", spec, width=8, depth=2).eval()
    calls: list[int] = []
    encoder.encoder.register_forward_hook(lambda *_: calls.append(1))
    found = encoder(x)
    assert len(calls) == 1
    wanted = torch.stack([encoder.encoder(x[name]["x"]) for name in data]).mean(0)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(encoder(x.only("back")), encoder.encoder(x["back"]["x"]))
    spec, view = opened()
    with pytest.raises(OptionError, match="cannot share an encoder"):
        several.make_encoder("shared", spec)(view["x"].only("wave", "image"))


def test_own_modules_are_encoders_of_their_parts() -> None:
    spec, view = opened()

    def flat(size: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(size, 5))

    own = nn.ModuleDict({"image": flat(64), "wave": flat(48), "record": nn.Linear(spec.specs["record"].features, 7)})
    encoder = several.wrap_encoder(own, spec)
    assert isinstance(encoder, Separate)
    assert encoder(view["x"]).shape == (6, 128)
    with pytest.raises(OptionError, match="modules for image, and the parts are image, wave, record"):
        several.wrap_encoder(nn.ModuleDict({"image": flat(64)}), spec)
    with pytest.raises(OptionError, match="attribute dim"):
        several.wrap_encoder(nn.Identity(), spec)


@pytest.mark.parametrize("ragged", [False, True])
def test_tokens_are_those_of_all_parts(ragged: bool) -> None:
    spec, view = opened(ragged)
    torch.manual_seed(0)
    encoder = several.make_encoder("joint", spec, width=16).eval()
    assert isinstance(encoder, Joint)
    assert isinstance(encoder, TokenEncoder)
    tokens = encoder.tokenize(view["x"])
    seats: Any = tokens.structure
    own = {name: tokens_of(encoder.encoders[i], view["x"][name]) for i, name in enumerate(spec.names)}
    assert tokens.x.shape[1] == sum(part.x.shape[1] for part in own.values())
    for b in range(6):
        count = int(tokens.counts()[b])
        assert count == sum(int(part.counts()[b]) for part in own.values())
        for n in range(count):
            number, place = int(seats.part[b, n]), int(seats.place[b, n])
            part = own[spec.names[number]]
            torch.testing.assert_close(tokens.x[b, n, : part.x.shape[2]], part.x[b, place])
            width = part.target.shape[2]
            torch.testing.assert_close(tokens.target[b, n, :width], part.target[b, place])
            assert tokens.known is not None
            assert not tokens.known[b, n, width:].any()
            assert tokens.known[b, n, :width].all() == (part.known is None or bool(part.known[b, place].all()))
            assert tokens.position[b, n, -1] == number / 2
    assert tokens.target.shape[2] == encoder.target_dim == max(part.target.shape[2] for part in own.values())


@pytest.mark.parametrize("ragged", [False, True])
def test_all_tokens_encoded_are_the_embedding(ragged: bool) -> None:
    spec, view = opened(ragged)
    torch.manual_seed(0)
    encoder = several.make_encoder("joint", spec, width=16).eval()
    tokens: Tokens = encoder.tokenize(view["x"])
    found, seats = encoded(encoder, tokens), tokens.structure
    real = torch.arange(tokens.x.shape[1]) < tokens.counts()[:, None]
    means = [torch.stack([found[b][(seats.part[b] == i) & real[b]].mean(0) for b in range(6)]) for i in range(3)]
    torch.testing.assert_close(torch.stack(means).mean(0), encoder(view["x"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ragged", [False, True])
def test_hidden_tokens_tell_nothing(ragged: bool) -> None:
    spec, view = opened(ragged)
    torch.manual_seed(0)
    encoder = several.make_encoder("joint", spec, width=16).eval()
    tokens: Tokens = encoder.tokenize(view["x"])
    generator = torch.Generator().manual_seed(1)
    least = int(tokens.counts().min())
    keep = torch.rand(6, least, generator=generator).argsort(1)[:, : least // 3]  # not in order: it must not matter
    found = encoded(encoder, tokens, keep)
    kept = torch.zeros(tokens.x.shape[:2], dtype=torch.bool).scatter(1, keep, True)
    changed = torch.where(kept[..., None], tokens.x, 100 * torch.randn(tokens.x.shape, generator=generator))
    again = encoder.encode_tokens(changed, keep, structure=tokens.structure)
    torch.testing.assert_close(again, found, rtol=1e-4, atol=1e-5)
    for b in range(6):  # one sample at a time, with no other to take its tokens from
        alone = encoder.tokenize(view["x"].rows(slice(b, b + 1)))
        if not ragged:
            one = encoded(encoder, alone, keep[b : b + 1])
            torch.testing.assert_close(one[0], found[b], rtol=1e-4, atol=1e-5)


def test_padding_changes_nothing() -> None:
    spec, view = opened(ragged=True)
    longer = padded(view, "wave", 9)
    for name in ("separate", "joint"):
        torch.manual_seed(0)
        encoder = several.make_encoder(name, spec, width=16).eval()
        torch.testing.assert_close(encoder(longer["x"]), encoder(view["x"]), rtol=1e-4, atol=1e-5)
    torch.manual_seed(0)
    method = MaskedAutoencoder(several.make_encoder("joint", spec, width=16)).eval()
    losses = []
    for one in (view, longer):
        torch.manual_seed(3)
        losses.append(method({"views": [one], "index": torch.arange(6)})["loss"])
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)


def test_a_part_without_tokens_is_named() -> None:
    spec, _ = opened()
    with pytest.raises(OptionError, match="encoder 'tcn' of part 'wave' has no tokens"):
        several.make_encoder("joint", spec, wave="tcn")


@pytest.mark.parametrize("name", ["separate", "joint"])
def test_gradients_reach_everything(name: str) -> None:
    spec, view = opened(ragged=True)
    encoder = several.make_encoder(name, spec, width=16)
    encoder(view["x"]).square().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in encoder.parameters())


def test_views_of_different_parts_are_encoded_apart_and_those_alike_together() -> None:
    spec, view = opened()
    encoder = several.make_encoder("separate", spec, width=8).eval()
    calls: list[tuple[tuple[str, ...], int]] = []
    encoder.register_forward_pre_hook(lambda _, args: calls.append((args[0].names, len(args[0]))))
    x = view["x"]
    views: list[View] = [{"x": x.only("image")}, {"x": x.only("wave")}, {"x": x.only("image")}, {"x": x}]
    found = Method(encoder).encode(*views)
    assert calls == [(("image",), 12), (("wave",), 6), (("image", "wave", "record"), 6)]
    for one, seen in zip(found, views, strict=True):
        torch.testing.assert_close(one, encoder(seen["x"]))


def test_half_precision_is_near() -> None:
    spec, view = opened(ragged=True)
    for name in ("separate", "joint"):
        torch.manual_seed(0)
        encoder = several.make_encoder(name, spec, width=16).eval()
        method = MaskedAutoencoder(encoder) if name == "joint" else None
        with torch.autocast("cpu", torch.bfloat16):
            half = encoder(view["x"])
            if method is not None:
                assert method({"views": [view], "index": torch.arange(6)})["loss"].isfinite()
        torch.testing.assert_close(half.float(), encoder(view["x"]), rtol=0.1, atol=0.1)
