"""Scattered digits: reproducible, of separate writers, and hard for raw pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from tacit.errors import OptionError
from tacit.modalities.image.reading import open_source
from tacit.modalities.image.synthetic import FIRST_TEST, image_folder, scattered_digits


def test_shapes_types_and_repetition() -> None:
    images, labels = scattered_digits("train", count=300, seed=3)
    assert (images.shape, images.dtype) == ((300, 1, 32, 32), np.uint8)
    assert (labels.shape, labels.dtype) == ((300,), np.int64)
    again, same = scattered_digits("train", count=300, seed=3)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    other, _ = scattered_digits("train", count=300, seed=4)
    test, _ = scattered_digits("test", count=300, seed=3)
    assert not np.array_equal(images, other)
    assert not np.array_equal(images, test)
    assert scattered_digits(count=2, size=48)[0].shape == (2, 1, 48, 48)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    scattered_digits(count=10)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_every_original_is_used_equally_often_and_parts_share_no_writer() -> None:
    truth = load_digits().target
    _, train = scattered_digits("train", count=2 * FIRST_TEST)
    _, test = scattered_digits("test", count=len(truth) - FIRST_TEST)
    np.testing.assert_array_equal(np.bincount(train), 2 * np.bincount(truth[:FIRST_TEST]))
    np.testing.assert_array_equal(np.bincount(test), np.bincount(truth[FIRST_TEST:]))
    # each writer's digits begin 0..9 three times over: the border lies where one begins
    np.testing.assert_array_equal(truth[FIRST_TEST : FIRST_TEST + 30], np.tile(np.arange(10), 3))


def test_digits_lie_at_all_places_whole_and_turned_little() -> None:
    images, _ = scattered_digits(count=2000, clutter=0)
    x = images[:, 0].astype(float)
    mass = x.sum((1, 2))
    assert mass.min() > 0
    pixel = np.arange(32) + 0.5
    across, down = (x.sum(1) * pixel).sum(1) / mass, (x.sum(2) * pixel).sum(1) / mass
    for middle in (across, down):
        assert middle.min() < 9
        assert middle.max() > 23
        assert abs(middle.mean() - 16) < 0.5
    # enlarging by s multiplies the mass by s²: nothing is cut off beyond what a turned corner may lose
    whole = load_digits().images[:FIRST_TEST].sum((1, 2)).mean() / 16 * 255
    scale = (2.0**3 - 1.5**3) / (3 * (2.0 - 1.5))  # mean of s² over the range of s
    assert mass.mean() == pytest.approx(whole * scale, rel=0.03)


def test_clutter_only_adds_and_is_of_lower_light() -> None:
    images, _ = scattered_digits(count=500, clutter=4)
    alone, _ = scattered_digits(count=500, clutter=0)
    assert images.mean() > 1.3 * alone.mean()
    assert (images.max((1, 2, 3)) >= 200).mean() > 0.95


def test_raw_pixels_tell_little() -> None:
    train, labels = scattered_digits("train", count=3000)
    test, truth = scattered_digits("test", count=500)
    knn = KNeighborsClassifier(20, metric="cosine", weights="distance")
    knn.fit(train.reshape(len(train), -1) / 255, labels)
    accuracy = knn.score(test.reshape(len(test), -1) / 255, truth)
    assert 0.15 < accuracy < 0.45


@pytest.mark.parametrize(
    "options", [{"part": "valid"}, {"count": 0}, {"size": 12}, {"clutter": -1}, {"scale": (2.0, 9.0)}]
)
def test_impossible_arguments(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        scattered_digits(**options)  # type: ignore[arg-type]


def test_image_folder_is_read_back(tmp_path: Path) -> None:
    images, labels = scattered_digits(count=12)
    folder = image_folder(tmp_path / "digits", images, labels, [f"digit {n}" for n in range(10)])
    source = open_source(folder)
    assert len(source) == 12
    assert source.labels is not None
    assert source.classes is not None
    for row, name in enumerate(source.names):
        number = int(Path(name).stem)
        np.testing.assert_array_equal(source.batch(torch.tensor([row]))["x"][0].numpy(), images[number])
        assert source.classes[source.labels[row]] == f"digit {labels[number]}"
    colour = np.random.default_rng(0).integers(0, 256, (1, 3, 5, 6), dtype=np.uint8)
    image_folder(tmp_path / "colour", colour, np.array([0]), ["a"])
    with Image.open(tmp_path / "colour" / "a" / "00000.png") as image:
        np.testing.assert_array_equal(np.asarray(image), colour[0].transpose(1, 2, 0))


def test_shared_scenes_are_the_same_clutters_in_both_parts() -> None:
    grounds = []
    for part in ("train", "test"):
        images, _ = scattered_digits(part, count=300, scenes=3, seed=4)
        alone, _ = scattered_digits(part, count=300, clutter=0, seed=4)
        clutter = np.where(images > alone, images, 0)
        assert (images >= alone).all()
        grounds.append(clutter.reshape(300, -1))
    # what shows of a scene beside the digit never exceeds the scene, so three maxima explain all images
    for ground in grounds:
        scenes: list[np.ndarray] = []
        for row in ground:
            near = [i for i, s in enumerate(scenes) if not ((row > 0) & (s > 0) & (row != s)).any() and (row & s).any()]
            if near:
                scenes[near[0]] = np.maximum(scenes[near[0]], row)
            else:
                scenes.append(row)
        assert len(scenes) == 3


def test_larger_digits_cover_more() -> None:
    small, large = (scattered_digits(count=200, clutter=0, scale=(s, s))[0].mean() for s in (1.5, 3.0))
    assert large / small == pytest.approx(4, rel=0.05)
