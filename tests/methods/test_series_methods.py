"""Methods for time series: what they hide, choose and compare."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import tacit
from tacit import registry
from tacit.errors import DataError, OptionError
from tacit.methods.base import Method
from tacit.modalities import series
from tacit.modalities.series.synthetic import motions
from tacit.parts.draws import Draws
from tacit.parts.tokens import encoded, tokens_of

STEPS, CHANNELS = 48, 2
SPEC = series.Spec(CHANNELS, STEPS, True, (0.0,) * CHANNELS, (1.0,) * CHANNELS)
SMALL: dict[str, dict[str, Any]] = {
    "patch": {"patch": 5, "width": 16, "depth": 1, "heads": 2},
    "dual": {"patch": 8, "width": 16, "depth": 1, "heads": 2},
    "three-bases": {"width": 8, "depth": 2, "dim": 12},
    "tcn": {"width": 8, "depth": 2, "dim": 12},
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "sdsc": ("patch", {"out": 8}),
    "timedrl": ("dual", {}),
    "frame-projections": ("three-bases", {"out": 8, "scales": 10, "width": 4}),
    "rebar": (
        "tcn",
        {"length": 8, "candidates": 4, "mask": 3, "retriever_epochs": 2, "retriever_width": 8, "retriever_kernel": 5},
    ),
}
RAGGED = ("sdsc", "timedrl", "rebar")
every_method = pytest.mark.parametrize("name", METHODS)


def waves(count: int = 6, seed: int = 0, ragged: bool = False) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(count, CHANNELS, 2, generator=generator)
    x = torch.sin(6.28 * (torch.arange(STEPS) / (6 + 10 * u[..., :1]) + u[..., 1:]))
    x = x + 0.1 * torch.randn(x.shape, generator=generator)
    if not ragged:
        return {"x": x}
    length = torch.randint(24, STEPS + 1, (count,), generator=generator)
    return {"x": x.masked_fill(torch.arange(STEPS) >= length[:, None, None], 0), "length": length}


def built(name: str, encoder: dict[str, Any] | None = None, **options: Any) -> Method:
    torch.manual_seed(0)
    wanted, more = METHODS[name]
    net = series.make_encoder(wanted, SPEC, **SMALL[wanted] | (encoder or {}))
    method = registry.find(name)(net, **more | options)
    method.sized(6)
    method.eval().begin(lambda: iter([{"views": [waves()], "index": torch.arange(6)}]))
    return method.train()


def loss(method: Method, view: dict[str, Any], seed: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return method({"views": [view], "index": torch.arange(len(view["x"]))})


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


# TimeDRL


def test_two_levels_are_of_patches_and_the_whole() -> None:
    net = series.make_encoder("dual", SPEC, patch=8, stride=4, width=16, depth=1, heads=2).eval()
    x = waves()["x"]
    found = net.levels(x)  # type: ignore[operator]
    assert found.patches.shape == (6, (STEPS + 4 - 8) // 4 + 1, 16)
    torch.testing.assert_close(found.whole, net(x))
    filled = torch.cat((x, x[:, :, -1:].expand(-1, -1, 4)), 2)  # the end is repeated
    for i in (0, 3, 11):
        piece = filled[:, :, 4 * i : 4 * i + 8]
        torch.testing.assert_close(found.given[:, i], piece.flatten(1))
        deviation = x.std(2, correction=0, keepdim=True)
        torch.testing.assert_close(
            found.seen[:, i], ((piece - x.mean(2, keepdim=True)) / deviation).flatten(1), rtol=1e-3, atol=1e-3
        )
    torch.testing.assert_close(net(7 * x + 5), net(x), rtol=1e-3, atol=1e-3)


def test_channels_may_each_be_a_series() -> None:
    net = series.make_encoder("dual", SPEC, patch=8, width=16, depth=1, heads=2, mixing=False).eval()
    view = waves(ragged=True)
    found = net(view["x"], view["length"])
    assert found.shape == (6, CHANNELS * 16) == (6, net.dim)
    other = view["x"].clone()
    other[:, 1] = other[:, 1].flip(0)
    changed = net(other.masked_fill(torch.arange(STEPS) >= view["length"][:, None, None], 0), view["length"])
    torch.testing.assert_close(changed[:, :16], found[:, :16])  # the first channel knows nothing of the second
    method = built("timedrl", {"mixing": False})
    assert torch.isfinite(loss(method, view)["loss"])


def test_series_of_every_length_have_a_patch() -> None:
    net = series.make_encoder("dual", SPEC, patch=8, width=16, depth=1, heads=2).eval()
    x, length = torch.randn(4, CHANNELS, STEPS), torch.tensor([1, 7, 8, 48])
    x = x.masked_fill(torch.arange(STEPS) >= length[:, None, None], 0)
    together = net(x, length)
    for b, n in enumerate(length.tolist()):
        torch.testing.assert_close(net(x[b : b + 1, :, :n]), together[b : b + 1], rtol=1e-3, atol=1e-4)


def test_dropout_alone_tells_the_passes_apart() -> None:
    method, view = built("timedrl"), waves()
    torch.manual_seed(0)
    first, second = method.encoder.levels(torch.cat([view["x"]] * 2)).whole.chunk(2)  # type: ignore[operator]
    assert not torch.allclose(first, second, atol=1e-3)
    method.eval()
    first, second = method.encoder.levels(torch.cat([view["x"]] * 2)).whole.chunk(2)  # type: ignore[operator]
    torch.testing.assert_close(first, second)
    dropped = method.encoder.train().drop(torch.ones(200, 20, 16))  # type: ignore[operator]
    assert float((dropped == 0).double().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)


def test_without_the_stopped_gradient_whole_series_collapse() -> None:
    spreads = {}
    for stopped in (True, False):
        method = built("timedrl", weight=10.0, stop_gradient=stopped)
        optimiser = torch.optim.AdamW(method.parameters(), 3e-3)
        for step in range(150):
            optimiser.zero_grad()
            loss(method, waves(32), step)["loss"].backward()
            optimiser.step()
        z = F.normalize(method.eval().encoder(waves(32)["x"]), dim=1)
        spreads[stopped] = float(z.std(0).mean().detach())
    assert spreads[True] > 0.1 / 16**0.5
    assert spreads[False] < 0.5 * spreads[True]


def test_each_pass_may_see_a_view_of_its_own() -> None:
    method, view = built("timedrl").eval(), waves()
    torch.manual_seed(3)
    same = method({"views": [view, view], "index": torch.arange(6)})["loss"]
    torch.testing.assert_close(same, loss(method, view)["loss"])
    torch.manual_seed(3)
    other = method({"views": [view, {"x": -view["x"]}], "index": torch.arange(6)})["loss"]
    assert not torch.allclose(other, same, rtol=1e-3)


# Frame projections


def test_frame_projections_compares_every_pair_of_bases() -> None:
    pairs = {"both": 3, "fourier": 1, "wavelet": 1}
    for bases, count in pairs.items():
        method = built("frame-projections", {"bases": bases})
        losses = loss(method, waves())
        assert len(losses) == count + 3  # predicted, mapped and the sum
        assert method.encoder(waves()["x"]).shape == (6, 36 if bases == "both" else 24)
    names = ["time", "fourier", "wavelet"]
    assert set(loss(built("frame-projections"), waves())) == {
        *(f"{a}-{b}" for a, b in itertools.combinations(names, 2)), "predicted", "mapped", "loss",
    }  # fmt: skip


def test_frame_projections_is_the_sum_of_the_definition() -> None:
    method, view = built("frame-projections").eval(), waves()
    losses = loss(method, view)
    h = {"time": method.encoder.time(view["x"])}  # type: ignore[operator]
    h |= {name: net(view["x"]) for name, net in method.others.items()}  # type: ignore[union-attr, operator]
    e = {name: F.normalize(method.projectors[name](v), dim=1) for name, v in h.items()}  # type: ignore[index]
    both = torch.cat((e["fourier"], e["wavelet"]))
    total = 0.0
    for i in range(12):
        near = [float((both[i] @ both[j] / 0.15).exp().detach()) for j in range(12)]
        total -= torch.tensor(near[(i + 6) % 12] / (sum(near) - near[i])).log().item() / 12
    assert float(losses["fourier-wavelet"]) == pytest.approx(total, rel=1e-4)
    predicted = sum(
        float((method.predictors[n](e["time"]) - e[n]).abs().sum().detach()) / 6  # type: ignore[index]
        for n in ("fourier", "wavelet")
    )
    assert float(losses["predicted"]) == pytest.approx(predicted, rel=1e-4)


def test_mappers_learn_beside_the_encoders_and_never_move_them() -> None:
    method = built("frame-projections")
    losses = loss(method, waves())
    losses["mapped"].backward()
    touched = {name.split(".")[1] for name, p in method.named_parameters() if p.grad is not None}
    assert touched == {"mappers"}
    method = built("frame-projections")
    found = loss(method, waves())
    (found["loss"] - found["mapped"]).backward()
    assert all(p.grad is None or not p.grad.any() for p in method.encoder.mappers.parameters())  # type: ignore[union-attr]


def test_frame_projections_refuses_other_lengths() -> None:
    method = built("frame-projections")
    with pytest.raises(OptionError, match="built for series of 48 steps, and these have 40"):
        loss(method, {"x": waves()["x"][..., :40]})
    with pytest.raises(OptionError, match="one shape"):
        loss(method, waves(ragged=True))
    short = series.Spec(1, 12, False, (0.0,), (1.0,))
    with pytest.raises(OptionError, match="at least 16 steps"):
        registry.find("frame-projections")(series.make_encoder("three-bases", short))


# REBAR


def regimes(count: int, seed: int) -> torch.Tensor:
    """Recordings whose halves swing in two ways, in random order."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(STEPS)
    phase = torch.rand(count, 1, 1, generator=generator)
    one, two = torch.sin(6.28 * (time / 4 + phase)), torch.sign(torch.sin(6.28 * (time / 12 + phase)))
    first = (time < STEPS // 2) ^ (torch.rand(count, 1, 1, generator=generator) < 0.5)
    return torch.where(first, one, two).expand(-1, CHANNELS, -1)


def test_rebar_learns_to_retrieve_before_the_training() -> None:
    torch.manual_seed(0)
    x = regimes(60, 0)
    options = METHODS["rebar"][1] | {"retriever_epochs": 40, "retriever_width": 32, "retriever_lr": 3e-3}
    errors = {}
    for epochs in (1, 40):
        torch.manual_seed(0)
        method = registry.find("rebar")(
            series.make_encoder("tcn", SPEC, **SMALL["tcn"]), **options | {"retriever_epochs": epochs}
        )
        method.eval().begin(lambda: iter([{"views": [{"x": x}], "index": torch.arange(60)}]))
        assert not any(p.requires_grad for p in method.retriever.parameters())
        assert not method.train().retriever.training
        stretch = regimes(60, 1)[..., :8]
        hidden = torch.zeros(60, 8, dtype=torch.bool)
        hidden[:, 3:6] = True
        errors[epochs] = float(method.retriever.distance(stretch, stretch, hidden).mean())
    assert errors[40] < 0.6 * errors[1]


def test_rebar_takes_the_candidate_that_it_is_best_restored_from() -> None:
    method, view = built("rebar"), waves(ragged=True)
    anchor, others, positive, distance = method.chosen(view, Draws.seeded(2))  # type: ignore[operator]
    assert anchor.shape == (6, CHANNELS, 8)
    assert others.shape == (6, 4, CHANNELS, 8)
    assert positive.tolist() == [row.index(min(row)) for row in distance.tolist()]
    # the same place in all recordings, as a share of what is left
    for b in range(6):
        line = view["x"][b]
        starts = [s for s in range(int(view["length"][b]) - 7) if torch.equal(line[:, s : s + 8], anchor[b])]
        assert len(starts) == 1
    # slow: each candidate by itself with the mask that it had
    draws = Draws.seeded(4)
    hidden = draws.uniform(6, 4, 8) < 0.5
    found = method.distances(anchor, others, Draws.seeded(4))  # type: ignore[operator]
    for b, m in ((0, 0), (3, 2), (5, 3)):
        restored = method.retriever(anchor[b : b + 1], others[b, m][None], hidden[b, m][None])  # type: ignore[operator]
        wanted = ((restored - anchor[b]) * hidden[b, m]).square().sum()
        torch.testing.assert_close(found[b, m], wanted.detach(), rtol=1e-3, atol=1e-4)


def test_rebar_ends_as_its_moving_average() -> None:
    for average in (True, False):
        method = built("rebar", average=average)
        with torch.no_grad():
            for p in method.encoder.parameters():
                p += 1
        moved = [p.clone() for p in method.encoder.parameters()]
        method.after_step(0.5)
        assert all(torch.equal(a, b) for a, b in zip(moved, method.encoder.parameters(), strict=True))
        method.after_step(1.0)
        back = [float((a - b).detach().abs().max()) for a, b in zip(moved, method.encoder.parameters(), strict=True)]
        assert all(b == pytest.approx(0.99**2, abs=1e-3) for b in back) if average else not any(back)


def test_rebar_needs_long_recordings_and_channels() -> None:
    with pytest.raises(DataError, match="at least 24 steps for stretches of 8, and one has 20"):
        loss(built("rebar"), {"x": waves()["x"][..., :20]})
    net = torch.nn.Linear(3, 3)
    net.dim = 3  # type: ignore[assignment]
    with pytest.raises(OptionError, match="channels"):
        registry.find("rebar")(net)
