"""Methods for sound: what they hide, alter and ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tacit
from tacit import registry
from tacit.errors import OptionError, RunError
from tacit.methods.base import Method
from tacit.modalities import audio
from tacit.parts.draws import Draws
from tacit.parts.tokens import encoded, tokens_of
from tacit.parts.transformer import Pieces

SPEC = audio.Spec(8000, 1, 4000, True, 1.0, -3.0, 2.0)
METHODS = {"ssast": "spectrogram", "tera": "frames", "hubert": "waveform"}
SMALL: dict[str, Any] = {"width": 16, "depth": 2, "heads": 2}
every_method = pytest.mark.parametrize("name", METHODS)


def sound(count: int = 6, seed: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    length = torch.randint(1600, 4001, (count,), generator=generator)
    x = torch.randn(count, 1, 4000, generator=generator)
    return {"x": x.masked_fill(torch.arange(4000) >= length[:, None, None], 0), "length": length}


def built(name: str, **options: Any) -> Method:
    torch.manual_seed(0)
    options = {"clusters": 5, "out": 8} | options if name == "hubert" else options
    method = registry.find(name)(audio.make_encoder(METHODS[name], SPEC, **SMALL), **options)
    method.sized(6)
    method.begin(lambda: iter([{"views": [sound()], "index": torch.arange(6)}]))
    return method


def loss(method: Method, view: dict[str, Any], seed: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return method({"views": [view], "index": torch.arange(len(view["x"]))})


@every_method
def test_it_reaches_every_parameter_with_and_without_padding(name: str) -> None:
    for view in (sound(), {"x": sound()["x"]}, sound(2)):
        method = built(name)
        losses = loss(method, view)
        losses["loss"].backward()
        assert torch.isfinite(losses["loss"])
        for parameter, value in method.named_parameters():
            assert value.grad is not None, parameter
            assert torch.isfinite(value.grad).all()
            assert bool(value.grad.any()), parameter
        parts = [v for k, v in losses.items() if k != "loss"]
        assert not parts or torch.allclose(sum(parts), losses["loss"])  # type: ignore[arg-type]


@every_method
def test_more_padding_changes_nothing(name: str) -> None:
    method = built(name).eval()
    view = sound()
    longer = view | {"x": torch.nn.functional.pad(view["x"], (0, 777))}
    assert torch.allclose(loss(method, view)["loss"], loss(method, longer)["loss"], rtol=1e-4)


@every_method
def test_bf16_is_close(name: str) -> None:
    method = built(name)
    exact = loss(method, sound())["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss(method, sound())["loss"]
    assert rounded.dtype == torch.float32
    assert float((abs(rounded - exact) / exact).detach()) < 0.05


@every_method
def test_silence_gives_finite_gradients(name: str) -> None:
    method = built(name)
    loss(method, {"x": torch.zeros(3, 1, 3000)})["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


@every_method
def test_it_learns_and_saves_all_that_it_needs(name: str) -> None:
    method, view = built(name), sound()
    first = float(loss(method, view)["loss"].detach())
    optimiser = torch.optim.AdamW(method.parameters(), 3e-3)
    for _ in range(25):
        optimiser.zero_grad()
        loss(method, view)["loss"].backward()
        optimiser.step()
    last = loss(method, view)["loss"].detach()
    assert float(last) < 0.97 * first
    torch.manual_seed(9)
    options = {"clusters": 5, "out": 8} if name == "hubert" else {}
    other = registry.find(name)(audio.make_encoder(METHODS[name], SPEC, **SMALL), **options)
    other.sized(6)
    other.load_state_dict(method.state_dict())
    assert torch.equal(loss(other, view)["loss"], last)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("ssast", {"share": 1.0}, "share"),
        ("ssast", {"cluster": (5, 3)}, "cluster"),
        ("ssast", {"weight": 0.0, "matching": False}, "weight"),
        ("ssast", {"passes": 3}, "passes"),
        ("tera", {"time": 1.0}, "shares"),
        ("tera", {"frequency": 0.01}, "no band"),
        ("tera", {"block": 0}, "block"),
        ("hubert", {"clusters": 1}, "clusters"),
        ("hubert", {"layer": 3}, "layer must be from 1 to 2"),
        ("hubert", {"share": 0.0}, "share"),
        ("hubert", {"clusters": 500}, "500 clusters need as many frames"),
    ],
)
def test_impossible_values_are_refused(name: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        built(name, **options)


@every_method
def test_another_encoder_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=f"say --encoder {METHODS[name]}"):
        registry.find(name)(audio.make_encoder("mel", SPEC))


# SSAST


@pytest.mark.parametrize("mask", ["clusters", "tokens"])
def test_ssast_hides_content_and_keeps_places(mask: str) -> None:
    method, view = built("ssast", mask=mask), sound()
    tokens, places, real, _ = method.hidden_pass(view, Draws.seeded(1))  # type: ignore[operator]
    counts = tokens.counts()
    assert real.sum(1).tolist() == [round(0.78 * int(n)) for n in counts]
    plain = tokens_of(method.encoder, view)
    hidden = torch.zeros(plain.x.shape[:2], dtype=torch.bool)
    for b in range(len(counts)):
        hidden[b, places[b][real[b]]] = True
    assert torch.allclose(tokens.x[~hidden], plain.x[~hidden])
    code = plain.x - method.encoder.embed(method.encoder.cut(view["x"], view["length"]))  # type: ignore[operator]
    assert torch.allclose(tokens.x[hidden], (method.mask_token + code)[hidden], atol=1e-5)


def test_ssast_has_either_loss_alone_and_two_passes() -> None:
    assert set(loss(built("ssast", matching=False), sound())) == {"loss", "restoring"}
    assert set(loss(built("ssast", weight=0.0), sound())) == {"loss", "matching"}
    one, two = (loss(built("ssast", passes=passes), sound()) for passes in (1, 2))
    assert torch.allclose(one["matching"], two["matching"])
    assert not torch.allclose(one["restoring"], two["restoring"], rtol=1e-6)


# TERA


def altered(count: int, frames: int = 100, numbers: int = 40, **options: Any) -> tuple[torch.Tensor, ...]:
    method = built("tera", **options)
    x = 10 + torch.randn(count, frames, numbers, generator=torch.Generator().manual_seed(1))
    made, chosen = method.altered(Pieces(x, torch.zeros(frames, 1)), Draws.seeded(2))  # type: ignore[operator]
    return x, made, chosen


def test_tera_alters_time_as_often_and_as_much_as_it_says() -> None:
    x, made, chosen = altered(2000, frequency=0.0, magnitude=0.0)
    inside = chosen[:, :, 0]
    assert torch.equal(chosen, inside[..., None].expand_as(chosen))
    # two blocks of 7 of 100 frames, which overlap now and then
    assert float(inside.double().mean()) == pytest.approx(0.14, abs=0.01)
    assert torch.equal(made[~chosen], x[~chosen])
    kinds = {"zero": 0, "same": 0, "swap": 0}
    for b in range(2000):
        new, old = made[b][inside[b]], x[b][inside[b]]
        if not new.any():
            kinds["zero"] += 1
        elif torch.equal(new, old):
            kinds["same"] += 1
        else:
            kinds["swap"] += 1
            known = {tuple(row) for row in x[b].tolist()}
            assert all(tuple(row) in known for row in new.tolist())
    assert kinds["zero"] / 2000 == pytest.approx(0.8, abs=0.03)
    assert kinds["swap"] / 2000 == pytest.approx(0.1, abs=0.025)
    assert kinds["same"] / 2000 == pytest.approx(0.1, abs=0.025)


def test_tera_blanks_a_band_of_uniform_width_in_all_frames() -> None:
    _, made, chosen = altered(4000, frames=3, time=0.0, magnitude=0.0)
    assert torch.equal(made == 0, chosen)
    assert torch.equal(chosen[:, 0], chosen[:, 2])
    width = chosen[:, 0].sum(1)
    share = torch.bincount(width, minlength=9).double() / 4000
    assert len(share) == 9
    assert torch.allclose(share, torch.full((9,), 1 / 9, dtype=torch.float64), atol=0.02)
    edges = chosen[:, 0, 1:] & ~chosen[:, 0, :-1]
    assert int((edges.sum(1) + chosen[:, 0, 0]).max()) == 1


def test_tera_with_noise_alone_asks_for_everything() -> None:
    x, made, chosen = altered(50, time=0.0, frequency=0.0, magnitude=1.0, deviation=0.2)
    assert chosen.all()
    noise = (made - x).double()
    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.005)
    assert torch.equal(*altered(50, time=0.0, frequency=0.0, magnitude=0.0)[:2])


def test_tera_always_alters_something_of_a_short_recording() -> None:
    _, _, chosen = altered(20, frames=5, frequency=0.0)
    assert chosen.any(2).any(1).all()


# HuBERT


def test_hubert_labels_are_the_nearest_centres_of_cepstra() -> None:
    method, view = built("hubert"), sound()
    labels = method.labels(view)  # type: ignore[operator]
    cepstra = method.encoder.surface(view["x"], view["length"])  # type: ignore[operator]
    for b in (0, 3):
        for t in (0, 4):
            distance = [(cepstra[b, t] - centre).square().sum() for centre in method.centres]
            assert int(labels[b, t]) == int(np.argmin(distance))
    # k-means: each centre is the mean of what lies nearest to it
    _, valid = method.features(view)  # type: ignore[operator]
    counts = valid.sum(1).tolist()
    assert counts == [-(-int(n) // 160) for n in view["length"]]


def test_hubert_hides_spans_and_never_everything() -> None:
    method = built("hubert", span=10)
    torch.manual_seed(0)
    counts = torch.randint(2, 60, (500,))
    valid = torch.arange(60) < counts[:, None]
    hidden = method.hide(valid, torch.zeros(500, 60, 4))  # type: ignore[operator]
    assert not (hidden & ~valid).any()
    assert (hidden.sum(1) >= 1).all()
    assert (hidden.sum(1) < counts).all()
    long = hidden[counts > 40].double().sum() / counts[counts > 40].sum()
    assert 0.45 < float(long) < 0.7  # 0.8 of the tokens in spans that overlap: about 1 - e^-0.8


def test_hubert_hidden_tokens_do_not_see_their_own_sound() -> None:
    method, view = built("hubert").eval(), {"x": sound()["x"]}
    taken: list[torch.Tensor] = []
    method.project.register_forward_hook(lambda m, a, out: taken.append(out))  # type: ignore[union-attr, operator]
    everything = torch.ones(6, 25, dtype=torch.bool)
    method.hide = lambda valid, embedded: everything  # type: ignore[method-assign, assignment]
    loss(method, view)
    loss(method, {"x": torch.randn(6, 1, 4000)})
    assert torch.allclose(taken[0], taken[1], atol=1e-6)


def test_hubert_goes_on_from_the_states_of_an_earlier_run(tmp_path: Path) -> None:
    from tacit.modalities.audio.synthetic import sample

    data = sample(24)
    options = {"encoder.width": 16, "encoder.depth": 2, "encoder.heads": 2, "encoder.filters": 8, "method.clusters": 6}
    common: dict[str, Any] = {"steps": 2, "batch_size": 8, "quiet": True, "modality": "audio"}
    first = tacit.pretrain(data, "hubert", out=tmp_path / "one", options=options, **common)
    assert first.config["encoder"]["name"] == "waveform"
    again = options | {"method.start": str(tmp_path / "one"), "method.layer": 1}
    second = tacit.pretrain(data, "hubert", out=tmp_path / "two", options=again, **common)
    (view,) = second.evaluation_view()(second.open(data).batch(torch.arange(4)))
    found, valid = second.method.features(view)  # type: ignore[operator]
    tokens = tokens_of(first.encoder, view)
    layer = first.encoder.transformer.layers[0]  # type: ignore[union-attr, index]
    wanted = layer(tokens.x, src_key_padding_mask=None if tokens.valid is None else ~tokens.valid)
    assert torch.allclose(found[valid], wanted[valid], atol=1e-5)
    assert not torch.allclose(encoded(second.encoder, tokens), encoded(first.encoder, tokens), atol=1e-3)
    with pytest.raises(RunError, match="folder of a finished run"):
        tacit.pretrain(data, "hubert", out=tmp_path / "c", options=options | {"method.start": "nowhere"}, **common)
    with pytest.raises(RunError, match="another encoder"):
        tacit.pretrain(
            data, "hubert", out=tmp_path / "d", options=again | {"encoder.width": 32, "method.layer": 1}, **common
        )
