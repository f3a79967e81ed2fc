"""The made-up shapes and rooms hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.evaluation.knn import knn_accuracy
from tacit.modalities import open_source, points
from tacit.modalities.points.plots import as_seen, caption
from tacit.modalities.points.solids import about, box, disc, drawn, ring, tube
from tacit.modalities.points.synthetic import CLASSES, SURFACES, rooms, shapes
from tacit.modalities.points.things import PARTS, THINGS


def test_points_lie_on_their_solids_evenly() -> None:
    random = np.random.default_rng(0)
    p, n = box("a", (1.0, 2.0, 4.0)).draw(random, 40_000)
    assert np.allclose(np.abs(p / [0.5, 1.0, 2.0]).max(1), 1)
    assert np.allclose(np.linalg.norm(n, axis=1), 1)
    assert np.mean(np.abs(n[:, 0]) == 1) == pytest.approx(8 * 2 / 28, abs=0.01)
    p, n = tube("a", 1.0, 0.5, 2.0).draw(random, 40_000)
    radius = np.linalg.norm(p[:, :2], axis=1)
    assert np.allclose(radius, 1 - 0.25 * p[:, 2])
    # the lower half has the share of its area, (1 + 0.75) / (1 + 0.75 + 0.75 + 0.5)
    assert np.mean(p[:, 2] < 1) == pytest.approx(1.75 / 3.0, abs=0.01)
    slope = np.stack([-0.25 * p[:, 0] / radius, -0.25 * p[:, 1] / radius, np.ones(len(p))], 1)
    assert np.allclose((n * slope).sum(1), 0, atol=1e-9)
    assert bool(((n[:, :2] * p[:, :2]).sum(1) > 0).all())
    p, n = disc("a", 2.0, -1.0).draw(random, 40_000)
    assert np.mean(np.linalg.norm(p, axis=1) < 1) == pytest.approx(0.25, abs=0.01)
    assert (n[:, 2] == -1).all()
    p, n = ring("a", 1.0, 0.3, 0.5).draw(random, 40_000)
    assert np.allclose((np.linalg.norm(p[:, :2], axis=1) - 1) ** 2 + p[:, 2] ** 2, 0.09)
    assert p[:, 1].min() > -1e-9
    # of a torus the outer half has the share 1 / 2 + thick / (pi radius)
    assert np.mean(np.linalg.norm(p[:, :2], axis=1) > 1) == pytest.approx(0.5 + 0.3 / np.pi, abs=0.01)


def test_several_surfaces_get_points_by_their_area() -> None:
    pair = [disc("a", 1.0), disc("b", 2.0).moved((0, 0, 5), about(0, np.pi / 2))]
    p, n, of = drawn(pair, 20_000, np.random.default_rng(0))
    assert np.mean(of == 1) == pytest.approx(0.8, abs=0.01)
    assert np.allclose(p[of == 0][:, 2], 0)
    assert np.allclose(p[of == 1][:, 1], 0)
    assert np.allclose(np.abs(n[of == 1][:, 1]), 1)
    for axis in range(3):
        matrix = about(axis, 0.3)
        assert np.allclose(matrix @ matrix.T, np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1)
        assert matrix[axis, axis] == 1


@pytest.mark.parametrize("name", CLASSES)
def test_things_stand_on_the_ground_and_hang_together(name: str) -> None:
    for seed in range(3):
        random = np.random.default_rng(seed)
        surfaces = THINGS[name](random)
        assert {surface.part for surface in surfaces} <= set(PARTS)
        p, _, of = drawn(surfaces, 4000, random)
        assert p[:, 2].min() > -0.16
        assert 0.5 < np.ptp(p, axis=0).max() < 2.0
        linked = {0}
        for _ in surfaces:  # parts that come near to one that is linked are linked too
            near = [
                k
                for k in range(len(surfaces))
                if k not in linked
                and any(
                    torch.cdist(torch.from_numpy(p[of == k]), torch.from_numpy(p[of == j])).min() < 0.1 for j in linked
                )
            ]
            linked |= set(near)
        assert linked == set(range(len(surfaces)))


def test_the_truth_is_in_the_clouds() -> None:
    made = shapes(60, 3, noise=0.0, stray=0.1, density=0.0, normals=True)
    again = shapes(60, 3, noise=0.0, stray=0.1, density=0.0, normals=True)
    assert all(np.array_equal(a, b) for a, b in zip(made.clouds, again.clouds, strict=True))
    assert set(np.unique(made.classes)) == set(range(len(CLASSES)))
    strays = []
    for i, cloud in enumerate(made.clouds):
        assert 300 <= len(cloud) <= 600
        own = {PARTS[k] for k in np.unique(made.parts[i]) if k >= 0}
        assert own <= {s.part for s in THINGS[CLASSES[made.classes[i]]](np.random.default_rng(0))}
        strays.append(np.mean(made.parts[i] == -1))
        upright = cloud[:, :3] @ made.rotation[i] / made.scale[i]
        kept = made.parts[i] >= 0
        assert np.linalg.norm(upright[kept], axis=1).max() == pytest.approx(1, abs=0.08)
        facing = cloud[:, 3:] @ made.rotation[i]
        assert np.allclose(np.linalg.norm(facing, axis=1), 1, atol=1e-5)
        if CLASSES[made.classes[i]] == "table":
            board = made.parts[i] == PARTS.index("board")
            leg = made.parts[i] == PARTS.index("leg")
            assert upright[board, 2].min() > np.median(upright[leg, 2])
    assert np.mean(strays) == pytest.approx(0.1, abs=0.01)


def test_rotation_density_and_noise_are_as_asked() -> None:
    even, uneven = (shapes(80, 1, noise=0.0, stray=0.0, density=d, turned="no") for d in (0.0, 6.0))
    middle = [np.median(np.linalg.norm([c.mean(0) / s for c, s in zip(m.clouds, m.scale, strict=True)], axis=1))
              for m in (even, uneven)]  # fmt: skip
    assert middle[1] > 1.5 * middle[0]
    assert np.array_equal(even.rotation, np.broadcast_to(np.eye(3), (80, 3, 3)))
    up = shapes(50, 1, turned="up").rotation
    assert np.allclose(up[:, 2, 2], 1)
    every = shapes(800, 1, points=(2, 2)).rotation
    assert np.allclose(every @ every.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.abs(every.mean(0)).max() < 0.1
    for options in ({"classes": 1}, {"points": (0, 3)}, {"stray": 1.0}, {"turned": "over"}):
        with pytest.raises(OptionError):
            shapes(2, **options)


def test_neither_size_nor_number_of_points_tells_the_class() -> None:
    train, test = shapes(600, 11), shapes(300, 12)
    rows = [np.array([[len(c) / 100, 2 * np.log(s)] for c, s in zip(m.clouds, m.scale, strict=True)])
            for m in (train, test)]  # fmt: skip
    assert knn_accuracy(rows[0], train.classes, rows[1], test.classes) < 0.2


def test_rooms_are_labelled_point_by_point() -> None:
    made = rooms(12, 0, points=3000, noise=0.0)
    seen = set()
    for cloud, label, thing in zip(made.clouds, made.labels, made.objects, strict=True):
        assert cloud.shape == (3000, 6)
        assert len(label) == len(thing) == 3000
        seen |= set(label.tolist())
        floor, wall = label == 0, label == 1
        assert np.allclose(cloud[floor, 2], 0)
        half = np.abs(cloud[floor, :2]).max(0)
        assert np.allclose(np.abs(np.abs(cloud[wall, :2]) - half).min(1), 0, atol=0.05)
        assert np.abs(cloud[:, :2]).max() <= half.max() + 0.05
        for k in np.unique(thing):
            assert len(set(label[thing == k].tolist())) == 1
        # the colour is that of the thing, with some noise
        colours = np.stack([cloud[thing == k, 3:].mean(0) for k in np.unique(thing)])
        assert np.abs(cloud[:, 3:] - colours[np.searchsorted(np.unique(thing), thing)]).mean() < 0.06
    assert seen == set(range(len(SURFACES)))


def test_pictures_show_points_and_their_colours() -> None:
    made = rooms(2, 0, points=500)
    for data, options in ((made.clouds, {}), ([c[:, :3] for c in made.clouds], {})):
        source = open_source(data, "points", **options)
        spec = points.spec_of(source)
        (view,) = points.evaluation_view(spec)(source.batch(torch.arange(2)))
        picture = as_seen(view, spec, 48)
        assert picture.shape == (2, 48, 48, 3)
        inked = (picture != 255).any(3).sum((1, 2))
        assert bool((inked > 200).all())
        assert "points" in caption(picture) or "Clouds" in caption(picture)
    red = np.concatenate([made.clouds[0][:, :3], np.broadcast_to([1.0, 0.0, 0.0], (500, 3))], 1)
    mixed = [red, np.concatenate([red[:, :3], np.broadcast_to([0.0, 0.0, 1.0], (500, 3))], 1)]
    source = open_source(mixed, "points", columns="x y z r g b")
    spec = points.spec_of(source)
    picture = as_seen(points.evaluation_view(spec)(source.batch(torch.arange(2)))[0], spec, 48)
    for i, colour in enumerate(((255, 0, 0), (0, 0, 255))):
        shown = picture[i][(picture[i] != 255).any(2)]
        assert np.abs(shown.astype(int) - colour).max() <= 1
