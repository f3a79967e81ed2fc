"""Thumbnails, RGB for any number of channels, and sheets of pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tacit.errors import DataError
from tacit.modalities.image import plots
from tacit.modalities.image.spec import Spec
from tacit.reporting import sheets


def test_small_images_keep_their_pixels() -> None:
    x = torch.randint(0, 256, (3, 5, 7, 9), dtype=torch.uint8)
    np.testing.assert_array_equal(plots.thumbnails(x, 16), x.numpy())


def test_shrinking_averages_the_pixels_under_each_new_one() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[..., 2:6] = 1.0
    small = plots.thumbnails(x, 4)
    assert small.shape == (1, 1, 4, 4)
    # the antialiasing filter reaches one old pixel past each new one, with weights 1, 3, 3, 1 over 8
    expected = np.array([1 / 8, 7 / 8, 7 / 8, 1 / 8]) * 255
    np.testing.assert_allclose(small[0, 0, 1], expected, atol=6)
    assert plots.thumbnails(torch.rand(2, 3, 300, 3), 30).shape == (2, 3, 30, 1)


def test_floats_within_one_are_shown_as_they_are_and_others_are_stretched() -> None:
    plain = torch.tensor([0.0, 0.2, 1.0]).view(1, 1, 1, 3)
    assert plots.thumbnails(plain).ravel().tolist() == [0, 51, 255]
    hounsfield = torch.linspace(-1000, 3000, 4001).view(1, 1, 1, -1)
    low, high = plots.display_range(hounsfield)
    assert (low.item(), high.item()) == pytest.approx((-960, 2960))
    ends = plots.thumbnails(torch.tensor([-960.0, 2960.0]).view(1, 1, 1, 2), within=(low, high))
    assert ends.ravel().tolist() == [0, 255]


def test_missing_and_constant_pixels_do_no_harm() -> None:
    x = torch.full((2, 1, 4, 4), 7.0)
    x[0, 0, 0, 0] = float("nan")
    assert plots.thumbnails(x)[0, 0, 0, 0] == 0
    assert plots.thumbnails(torch.full((1, 2, 3, 3), float("nan"))).max() == 0


def test_what_is_no_batch_of_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"\[3, 4, 4\]"):
        plots.thumbnails(torch.zeros(3, 4, 4))


def test_views_are_shown_with_the_normalisation_undone() -> None:
    spec = Spec(2, (4, 4), (0.3, 0.6), (0.2, 0.1))
    pixels = torch.randint(60, 200, (3, 2, 4, 4), dtype=torch.uint8)
    mean, std = torch.tensor(spec.mean)[:, None, None], torch.tensor(spec.std)[:, None, None]
    normalised = (pixels / 255 - mean) / std
    np.testing.assert_array_equal(plots.as_seen({"x": normalised}, spec), pixels.numpy())


def test_views_of_unbounded_pixels_are_stretched_around_their_mean() -> None:
    spec = Spec(1, (1, 3), (-400.0,), (200.0,))
    normalised = torch.tensor([-2.5, 0.5, 9.0]).view(1, 1, 1, 3)
    assert plots.as_seen({"x": normalised}, spec).ravel().tolist() == [0, 153, 255]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_any_number_of_channels_becomes_rgb(channels: int) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, channels, 3, 4), dtype=np.uint8)
    rgb = plots.to_rgb(x)
    assert rgb.shape == (2, 3, 4, 3)
    for place in range(3):
        mean = np.rint(x.astype(float).mean(1))
        np.testing.assert_array_equal(rgb[..., place], x[:, place] if channels >= 3 else mean)
    assert bool(plots.caption(x)) == (channels not in (1, 3))


@pytest.mark.parametrize("count", [1, 2, 7, 30])
@pytest.mark.parametrize("grey", [False, True])
def test_every_picture_is_found_again_in_the_sheet(count: int, grey: bool) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (count, 5, 8, 3), dtype=np.uint8)
    if grey:
        pictures[:] = pictures[..., :1]
    sheet = sheets.sheet(pictures)
    image = Image.open(io.BytesIO(sheet.png))
    assert image.mode == ("L" if grey else "RGB")
    canvas = np.asarray(image.convert("RGB"))
    assert canvas.shape == (sheet.rows * 5, sheet.columns * 8, 3)
    for i in range(count):
        top, left = i // sheet.columns * 5, i % sheet.columns * 8
        np.testing.assert_array_equal(canvas[top : top + 5, left : left + 8], pictures[i])


def test_tiles_are_no_larger_than_asked() -> None:
    stored = np.zeros((2, 1, 40, 20), np.uint8)
    assert plots.tiles(stored, 64).shape == (2, 40, 20, 3)
    assert plots.tiles(stored, 10).shape == (2, 10, 5, 3)


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(DataError):
        sheets.sheet(np.zeros((0, 4, 4, 3), np.uint8))
