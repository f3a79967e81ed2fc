"""Transformations of time series against plain loops, and what they leave alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.modalities import open_source, series
from tacit.modalities.series import changes
from tacit.modalities.series.synthetic import motions
from tacit.parts.draws import Draws

CHANGES = [
    changes.Jitter(),
    changes.Scaling(),
    changes.MagnitudeWarp(),
    changes.Crop(),
    changes.TimeMask(),
    changes.ChannelDrop(share=0.5),
    changes.Permutation(),
    changes.FrequencyMask(),
]
each = pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.name())


def padded(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, length = torch.randn(6, 3, 40, generator=generator), torch.tensor([40, 8, 23, 1, 2, 39])
    return {"x": x.masked_fill(torch.arange(40) >= length[:, None, None], 0), "length": length}


@each
def test_padding_stays_zero_and_changes_nothing(change: changes.Change) -> None:
    view = padded()
    made = change(view, Draws.seeded(1))
    beyond = torch.arange(40) >= view["length"][:, None, None]
    assert not made["x"].masked_select(beyond.expand_as(made["x"])).any()
    assert made["x"].isfinite().all()
    assert torch.equal(made["length"], view["length"])
    longer = change(view | {"x": torch.nn.functional.pad(view["x"], (0, 17))}, Draws.seeded(1))
    torch.testing.assert_close(longer["x"][..., :40], made["x"], rtol=1e-4, atol=1e-5)


@each
def test_samples_are_changed_each_in_its_own_way(change: changes.Change) -> None:
    view = {"x": torch.randn(1, 3, 64).expand(50, -1, -1).contiguous()}
    before = view["x"].clone()
    made = change(view, Draws.seeded(2))["x"]
    assert torch.equal(view["x"], before)
    assert len({tuple(row.flatten().tolist()) for row in made}) > 3
    assert torch.equal(made, change(view, Draws.seeded(2))["x"])


def test_values_between_steps_are_interpolated() -> None:
    x, at = torch.randn(4, 2, 9), torch.rand(4, 30) * 8
    found = changes.look_up(x, at)
    for b in range(4):
        for c in range(2):
            expected = np.interp(at[b].numpy(), np.arange(9), x[b, c].numpy())
            np.testing.assert_allclose(found[b, c].numpy(), expected, atol=1e-6)


def test_a_crop_of_everything_is_the_series_and_of_a_part_that_part() -> None:
    view = {"x": torch.randn(5, 2, 32)}
    whole = changes.Crop(share=(1.0, 1.0))(view, Draws.seeded(0))["x"]
    torch.testing.assert_close(whole, view["x"], rtol=1e-4, atol=1e-5)
    line = {"x": torch.arange(64.0).expand(200, 1, -1)}
    made = changes.Crop(share=(0.25, 0.5))(line, Draws.seeded(0))
    start, size = (64 * made["stretch"]).unbind(1)
    slope = made["x"][:, 0, 40] - made["x"][:, 0, 39]
    torch.testing.assert_close(slope, size / 64, rtol=1e-3, atol=1e-4)
    assert (size >= 16).all()
    assert (size <= 32).all()
    torch.testing.assert_close(made["x"][:, 0, 32], start + size / 64 * 32.5 - 0.5, rtol=1e-3, atol=1e-2)


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    for view in ({"x": torch.zeros(100, 2, 200)}, {"x": torch.zeros(100, 2, 200), "length": torch.full((100,), 200)}):
        noise = changes.Jitter(sigma=0.3)(view, Draws.seeded(0))["x"]
        assert float(noise.std()) == pytest.approx(0.3, rel=0.02)
        assert float(noise.mean()) == pytest.approx(0, abs=0.01)
        assert float(noise.pow(4).mean() / noise.var() ** 2) == pytest.approx(3, rel=0.05)


def test_a_mask_hides_one_stretch_of_the_asked_size() -> None:
    view = padded() | {"x": torch.ones(6, 3, 40).masked_fill(torch.arange(40) >= padded()["length"][:, None, None], 0)}
    made = changes.TimeMask(share=(0.25, 0.25))(view, Draws.seeded(0))["x"]
    for row, size in zip(made[:, 0], view["length"].tolist(), strict=True):
        hidden = (row[:size] == 0).nonzero()[:, 0]
        assert abs(len(hidden) - size / 4) <= 1
        assert len(hidden) < 2 or int(hidden[-1] - hidden[0]) == len(hidden) - 1


def test_one_channel_always_stays() -> None:
    made = changes.ChannelDrop(share=0.9)({"x": torch.ones(500, 3, 4)}, Draws.seeded(0))["x"]
    kept = made.amax(2).sum(1)
    assert kept.min() == 1
    assert float(kept.mean()) == pytest.approx(3 * 0.1 + 0.9**3, abs=0.03)


def test_a_permutation_keeps_all_values_and_most_neighbours() -> None:
    view = padded()
    made = changes.Permutation(segments=3)(view, Draws.seeded(0))["x"]
    for new, old, size in zip(made, view["x"], view["length"].tolist(), strict=True):
        for channel in range(3):
            torch.testing.assert_close(new[channel, :size].sort().values, old[channel, :size].sort().values)
    line = {"x": torch.arange(30.0).expand(40, 1, -1)}
    steps = changes.Permutation(segments=3)(line, Draws.seeded(0))["x"][:, 0].diff(dim=1)
    assert ((steps != 1).sum(1) <= 2).all()
    assert (steps != 1).any()


def test_a_band_of_frequencies_is_gone() -> None:
    view = {"x": torch.randn(20, 2, 64)}
    made = changes.FrequencyMask(share=(0.3, 0.3))(view, Draws.seeded(0))["x"]
    power = torch.fft.rfft(made).abs().square().sum(1)
    gone = power < 1e-6 * power.mean()
    assert ((gone.sum(1) - 0.3 * 33).abs() <= 1.5).all()
    torch.testing.assert_close(made.mean(2), view["x"].mean(2), rtol=1e-4, atol=1e-5)
    whole = {"x": view["x"], "length": torch.full((20,), 64)}
    nearly = changes.FrequencyMask(share=(0.3, 0.3))(whole, Draws.seeded(0))["x"]
    exact, copied = (float((view["x"] - x).square().mean()) for x in (made, nearly))
    assert exact / 2 < copied < exact * 1.5


def test_neighbours_follow_each_other_untouched() -> None:
    for data in (np.arange(64.0).repeat(2).reshape(1, 64, 2).transpose(0, 2, 1).repeat(9, 0), None):
        items = data if data is not None else [np.arange(float(n))[None] for n in (9, 40, 2, 3, 1, 17, 5, 6, 7)]
        source = open_source(items, "series")
        spec = series.spec_of(source)
        first, second = series.make_views("neighbours", spec)(source.batch(torch.arange(9)), Draws.seeded(0))
        for i in range(9):
            size = int(first["length"][i]) if "length" in first else first["x"].shape[2]
            one, two = (view["x"][i, 0, :size] * spec.std[0] + spec.mean[0] for view in (first, second))
            steps = torch.cat((one, two)).diff()
            if len(items[i][0]) > 1:
                torch.testing.assert_close(steps, torch.ones_like(steps), rtol=0, atol=1e-4)
    with pytest.raises(OptionError, match="share"):
        series.make_views("neighbours", spec, share=0.7)


def test_the_evaluation_view_is_normalised() -> None:
    x, _ = motions(200, ragged=True)
    source = open_source([3 + 7 * row for row in x], "series")
    spec = series.spec_of(source)
    view = series.evaluation_view(spec)(source.batch(torch.arange(200)))[0]
    real = torch.arange(view["x"].shape[2]) < view["length"][:, None]
    values = view["x"].transpose(1, 2)[real]
    torch.testing.assert_close(values.mean(0), torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(values.std(0), torch.ones(3), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", ["tcn", "patch"])
def test_encoders_see_no_padding_and_take_any_length(name: str) -> None:
    spec = series.Spec(3, 40, True, (0.0,) * 3, (1.0,) * 3)
    encoder = series.make_encoder(name, spec, width=16, depth=5).eval()
    view = padded()
    whole = encoder(view["x"], view["length"])
    for row, size in enumerate(view["length"].tolist()):
        alone = encoder(view["x"][row : row + 1, :, :size])
        torch.testing.assert_close(whole[row : row + 1], alone, rtol=1e-4, atol=1e-5)
    assert encoder(torch.randn(2, 3, 133)).shape == (2, encoder.dim)
    with pytest.raises(OptionError, match="width"):
        series.make_encoder(name, spec, width=0)


def test_the_made_up_classes_are_in_the_motion_alone() -> None:
    x, y = motions(3000, seed=1)
    assert x.shape == (3000, 3, 128)
    assert np.bincount(y).min() > 400
    for measure in (x.mean(2), x.std(2), x[:, :, 60]):
        means = np.stack([measure[y == label].mean(0) for label in range(6)])
        error = measure.std(0) / math.sqrt(400)
        assert (np.abs(means - measure.mean(0)) < 5 * error).all()
    again, labels = motions(3000, seed=1)
    assert np.array_equal(again, x)
    assert np.array_equal(labels, y)
    assert not np.array_equal(motions(3000, seed=2)[0], x)
    short, _ = motions(50, ragged=True)
    assert {row.shape[1] for row in short} <= set(range(64, 129))
