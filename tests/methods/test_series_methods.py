"""Methods for time series: what all of them promise, and what SDSC restores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_series import CHANNELS, METHODS, RAGGED, SMALL, SPEC, STEPS, built, loss, waves
from torch.nn import functional as F

import tacit
from tacit import registry
from tacit.errors import OptionError
from tacit.modalities import series
from tacit.modalities.series.synthetic import motions
from tacit.parts.draws import Draws
from tacit.parts.tokens import encoded, tokens_of

every_method = pytest.mark.parametrize("name", METHODS)


@every_method
def test_it_reaches_every_parameter(name: str) -> None:
    views = [waves(), waves(2)] + [waves(ragged=True)] * (name in RAGGED)
    for view in views:
        method = built(name)
        losses = loss(method, view)
        losses["loss"].backward()
        assert torch.isfinite(losses["loss"])
        for parameter, value in method.named_parameters():
            if not value.requires_grad:
                continue
            assert value.grad is not None, parameter
            assert torch.isfinite(value.grad).all()
            assert len(view["x"]) == 2 or bool(value.grad.any()), parameter
        parts = [v for k, v in losses.items() if k != "loss"]
        assert torch.allclose(torch.stack(parts).sum(), losses["loss"])


@pytest.mark.parametrize("name", RAGGED)
def test_more_padding_changes_nothing(name: str) -> None:
    method, view = built(name).eval(), waves(ragged=True)
    longer = view | {"x": F.pad(view["x"], (0, 13))}
    assert torch.allclose(loss(method, view)["loss"], loss(method, longer)["loss"], rtol=1e-4)
    if name == "timedrl":  # dropout too falls on the same numbers
        method.train()
        assert torch.allclose(loss(method, view)["loss"], loss(method, longer)["loss"], rtol=1e-4)


@every_method
def test_bf16_is_close(name: str) -> None:
    method = built(name)
    exact = loss(method, waves())["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss(method, waves())["loss"]
    assert rounded.dtype == torch.float32
    assert float((abs(rounded - exact) / abs(exact)).detach()) < 0.1


@every_method
def test_constant_series_give_finite_gradients(name: str) -> None:
    method = built(name)
    for level in (0.0, 3.0):
        loss(method, {"x": torch.full((4, CHANNELS, STEPS), level)})["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


@every_method
def test_it_learns_and_saves_all_that_it_needs(name: str) -> None:
    method, view = built(name), waves()
    first = float(loss(method, view)["loss"].detach())
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], 3e-3)
    for step in range(30):
        optimiser.zero_grad()
        loss(method, view)["loss"].backward()
        optimiser.step()
        method.after_step(step / 40)
    last = loss(method, view)["loss"].detach()
    assert float(last) < 0.97 * first
    torch.manual_seed(9)
    wanted, more = METHODS[name]
    other = registry.find(name)(series.make_encoder(wanted, SPEC, **SMALL[wanted]), **more)
    other.load_state_dict(method.state_dict())
    assert torch.allclose(loss(other.train(), view)["loss"], last)


@every_method
def test_it_runs_from_data_to_embeddings(name: str, tmp_path: Path) -> None:
    x, y = motions(40, 0, length=STEPS, channels=CHANNELS, classes=2)
    wanted, more = METHODS[name]
    options = {f"encoder.{k}": v for k, v in SMALL[wanted].items()} | {f"method.{k}": v for k, v in more.items()}
    run = tacit.pretrain(
        (x, y), name, steps=3, batch_size=8, modality="series", out=tmp_path / "run", quiet=True, options=options
    )
    assert run.config["encoder"]["name"] == {"rebar": "tcn"}.get(name, wanted)
    assert run.embed(x).shape == (40, run.encoder.dim)
    run.report()


@pytest.mark.parametrize(
    ("name", "encoder", "options", "why"),
    [
        ("sdsc", {}, {"copies": 0}, "copies"),
        ("timedrl", {"dropout": 0.0}, {}, "both passes are the same"),
        ("timedrl", {}, {"weight": -1.0}, "weight"),
        ("timedrl", {"patch": 49}, {}, "longer than the longest"),
        ("timedrl", {"stride": 9}, {}, "stride"),
        ("frame-projections", {}, {"out": 7}, "out must be even"),
        ("frame-projections", {}, {"scales": 1}, "scales"),
        ("frame-projections", {"dim": 9}, {}, "dim must be an even"),
        ("rebar", {}, {"candidates": 1}, "candidates"),
        ("rebar", {}, {"mask": 8}, "mask"),
        ("rebar", {}, {"retriever_kernel": 4}, "odd"),
        ("rebar", {}, {"retriever_epochs": 0}, "retriever_epochs"),
    ],
)
def test_impossible_values_are_refused(name: str, encoder: dict[str, Any], options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        built(name, encoder, **options)


@pytest.mark.parametrize(("name", "wanted"), [("sdsc", "patch"), ("timedrl", "dual"), ("frame-projections", "three")])
def test_another_encoder_is_refused(name: str, wanted: str) -> None:
    with pytest.raises(OptionError, match=f"say --encoder {wanted}"):
        registry.find(name)(series.make_encoder("tcn", SPEC))


# SDSC


def test_sdsc_restores_a_series_from_all_others_but_itself() -> None:
    method, view = built("sdsc", copies=2).eval(), waves(4)
    z, target, restored, known = method.restored(view, Draws.seeded(1))  # type: ignore[operator]
    assert known is None
    assert z.shape == (3, 4, 8)
    torch.testing.assert_close(target.mean(2), torch.zeros(4, CHANNELS), atol=1e-5, rtol=0)
    torch.testing.assert_close(target.square().mean(2), torch.ones(4, CHANNELS), atol=1e-3, rtol=0)
    # a slow one: masks again from the same draws, one sample at a time
    from tacit.parts.spans import geometric_spans

    draws = Draws.seeded(1)
    masks = [geometric_spans(4, CHANNELS, STEPS, 0.5, 3.0, draws) for _ in range(2)]
    everything = torch.cat([view["x"], *(view["x"] * ~mask for mask in masks)])
    tokens = encoded(method.encoder, tokens_of(method.encoder, {"x": everything}))
    rows = F.normalize(method.projector(tokens.mean(1)), dim=1)  # type: ignore[misc]
    for i in range(4):
        weight = torch.tensor([0.0 if j == i else float((rows[i] @ rows[j] / 0.2).exp().detach()) for j in range(12)])
        mixed = sum(w * t for w, t in zip(weight / weight.sum(), tokens, strict=True))
        patches = method.decoder(mixed)  # type: ignore[operator]  # [10, 2 * 5], the last patch filled up
        line = torch.stack([patches[:, c * 5 : c * 5 + 5].flatten()[:STEPS] for c in range(CHANNELS)])
        torch.testing.assert_close(restored[i], line, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("distance", ["hybrid", "sdsc", "mse", "mae", "pearson"])
def test_sdsc_has_other_distances_beside_the_contrast(distance: str) -> None:
    names = {"hybrid": {"mse", "sdsc"}}.get(distance, {distance})
    plain = loss(built("sdsc", distance=distance, weighted=False), waves(ragged=True))
    assert set(plain) == {"loss", "contrast"} | names
    # with learned weights of one: half of each, and log 2
    weighted = loss(built("sdsc", distance=distance), waves(ragged=True))
    for name in {"contrast"} | names:
        torch.testing.assert_close(weighted[name], 0.5 * plain[name] + torch.tensor(2.0).log())
