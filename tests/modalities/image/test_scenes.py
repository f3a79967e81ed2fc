"""Rendered scenes against marching along lines of sight, and against themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tacit.errors import OptionError
from tacit.modalities.image.scenes import BINS, THINGS, first_hit, rendered_scenes


def test_lines_of_sight_meet_what_marching_meets() -> None:
    random = np.random.default_rng(0)
    solids = []
    for centre in ((-0.4, 0.1, 0.0), (0.3, -0.2, 0.5)):
        normal = np.concatenate([Rotation.random(random_state=random).as_matrix() * sign for sign in (1, -1)])
        offset = random.uniform(0.2, 0.6, 6) + normal @ centre
        solids.append(np.concatenate([normal, offset[:, None]], 1))
    planes = torch.from_numpy(np.stack(solids)).float()
    place = torch.from_numpy(random.uniform(-1, 1, (9, 9, 2))).float()
    t, normal = first_hit(planes, place)
    step = np.arange(-3, 3, 1e-3)
    points = np.concatenate([np.broadcast_to(place.numpy()[..., None, :], (9, 9, len(step), 2)), np.broadcast_to(
        step[:, None], (9, 9, len(step), 1))], -1)  # fmt: skip
    inside = np.zeros(points.shape[:-1], bool)
    for solid in solids:
        inside |= (points @ solid[:, :3].T <= solid[:, 3]).all(-1)
    met = inside.any(-1)
    assert 10 < met.sum() < 75
    thin = np.isfinite(t.numpy()) & ~met  # a corner that is thinner than a step
    assert thin.sum() <= 2
    np.testing.assert_allclose(t.numpy()[met], step[inside.argmax(-1)][met], atol=2e-3)
    surface = points[..., 0, :].copy()
    surface[..., 2] = t.numpy()
    for where in np.argwhere(met):
        n, p = normal.numpy()[tuple(where)], surface[tuple(where)]
        assert n[2] < 0  # towards the camera
        assert any(
            np.isclose(solid[:, 3], p @ solid[:, :3].T, atol=1e-4)[(solid[:, :3] @ n > 0.999)].any() for solid in solids
        )


def test_a_line_along_a_side_misses_or_meets_as_the_side_says() -> None:
    cube = torch.tensor([[[1.0, 0, 0, 1], [-1, 0, 0, 1], [0, 1, 0, 1], [0, -1, 0, 1], [0, 0, 1, 1], [0, 0, -1, 1]]])
    t, normal = first_hit(cube, torch.tensor([[[0.5, -0.9], [1.5, 0.0]]]))
    assert t.tolist() == [[-1.0, float("inf")]]
    assert normal[0, 0].tolist() == [0, 0, -1]


def test_depth_class_and_normals_tell_of_one_surface() -> None:
    made = rendered_scenes(count=60, size=48, seed=3)
    assert made.images.shape == (60, 3, 48, 48)
    assert made.images.dtype == np.uint8
    thing = made.classes > 0
    np.testing.assert_array_equal(thing, made.depth < 5)
    assert set(np.unique(made.classes[thing] - 1)) == set(np.unique(made.kind))
    np.testing.assert_allclose(np.linalg.norm(made.normals, axis=1), 1, atol=1e-5)
    # the slope of the depth, from one pixel to the next, is that of a plane with this normal
    width = 2 / 48 * made.distance[:, 0, None, None] / 2.0
    slope = made.depth[:, :, 1:] - made.depth[:, :, :-1]
    flat = thing[:, :, 1:] & (made.normals[:, :, :, 1:] == made.normals[:, :, :, :-1]).all(1) & thing[:, :, :-1]
    expected = -made.normals[:, 0, :, 1:] / made.normals[:, 2, :, 1:] * width
    steep = made.normals[:, 2, :, 1:] > -0.1
    agree = np.isclose(slope, expected, atol=1e-4)[flat & ~steep]
    assert agree.mean() > 0.97  # else two faces are parallel
    # of two things the nearer one hides the other
    pair = rendered_scenes(count=40, size=24, things=3, seed=1)
    assert pair.kind.shape == (40, 3)
    far = pair.distance.max(1) + 1.3
    assert (
        pair.depth[pair.classes > 0] < np.broadcast_to(far[:, None, None], pair.depth.shape)[pair.classes > 0]
    ).all()


def test_boxes_are_the_extents_of_things() -> None:
    alone = rendered_scenes(count=40, size=24, seed=4)
    for mask, (x0, y0, x1, y1) in zip(alone.classes > 0, alone.boxes[:, 0], strict=True):
        rows, columns = np.nonzero(mask)
        assert (x0, y0, x1, y1) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert (alone.visible == 1).all()
    assert (alone.labelled_boxes()[..., 5] == 0).all()
    # of things that are all of different kinds, a class map tells what is seen of each
    many = rendered_scenes(count=60, size=24, things=3, seed=5)
    for place in range(60):
        if len(set(many.kind[place])) < 3:
            continue
        for kind, box, share in zip(many.kind[place], many.boxes[place].astype(int), many.visible[place], strict=True):
            seen = many.classes[place] == 1 + kind
            x0, y0, x1, y1 = box
            assert seen.sum() == seen[y0:y1, x0:x1].sum()
            assert 0 <= share <= 1
            assert (share > 0) == seen.any()
            if share == 1:
                rows, columns = np.nonzero(seen)
                assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box.tolist()
    assert ((many.visible > 0) & (many.visible < 1)).sum() > 20
    # far things are hidden more
    order = many.distance.argsort(1)
    near, far = (np.take_along_axis(many.visible, order[:, [place]], 1).mean() for place in (0, 2))
    assert near > far + 0.1
    rows = many.labelled_boxes(least=0.4)
    hidden = many.visible == 0
    assert (rows[hidden] == -1).all()
    np.testing.assert_array_equal(rows[~hidden][:, 5], many.visible[~hidden] < 0.4)
    np.testing.assert_array_equal(rows[~hidden][:, 1:5], many.boxes[~hidden])


def test_switches() -> None:
    plain = rendered_scenes(count=80, viewpoint=False, colour=False, texture=False, lighting=False, seed=2)
    assert (plain.pose == 0).all()
    for kind in range(len(THINGS)):  # the same sides are seen, and each has one brightness
        rows = np.flatnonzero(plain.kind[:, 0] == kind)
        tones = {tuple(np.unique(plain.images[row][:, plain.classes[row] > 0])) for row in rows}
        assert max(map(len, tones)) <= 5
    assert (plain.images[:, 0] == plain.images[:, 2]).all()
    turned = rendered_scenes(count=300, seed=2)
    assert np.bincount(turned.pose[:, 0], minlength=BINS).min() > 30
    assert np.bincount(turned.kind[:, 0], minlength=len(THINGS)).min() > 10
    assert (turned.images[:, 0] != turned.images[:, 2]).any((1, 2)).mean() > 0.95
    again = rendered_scenes(count=20, seed=5)
    np.testing.assert_array_equal(again.images, rendered_scenes(count=20, seed=5).images)
    assert not np.array_equal(again.images, rendered_scenes("test", count=20, seed=5).images)
    assert (plain.classes > 0).mean((1, 2)).min() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": "all"}, "part must be"),
        ({"count": 0}, "count must"),
        ({"size": 8}, "size must"),
        ({"things": 0}, "things"),
    ],
)
def test_bad_input(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        rendered_scenes(**options)
