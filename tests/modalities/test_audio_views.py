"""Views of sound, against plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.modalities import audio, open_source
from tacit.modalities.audio import changes
from tacit.parts.draws import Draws

LENGTH = torch.tensor([900, 1400, 700])


def view(ragged: bool = True) -> dict[str, torch.Tensor]:
    x = torch.randn(3, 2, 1400, generator=torch.Generator().manual_seed(0))
    if not ragged:
        return {"x": x}
    return {"x": x.masked_fill(torch.arange(1400) >= LENGTH[:, None, None], 0), "length": LENGTH}


ALL = (
    changes.Crop(),
    changes.Gain(),
    changes.Noise(),
    changes.Equalise(),
    changes.BandMask(),
    changes.TimeMask(),
)


@pytest.mark.parametrize("change", ALL, ids=lambda c: c.name())
@pytest.mark.parametrize("ragged", [True, False])
def test_a_change_repeats_and_leaves_its_input_and_padding_alone(change: changes.Change, ragged: bool) -> None:
    before = view(ragged)
    kept = before["x"].clone()
    one, two = (change(before, Draws.seeded(3)) for _ in range(2))
    assert torch.equal(one["x"], two["x"])
    assert torch.equal(before["x"], kept)
    assert one["x"].shape != kept.shape or not torch.equal(one["x"], kept)
    other = change(before, Draws.seeded(4))
    assert one["x"].shape != other["x"].shape or not torch.equal(one["x"], other["x"])
    if "length" in one:
        beyond = torch.arange(one["x"].shape[2]) >= one["length"][:, None, None]
        assert not one["x"].masked_select(beyond).any()


def test_crop_is_a_stretch_of_the_recording() -> None:
    before = view()
    after = changes.Crop((0.3, 0.6))(before, Draws.seeded(1))
    for i in range(3):
        size, start = int(after["length"][i]), int(after["start"][i])
        assert 0.3 * int(LENGTH[i]) - 1 <= size <= 0.6 * int(LENGTH[i]) + 1
        assert start + size <= int(LENGTH[i])
        assert torch.equal(after["x"][i, :, :size], before["x"][i, :, start : start + size])


def test_gain_is_one_factor_a_recording() -> None:
    before = view()
    after = changes.Gain(decibels=6)(before, Draws.seeded(1))
    ratio = after["x"] / before["x"]
    for i in range(3):
        real = ratio[i, :, : int(LENGTH[i])]
        assert torch.allclose(real, real[0, 0].expand_as(real))
    many = changes.Gain(decibels=6)({"x": torch.ones(20_000, 1, 1)}, Draws.seeded(2))["x"]
    assert float(20 * many.log10().std()) == pytest.approx(6, rel=0.03)


def test_noise_has_the_asked_ratio_and_is_white() -> None:
    before = {"x": torch.randn(8, 1, 50_000, generator=torch.Generator().manual_seed(1))}
    noise = (changes.Noise((10.0, 10.0))(before, Draws.seeded(1))["x"] - before["x"])[:, 0].double()
    ratio = before["x"][:, 0].double().square().mean(1) / noise.square().mean(1)
    assert torch.allclose(10 * ratio.log10(), torch.tensor(10.0, dtype=torch.float64), atol=0.15)
    for lag in (1, 2, 17):
        alike = (noise[:, lag:] * noise[:, :-lag]).mean(1) / noise.square().mean(1)
        assert float(alike.abs().max()) < 0.02
    normed = noise / noise.std(1, keepdim=True)
    assert float((normed**4).mean()) == pytest.approx(3, abs=0.1)
    across = (normed[0] * normed[1]).mean()
    assert float(across.abs()) < 0.02


@pytest.mark.parametrize("ragged", [True, False])
def test_filtered_is_the_convolution_with_a_symmetric_filter(ragged: bool) -> None:
    x = view(ragged)["x"]
    response = torch.rand(3, changes.TAPS // 2 + 1, generator=torch.Generator().manual_seed(2))
    found = changes.filtered(x, response)
    impulse = torch.zeros(3, 1, 301)
    impulse[:, :, 150] = 1
    taps = changes.filtered(impulse, response)[:, 0]
    assert torch.allclose(taps, taps.flip(1), atol=1e-6)
    for i in range(3):
        for channel in range(2):
            wanted = np.convolve(x[i, channel].numpy(), taps[i].numpy(), mode="full")[150 : 150 + x.shape[2]]
            assert np.allclose(found[i, channel].numpy(), wanted, atol=1e-4)
    flat = changes.filtered(x, torch.ones_like(response))
    assert torch.allclose(flat, x, atol=1e-5)


@pytest.mark.parametrize("length", [1, 895, 896, 897, 1793, 4000])
def test_blocks_of_a_filter_join_without_a_seam(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    x = torch.randn(2, 1, length, generator=generator)
    response = torch.rand(2, changes.TAPS // 2 + 1, generator=generator)
    impulse = torch.zeros(2, 1, 301)
    impulse[:, :, 150] = 1
    taps, found = changes.filtered(impulse, response)[:, 0].numpy(), changes.filtered(x, response)
    assert found.shape == x.shape
    for i in range(2):
        wanted = np.convolve(x[i, 0].numpy().astype(np.float64), taps[i])[150 : 150 + length]
        assert np.allclose(found[i, 0].numpy(), wanted, atol=1e-5)


def test_a_masked_band_is_gone_and_the_rest_stays() -> None:
    time = torch.arange(4000) / 8000
    low, high = torch.sin(2 * math.pi * 1000 * time), torch.sin(2 * math.pi * 3000 * time)
    response = (torch.linspace(0, 4000, changes.TAPS // 2 + 1) < 2000).float()[None]
    found = changes.filtered((low + high)[None, None], response)[0, 0]
    assert float((found - low)[200:-200].abs().max()) < 0.02


def test_time_mask_silences_one_stretch_of_the_asked_size() -> None:
    before = {"x": torch.ones(200, 1, 1000)}
    silent = changes.TimeMask((0.1, 0.3))(before, Draws.seeded(1))["x"][:, 0] == 0
    share = silent.double().mean(1)
    assert float(share.min()) > 0.098
    assert float(share.max()) < 0.302
    assert int((silent[:, 1:] & ~silent[:, :-1]).sum(1).max()) <= 1


def test_neighbours_follow_each_other() -> None:
    items = [np.arange(1, size + 1, dtype=np.float64) for size in (100, 60)]
    source = open_source(items, "audio", rate=1000)
    spec = audio.spec_of(source)
    one, two = audio.make_views("neighbours", spec, share=0.3)(source.batch(torch.arange(2)), Draws.seeded(0))
    for i, size in enumerate((30, 18)):
        assert one["length"][i] == two["length"][i] == size
        values = [part["x"][i, 0, :size] * spec.scale for part in (one, two)]
        assert torch.allclose(torch.cat(values).diff(), torch.ones(2 * size - 1), atol=1e-3)


def test_the_evaluation_view_is_the_whole_recording_at_unit_power() -> None:
    items = [np.random.default_rng(i).normal(0, 3.0, 4000 + i) for i in range(8)]
    source = open_source(items, "audio", rate=8000)
    (seen,) = audio.evaluation_view(audio.spec_of(source))(source.batch(torch.arange(8)))
    power = seen["x"].double().square().sum() / seen["length"].sum()
    assert float(power) == pytest.approx(1, rel=1e-5)
    assert torch.allclose(seen["x"][0, 0, :4000] * 3.0, torch.from_numpy(items[0]).float(), rtol=0.03, atol=1e-3)


def test_raw_is_the_mean_log_power_of_bands_in_sixteen_parts() -> None:
    noise = torch.randn(2, 1, 12_800, generator=torch.Generator().manual_seed(0))
    noise *= torch.linspace(0.1, 2, 12_800)
    found = audio.raw({"x": noise})
    assert found.shape == (2, 512)
    torch.testing.assert_close(
        audio.raw({"x": 2 * noise}) - found, torch.full((2, 512), math.log(4)), atol=2e-3, rtol=0
    )
    power = noise.square().unflatten(2, (16, 800)).mean(3)[:, 0].log()
    along = found.unflatten(1, (32, 16)).mean(1)
    assert float((along - along.mean(1, keepdim=True) - power + power.mean(1, keepdim=True)).abs().max()) < 0.5
    longer = torch.nn.functional.pad(noise, (0, 900))
    torch.testing.assert_close(audio.raw({"x": longer, "length": torch.tensor([12_800] * 2)}), found)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: changes.Crop((0.0, 1.0)), "crop.share"),
        (lambda: changes.Crop(p=0.5), "p is 0 or 1"),
        (lambda: changes.Gain(-1.0), "gain.decibels"),
        (lambda: changes.Noise((20.0, 10.0)), "noise.decibels"),
        (lambda: changes.Equalise(bands=1), "equalise.bands"),
        (lambda: changes.BandMask((0.5, 1.5)), "band-mask.share"),
        (lambda: changes.TimeMask((0.5, 0.2)), "time-mask.share"),
    ],
)
def test_impossible_values_are_named(make: object, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        make()  # type: ignore[operator]
