"""What the phantoms are said to be is really in them."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import OptionError
from tacit.evaluation.knn import knn_accuracy
from tacit.modalities.volume.synthetic import REACH, SEQUENCES, SHAPES, STRUCTURES, finding, phantoms

FINDING = STRUCTURES.index("finding")


def test_the_same_seed_repeats_and_another_does_not() -> None:
    one, two, other = phantoms(4, 1, size=12), phantoms(4, 1, size=12), phantoms(4, 2, size=12)
    assert np.array_equal(one.volumes, two.volumes)
    assert np.array_equal(one.masks, two.masks)
    assert not np.array_equal(one.volumes, other.volumes)
    assert one.volumes.dtype == np.float32
    assert np.isfinite(one.volumes).all()


def test_all_shapes_have_one_volume() -> None:
    line = np.linspace(-2.2, 2.2, 89)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    cell = (line[1] - line[0]) ** 3
    for shape in SHAPES:
        inside = finding(grid, shape) < 0
        assert cell * inside.sum() == pytest.approx(4 / 3 * np.pi, rel=0.03), shape
        assert np.linalg.norm(grid[inside], axis=1).max() < REACH


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_are_distances(shape: str) -> None:
    points = np.random.default_rng(0).uniform(-2, 2, (400, 3))
    values = finding(points, shape)
    step = 1e-4
    slope = np.stack([(finding(points + step * e, shape) - values) / step for e in np.eye(3)], 1)
    assert np.median(np.abs(np.linalg.norm(slope, axis=1) - 1)) < 1e-3


def test_without_noise_a_voxel_has_the_brightness_of_its_structure() -> None:
    made = phantoms(12, 3, size=32, noise=0.0, bias=0.0)
    for volume, mask, sequence in zip(made.volumes[:, 0], made.masks, made.sequences, strict=True):
        pure = []
        for number in range(len(STRUCTURES)):
            at = mask == number
            inner = at.copy()
            for axis in range(3):
                inner &= np.roll(at, 1, axis) & np.roll(at, -1, axis)
            values = volume[inner] if inner.any() else volume[at]
            pure.append(np.median(values))
            if inner.sum() > 5:
                assert np.abs(values - np.median(values)).max() < 0.02 * volume.max(), STRUCTURES[number]
        assert np.corrcoef(pure, SEQUENCES[sequence])[0, 1] > 0.97


def test_findings_lie_where_they_are_said_to_and_in_their_direction() -> None:
    made = phantoms(150, 4, size=40)
    for i in range(150):
        at = np.argwhere(made.masks[i] == FINDING)
        assert np.abs(at.mean(0) - made.centres[i]).max() < 1.0
        values, vectors = np.linalg.eigh(np.cov(at.T))
        shape = SHAPES[made.shapes[i]]
        if shape in ("rod", "pair"):
            assert abs(vectors[:, 2] @ made.axes[i]) > 0.97, shape
            assert values[2] > 2 * values[1]
        elif shape in ("ring", "disc"):
            assert abs(vectors[:, 0] @ made.axes[i]) > 0.97, shape
            assert values[1] > 2 * values[0]
        else:
            assert values[2] < 1.5 * values[0]
        middle = made.masks[i][tuple(made.centres[i].round().astype(int))]
        assert (middle == FINDING) == (shape in ("ball", "rod", "disc"))


def test_nothing_but_the_shape_tells_the_shape() -> None:
    train, test = phantoms(600, 5, size=10), phantoms(300, 6, size=10)
    table = np.zeros((len(SHAPES), len(SEQUENCES)))
    np.add.at(table, (train.shapes, train.sequences), 1)
    assert table.min() > 15
    rows = [
        np.stack([p.volumes.mean((1, 2, 3, 4)), p.volumes.std((1, 2, 3, 4)), (p.masks == FINDING).mean((1, 2, 3))], 1)
        for p in (train, test)
    ]
    rows = [(part - rows[0].mean(0)) / rows[0].std(0) for part in rows]
    assert knn_accuracy(rows[0], train.shapes, rows[1], test.shapes) < 0.25
    places = [p.centres / 10 for p in (train, test)]
    assert knn_accuracy(places[0], train.shapes, places[1], test.shapes) < 0.25


def test_findings_lie_inside_the_head() -> None:
    made = phantoms(60, 7, size=24)
    for mask in made.masks:
        around = mask == FINDING
        for axis in range(3):
            around |= np.roll(around, 1, axis) | np.roll(around, -1, axis)
        assert not (around & (mask == 0)).any()


@pytest.mark.parametrize("options", [{"size": 3}, {"shapes": 0}, {"shapes": 7}, {"radius": (0.4, 0.3)}, {"shift": 1.0}])
def test_impossible_numbers_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        phantoms(2, **options)  # type: ignore[arg-type]
