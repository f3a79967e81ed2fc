"""Methods for time series: two levels, three bases, and the positives that REBAR chooses."""

from __future__ import annotations

import itertools

import pytest
import torch
from small_series import CHANNELS, METHODS, SMALL, SPEC, STEPS, built, loss, waves
from torch.nn import functional as F

from tacit import registry
from tacit.errors import DataError, OptionError
from tacit.modalities import series
from tacit.parts.draws import Draws

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
    assert losses["fourier-wavelet"].item() == pytest.approx(total, rel=1e-4)
    predicted = sum(
        float((method.predictors[n](e["time"]) - e[n]).abs().sum().detach()) / 6  # type: ignore[index]
        for n in ("fourier", "wavelet")
    )
    assert losses["predicted"].item() == pytest.approx(predicted, rel=1e-4)


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
