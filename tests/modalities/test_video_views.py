"""Views of videos, against plain loops and torchvision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference
from scipy.ndimage import gaussian_filter1d

from tacit.errors import OptionError
from tacit.modalities import open_source, video
from tacit.modalities.video import changes, playback
from tacit.parts.draws import Draws


def batch(count: int = 4, window: int = 12, channels: int = 3, size: tuple[int, int] = (10, 8)) -> dict:
    random = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (count, channels, window, *size), dtype=torch.uint8, generator=random)
    return {"x": x, "index": torch.arange(count)}


def clips(**options: int) -> dict:
    return {"x": batch(**options)["x"].float() / 255}


def spec(**options: int) -> video.Spec:
    return video.Spec(3, (10, 8), 6, 12, (0.5, 0.4, 0.3), (0.25, 0.2, 0.3), **options)


ALL = (
    changes.Clip(5),
    changes.Crop((7, 9)),
    changes.Flip(),
    changes.Jitter(),
    changes.Grey(p=0.5),
    changes.Blur(),
)


@pytest.mark.parametrize("change", ALL, ids=lambda c: c.name())
def test_a_change_repeats_and_leaves_its_input_alone(change: changes.Change) -> None:
    before = clips(count=16)
    kept = before["x"].clone()
    one, two = (change(before, Draws.seeded(3)) for _ in range(2))
    other = change(before, Draws.seeded(4))
    assert torch.equal(one["x"], two["x"])
    assert torch.equal(before["x"], kept)
    for made in (one, other):
        assert made["x"].shape != kept.shape or not torch.equal(made["x"], kept)
    assert not torch.equal(one["x"], other["x"])


@pytest.mark.parametrize("change", ALL[1:], ids=lambda c: c.name())
def test_all_frames_of_a_clip_are_changed_alike(change: changes.Change) -> None:
    still = clips()["x"][:, :, :1].expand(-1, -1, 6, -1, -1)
    made = change({"x": still}, Draws.seeded(1))["x"]
    assert torch.allclose(made, made[:, :, :1].expand_as(made), atol=1e-6)


def test_a_clip_is_frames_in_a_row_from_everywhere() -> None:
    before = batch(400)
    made = changes.Clip(5, fastest=4)(before, Draws.seeded(0))
    start, step = made["start"], made["step"]
    for i in range(50):
        at = [int(start[i]) + int(step[i]) * k for k in range(5)]
        assert torch.equal(made["x"][i], before["x"][i][:, at] / 255)
    # 12 frames hold every second frame five times, and not every third
    assert sorted(set(step.tolist())) == [1, 2]
    assert sorted(set(start[step == 1].tolist())) == list(range(8))
    assert sorted(set(start[step == 2].tolist())) == list(range(4))
    whole = changes.Clip(12)(before, Draws.seeded(0))
    assert torch.equal(whole["x"], before["x"] / 255)
    with pytest.raises(OptionError, match="cannot be taken of 12"):
        changes.Clip(13)(before, Draws.seeded(0))


def test_a_crop_is_the_box_that_it_says() -> None:
    line = torch.linspace(-1 + 1 / 40, 1 - 1 / 40, 40)
    x = torch.stack([line.expand(40, 40), line[:, None].expand(40, 40)])[None, :, None].repeat(200, 1, 3, 1, 1)
    made = changes.Crop((16, 12), (0.04, 0.6), (0.5, 2.0))({"x": x}, Draws.seeded(2))
    theta = made["theta"]
    grid = torch.nn.functional.affine_grid(theta, [200, 1, 16, 12], align_corners=False)
    assert made["x"].shape == (200, 2, 3, 16, 12)
    # values are coordinates: the picture of them is the grid itself
    assert torch.allclose(made["x"][:, :, 1].permute(0, 2, 3, 1), grid.clamp(-1 + 1 / 40, 1 - 1 / 40), atol=1e-5)
    width, height = theta[:, 0, 0], theta[:, 1, 1]
    share, ratio = width * height, width / height
    assert 0.04 - 1e-6 <= float(share.min()) < 0.07
    assert 0.55 < float(share.max()) <= 0.6 + 1e-6
    assert float(ratio.min()) >= 0.5 - 1e-6
    assert float(ratio.max()) <= 2 + 1e-6
    assert float((theta[:, :, 2].abs() + torch.stack([width, height], 1)).max()) <= 1 + 1e-6
    full = changes.Crop((40, 40), (1.0, 1.0), (1.0, 1.0))({"x": x}, Draws.seeded(2))
    assert torch.allclose(full["x"], x, atol=1e-5)


def test_large_frames_are_averaged_before_they_are_cropped() -> None:
    checks = ((torch.arange(64)[:, None] + torch.arange(64)) % 2).float()
    made = changes.Crop((8, 8), (1.0, 1.0), (1.0, 1.0))({"x": checks.expand(2, 1, 2, 64, 64)}, Draws.seeded(0))["x"]
    assert torch.allclose(made, torch.full_like(made, 0.5), atol=0.02)


def test_a_flip_mirrors_all_frames_and_the_box() -> None:
    before = clips(count=300) | {"theta": torch.rand(300, 2, 3) * torch.tensor([[1.0, 0, 1], [0, 1, 1]])}
    made = changes.Flip(p=0.3)(before, Draws.seeded(0))
    flipped = (made["x"] == before["x"].flip(4)).flatten(1).all(1)
    assert torch.equal(~flipped, (made["x"] == before["x"]).flatten(1).all(1))
    assert 60 < int(flipped.sum()) < 120
    sign = torch.where(flipped, -1.0, 1.0)
    assert torch.equal(made["theta"][:, 0, 0], sign * before["theta"][:, 0, 0])
    assert torch.equal(made["theta"][:, 1], before["theta"][:, 1])
    assert torch.equal(made["theta"][:, 0, 2], before["theta"][:, 0, 2])


@pytest.mark.parametrize("which", ["brightness", "contrast", "saturation"])
def test_each_colour_change_is_torchvision_s(which: str) -> None:
    x = 0.4 + 0.2 * clips()["x"]  # so that torchvision has nothing to clip
    none = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    made = changes.Jitter(**{**none, which: 0.4})({"x": x}, Draws.seeded(5))["x"]
    factor = 1 + 0.4 * (2 * Draws.seeded(5).uniform(4, 4) - 1)[:, list(none).index(which)]
    for i in range(4):
        frames = x[i].transpose(0, 1)
        if which == "contrast":  # torchvision takes the mean of one picture: here that of all frames
            frames = frames.permute(1, 0, 2, 3).flatten(1, 2)[None]
        wanted = getattr(reference, f"adjust_{which}")(frames, float(factor[i]))
        wanted = wanted[0].unflatten(1, (12, 10)) if which == "contrast" else wanted.transpose(0, 1)
        assert torch.allclose(made[i], wanted, atol=2e-3)


def test_hue_turns_colours_about_the_grey_axis() -> None:
    angle = torch.tensor([0.3, 2 * math.pi / 3, -1.0])
    turned = changes.turned(angle)
    assert torch.allclose(turned @ turned.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-6)
    assert torch.allclose(turned @ torch.ones(3), torch.ones(3, 3), atol=1e-6)
    assert torch.allclose(turned[1] @ torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]), atol=1e-6)  # red to green
    trace = turned.diagonal(dim1=1, dim2=2).sum(1)
    assert torch.allclose(trace, 1 + 2 * angle.cos(), atol=1e-6)


def test_the_four_colour_changes_are_done_in_order() -> None:
    x = 0.4 + 0.2 * clips()["x"]
    sizes = {"brightness": 0.3, "contrast": 0.4, "saturation": 0.5, "hue": 0.2}
    whole = changes.Jitter(**sizes)({"x": x}, Draws.seeded(6))["x"]
    found = {"x": x}
    for name, value in sizes.items():
        found = changes.Jitter(**{**dict.fromkeys(sizes, 0.0), name: value})(found, Draws.seeded(6))
    assert torch.allclose(whole, found["x"], atol=1e-5)


def test_grey_is_one_value_for_all_channels() -> None:
    x = clips()["x"]
    made = changes.Grey(p=1.0)({"x": x}, Draws.seeded(0))["x"]
    wanted = reference.rgb_to_grayscale(x.transpose(1, 2), 3).transpose(1, 2)
    assert torch.allclose(made, wanted, atol=1e-3)
    two = changes.Grey(p=1.0)({"x": x[:, :2]}, Draws.seeded(0))["x"]
    assert torch.allclose(two, x[:, :2].mean(1, keepdim=True).expand_as(two))


def test_blur_is_gaussian() -> None:
    x = torch.zeros(3, 1, 2, 31, 25)
    x[:, :, :, 15, 12] = 1
    made = changes.Blur((1.5, 1.5))({"x": x}, Draws.seeded(0))["x"]
    wanted = gaussian_filter1d(gaussian_filter1d(x.double().numpy(), 1.5, axis=3), 1.5, axis=4, truncate=8)
    assert np.allclose(made.numpy(), wanted, atol=2e-4)
    flat = torch.full((2, 1, 2, 9, 9), 0.7)
    assert torch.allclose(changes.Blur()({"x": flat}, Draws.seeded(0))["x"], flat, atol=1e-6)


def test_clips_are_two_of_one_video_with_nothing_changed() -> None:
    given, facts = batch(64), spec()
    mean, std = (torch.tensor(v)[:, None, None, None] for v in (facts.mean, facts.std))
    pair = video.make_views("clips", facts)(given, Draws.seeded(0))
    for view in pair:
        for i in range(64):
            first = int(view["start"][i])
            wanted = (given["x"][i, :, first : first + 6] / 255 - mean) / std
            assert torch.allclose(view["x"][i], wanted, atol=1e-5)
    assert not torch.equal(pair[0]["start"], pair[1]["start"])


def test_evaluation_sees_the_middle_at_the_size_that_was_trained_at() -> None:
    facts = spec()
    given = batch(window=11, size=(10, 8))
    (seen,) = video.evaluation_view(facts)(given, Draws.seeded(0))
    mean, std = (torch.tensor(v)[:, None, None, None] for v in (facts.mean, facts.std))
    assert torch.allclose(seen["x"], (given["x"][:, :, 2:8] / 255 - mean) / std, atol=1e-5)
    (large,) = video.evaluation_view(facts)(batch(size=(30, 24)), Draws.seeded(0))
    assert large["x"].shape == (4, 3, 6, 10, 8)
    (short,) = video.evaluation_view(facts)(batch(window=3), Draws.seeded(0))
    assert short["x"].shape[2] == 3
    for recipe in ("clips", "plain", "temporal-transformations", "strong-weak"):
        views = video.make_views(recipe, facts)(batch(window=13, size=(30, 24)), Draws.seeded(0))
        assert all(view["x"].shape == (4, 3, 6, 10, 8) for view in views)


def test_local_views_are_shorter_and_smaller() -> None:
    views = video.make_views("multi-crop", spec())(batch(), Draws.seeded(0))
    assert [tuple(v["x"].shape[2:]) for v in views] == [(6, 10, 8)] * 2 + [(3, 5, 4)] * 6


def test_floating_videos_are_not_bound_to_one() -> None:
    x = np.random.default_rng(0).normal(300, 50, (6, 8, 2, 9, 9)).astype(np.float32)
    source = open_source(x, "video")
    facts = video.spec_of(source)
    (seen,) = video.evaluation_view(facts)(source.batch(torch.arange(6)))
    assert abs(float(seen["x"].mean())) < 0.1
    assert float(seen["x"].std()) == pytest.approx(1, abs=0.1)
    one, _ = video.make_views("pair", facts)(source.batch(torch.arange(6)), Draws.seeded(0))
    assert bool(one["x"].isfinite().all())


def test_raw_is_pixels_averaged_down() -> None:
    x = torch.randn(2, 3, 16, 32, 48)
    wanted = x.unflatten(4, (16, 3)).unflatten(3, (16, 2)).unflatten(2, (8, 2)).mean((3, 5, 7))
    assert torch.allclose(video.raw({"x": x}), wanted.flatten(1), atol=1e-5)
    small = torch.randn(2, 3, 4, 5, 6)
    assert torch.equal(video.raw({"x": small}), small.flatten(1))


def test_speeds_are_powers_of_two_that_fit() -> None:
    for window in range(8, 200):
        wanted = min(int(math.log2(window / 8)), 3) + 1
        assert playback.speeds_within(window, 8, 4) == wanted
    assert playback.speeds_within(8, 8, 4) == 1


def played(window: int = 64, frames: int = 8, count: int = 3000) -> dict[str, torch.Tensor]:
    draws = Draws.seeded(0)
    speed = 2 ** (draws.uniform(count) * playback.speeds_within(window, frames, 4)).long()
    fastest = 2 ** (playback.speeds_within(window, frames, 4) - 1)
    return {
        "speed": speed,
        "in order": playback.in_order(draws.uniform(count, 1), frames, window, speed),
        "to and fro": playback.to_and_fro(draws.uniform(count, 3), frames, window, speed),
        "out of order": playback.out_of_order(draws.uniform(count, 1 + frames), frames, window),
        "unevenly": playback.unevenly(draws.uniform(count, 1 + window), frames, window, fastest),
    }


@pytest.mark.parametrize(("window", "frames"), [(64, 8), (9, 8), (20, 5), (130, 16), (4, 4)])
def test_every_way_of_playing_stays_within_the_sample(window: int, frames: int) -> None:
    for name, at in played(window, frames).items():
        if name != "speed":
            assert at.shape == (3000, frames)
            assert int(at.min()) >= 0
            assert int(at.max()) < window


def test_in_order_is_one_step_throughout_from_every_place() -> None:
    made = played()
    at, speed = made["in order"], made["speed"]
    assert torch.equal(at.diff(dim=1), speed[:, None].expand(-1, 7))
    for k in (1, 2, 4, 8):
        assert sorted(set(at[speed == k][:, 0].tolist())) == list(range(64 - 8 * k + 1))


def test_to_and_fro_turns_once_and_does_not_repeat_frames() -> None:
    made = played()
    for at, k in zip(made["to and fro"][:500].tolist(), made["speed"].tolist(), strict=False):
        step = np.diff(at)
        assert step[0] == k
        assert step[-1] == -k
        assert (np.diff(step) <= 0).all()  # ahead, perhaps a shorter step where it turns, and back
        assert (np.abs(step) != k).sum() <= 1
        assert k == 1 or len(set(at)) == len(at)
    turns = {int((np.diff(at) > 0).sum()) for at in made["to and fro"].tolist()}
    assert {1, 2, 3, 4, 5} <= turns


def test_out_of_order_is_a_permutation_of_a_stretch() -> None:
    at = played()["out of order"]
    assert torch.equal(at.sort(1).values, at.amin(1, keepdim=True) + torch.arange(8))
    first = torch.bincount(at[:, 0] - at.amin(1), minlength=8)
    assert int(first.min()) > 250  # of 375 expected


def test_uneven_steps_are_drawn_one_by_one() -> None:
    step = played()["unevenly"].diff(dim=1)
    counts = torch.bincount(step.flatten(), minlength=9)
    assert counts[0] == 0
    assert int(counts[1:].min()) > 0.9 * step.numel() / 8
    normed = (step - step.float().mean()) / step.float().std()
    assert abs(float((normed[:, 1:] * normed[:, :-1]).mean())) < 0.03
    slow = played(window=20)["unevenly"]  # two speeds: eight of sixteen frames
    assert int(slow.diff(dim=1).min()) >= 1
    assert int((slow[:, -1] - slow[:, 0]).max()) <= 15
    assert len({tuple(row) for row in (slow - slow[:, :1]).tolist()}) > 500


def test_temporal_transformations_are_labelled_clips() -> None:
    facts = video.Spec(3, (10, 8), 4, 40, (0.0,) * 3, (1.0,) * 3)
    frame = torch.arange(40, dtype=torch.uint8)[None, None, :, None, None]
    given = {"x": frame.expand(50, 3, 40, 10, 8).contiguous(), "index": torch.arange(50)}
    views = video.make_views("temporal-transformations", facts, speeds=3)(given, Draws.seeded(1))
    assert [view["played"].unique().tolist() for view in views] == [[0], [1], [2], [3]]
    assert views[0]["speeds"] == 3
    assert torch.equal(views[0]["speed"], views[1]["speed"])
    assert "speed" not in views[2]
    assert "speed" not in views[3]
    at = [(view["x"] * 255).round().long()[:, 0, :, 5, 4] for view in views]
    assert torch.equal(at[0].diff(dim=1)[:, 0], 2 ** views[0]["speed"])
    assert all(torch.equal(a[:, 0], view["start"]) for a, view in zip(at, views, strict=True))
    # boxes are drawn for every clip
    assert not torch.equal(views[0]["theta"], views[1]["theta"])
    assert torch.allclose(views[0]["theta"][:, 0, 0].abs(), torch.tensor(0.875), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: changes.Clip(0), "clip.frames"),
        (lambda: changes.Clip(4, p=0.5), "p is 0 or 1"),
        (lambda: changes.Crop((0, 4)), "crop.size"),
        (lambda: changes.Crop((4, 4), (0.0, 1.0)), "crop.scale"),
        (lambda: changes.Crop((4, 4), ratio=(2.0, 1.0)), "crop.ratio"),
        (lambda: changes.Jitter(hue=-1.0), "jitter.hue"),
        (lambda: changes.Blur((2.0, 1.0)), "blur.sigma"),
        (lambda: video.make_views("temporal-transformations", spec(), speeds=0), "speeds"),
        (lambda: video.make_views("temporal-transformations", spec(), crop=0.0), "crop"),
        (lambda: video.make_views("temporal-transformations", video.Spec(1, (4, 4), 3, 9, (0,), (1,))), "at least 4"),
        (lambda: video.make_views("temporal-transformations", spec())(batch(window=6)), "longer than a clip"),
    ],
)
def test_impossible_values_are_named(make: object, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        make()  # type: ignore[operator]
