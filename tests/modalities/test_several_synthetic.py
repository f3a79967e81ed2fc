"""The made-up parts share what they are said to share, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from tacit.errors import OptionError
from tacit.modalities.several.synthetic import DEVICES, PETALS, body, wheels
from tacit.parts.discrepancy import squared_mmd


def test_causes_are_independent_and_repeat_with_the_seed() -> None:
    made, again, other = wheels(3000, 1), wheels(3000, 1), wheels(3000, 2)
    assert np.array_equal(made.image, again.image)
    assert np.array_equal(made.series, again.series)
    assert not np.array_equal(made.series, other.series)
    for one, two in ((made.petals, made.wall), (made.petals, made.hum), (made.wall, made.hum)):
        assert mutual_info_score(one, two) < 0.01
    assert np.bincount(made.petals).min() > 400


def test_the_image_has_so_many_petals_and_stripes_in_that_direction() -> None:
    """Read off the pixels, noise left out: bright arcs on a circle around the wheel's middle, and the wall's slopes."""
    made = wheels(200, 3, size=64, stripes=0.2, noise=0.0)
    y, x = np.mgrid[:64, :64] + 0.5
    right = 0
    for image, petals in zip(made.image[:, 0] / 255.0, made.petals, strict=True):
        wheel = image > 0.65
        middle_x, middle_y = (x * wheel).sum() / wheel.sum(), (y * wheel).sum() / wheel.sum()
        found = []
        radius = np.sqrt(wheel.sum() / np.pi)
        for share in (1.0, 1.05, 1.1):
            angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
            column = (middle_x + share * radius * np.cos(angle)).astype(int).clip(0, 63)
            row = (middle_y + share * radius * np.sin(angle)).astype(int).clip(0, 63)
            line = wheel[row, column]
            smooth = np.convolve(np.tile(line, 3), np.ones(15) / 15, "same")[720:1440] > 0.5
            found.append(int((smooth & ~np.roll(smooth, 1)).sum()))
        right += int(np.median(found)) == PETALS[petals]
    assert right > 180
    image = made.image[:, 0] / 255.0
    dark = image < 0.61  # the wall alone

    def steepness(axis: int) -> np.ndarray:
        both = dark & np.roll(dark, 1, axis)
        return (np.abs(image - np.roll(image, 1, axis)) * both)[:, 1:, 1:].sum((1, 2)) / both[:, 1:, 1:].sum((1, 2))

    straight = steepness(2) / np.maximum(steepness(1), 1e-6)
    assert np.median(straight[made.wall == 0]) > 4  # stripes upright: values change along rows alone
    assert straight[made.wall == 0].min() > 2
    assert np.median(straight[made.wall == 2]) < 0.25
    assert straight[made.wall == 2].max() < 0.5
    assert 0.8 < np.median(straight[made.wall % 2 == 1]) < 1.25


def test_the_series_has_so_many_beats_a_turn_and_the_hum_of_that_pitch() -> None:
    made = wheels(100, 4, length=960, noise=0.0)
    time, rates = np.arange(960) / 960, np.linspace(1.45, 2.55, 56)
    right = 0
    for (beats, mark), petals, hum in zip(made.series, made.petals, made.hum, strict=True):
        waves = np.exp(-2j * np.pi * np.arange(1, 6)[:, None, None] * rates[:, None] * time)
        rate = rates[(np.abs(waves @ (mark - mark.mean())) ** 2).sum(0).argmax()]
        strength = [
            np.abs(((beats - beats.mean()) * np.hanning(960) * np.exp(-2j * np.pi * n * rate * time)).sum())
            for n in PETALS
        ]
        right += int(np.argmax(strength)) == petals
        loud = np.abs(np.fft.rfft((beats - beats.mean()) * np.hanning(960)))
        assert abs(loud[200:].argmax() + 200 - 10 * (26 + 5 * hum)) <= 16
    assert right > 90


def test_the_private_causes_are_in_one_part_each() -> None:
    """Mean spectra by cause: they differ where the cause is in the part, and by chance alone where it is not."""
    made = wheels(2000, 5)

    def differ(part: np.ndarray, cause: np.ndarray) -> float:
        rows = np.log1p(np.abs(np.fft.fftn(part, axes=range(2, part.ndim)))).reshape(len(part), -1)
        rows = (rows - rows.mean(0)) / rows.std(0)
        return float(np.mean([(cause == c).sum() * rows[cause == c].mean(0) ** 2 for c in np.unique(cause)]))

    image, series = made.image.astype(float), made.series
    assert differ(image, made.wall) > 5
    assert differ(series, made.hum) > 5
    assert 0.5 < differ(image, made.hum) < 1.1
    assert 0.5 < differ(series, made.wall) < 1.1
    assert differ(image, made.petals) > 2
    assert differ(series, made.petals) > 2


def test_devices_that_move_alike_are_near() -> None:
    made = body(512, 0)
    strength = {}
    for name, x in made.devices.items():
        z = (x - x.mean((0, 2), keepdims=True)) / x.std((0, 2), keepdims=True)
        strength[name] = torch.from_numpy(np.linalg.norm(z[:, :3], axis=1))
    distance = {name: float(squared_mmd(strength["chest"], rows)) for name, rows in strength.items() if name != "chest"}
    assert sorted(distance, key=distance.__getitem__) == sorted(distance, key=DEVICES.__getitem__)


def test_windows_are_synchronous_and_users_are_kept_apart() -> None:
    made = body(100, 1, users=(2, 5), noise=0.0)
    assert set(made.user) == {2, 5}
    assert all(x.shape == (100, 6, 64) and x.dtype == np.float32 for x in made.devices.values())
    chest, waist = made.devices["chest"], made.devices["waist"]

    def power(x: np.ndarray) -> np.ndarray:
        """The spectrum's strength, which neither rotation nor lag changes."""
        return (np.abs(np.fft.rfft(x[:, :3], axis=2)) ** 2).sum(1)

    same = [np.corrcoef(a, b)[0, 1] for a, b in zip(power(chest), power(waist), strict=True)]
    moved = [np.corrcoef(a, b)[0, 1] for a, b in zip(power(chest), np.roll(power(waist), 7, 0), strict=True)]
    assert np.mean(same) > np.mean(moved) + 0.1


def test_what_is_refused() -> None:
    with pytest.raises(OptionError, match="classes must be from 2 to 6"):
        wheels(4, classes=7)
    with pytest.raises(OptionError, match="at least one user"):
        body(4, users=())


def test_the_discrepancy_is_the_equation() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(4, 3, generator=generator), 0.5 + torch.randn(5, 3, generator=generator)
    widths = (0.1, 2.0)

    def mean(a: torch.Tensor, b: torch.Tensor) -> float:
        rows = [[sum(np.exp(-float((p - q).square().sum()) / (2 * s)) for s in widths) for q in b] for p in a]
        return float(np.mean(rows))

    assert float(squared_mmd(x, y, widths)) == pytest.approx(mean(x, x) + mean(y, y) - 2 * mean(x, y), rel=1e-5)
    assert float(squared_mmd(x, x)) == 0
    with pytest.raises(ValueError, match="one width"):
        squared_mmd(x, y[:, :2])
