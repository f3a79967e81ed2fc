"""Views of point clouds, against plain formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.modalities import open_source, points
from tacit.modalities.points import changes, parts
from tacit.parts.draws import Draws

LENGTH = torch.tensor([40, 60, 25])
TAKING = (
    parts.Thin(points=20),
    parts.Sample(points=20),
    parts.Sample(points=20, uneven=3.0),
    parts.Dropout(),
    parts.Sphere((0.3, 0.6)),
    parts.Cuboid((0.3, 0.6)),
    parts.Hole((0.1, 0.3)),
)
MOVING = (
    changes.Turn(),
    changes.Turn(axis="any"),
    changes.Flip(),
    changes.Scaling(),
    changes.Scaling(axes=True),
    changes.Shift(),
)
OTHER = (changes.Jitter(), changes.Tint(), changes.Forget())


def view(normals: bool = True) -> dict[str, Any]:
    """Three padded clouds with normals and colours, each column marked by the number of its point."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 9 if normals else 6, 60, generator=generator)
    if normals:
        x[:, 3:6] = torch.nn.functional.normalize(x[:, 3:6], dim=1)
    x[:, -1] = torch.arange(60) + 1.0
    x = x.masked_fill(torch.arange(60) >= LENGTH[:, None, None], 0)
    return {"x": x, "length": LENGTH, "normals": normals, "theta": torch.eye(3, 4).repeat(3, 1, 1)}


def real(made: dict[str, Any], i: int) -> Tensor:
    return made["x"][i, :, : int(made["length"][i])]


def named(change: Any) -> str:
    return repr(change)


@pytest.mark.parametrize("change", [*TAKING, *MOVING, *OTHER], ids=named)
@pytest.mark.parametrize("normals", [True, False])
def test_a_change_repeats_and_leaves_its_input_and_padding_alone(change: changes.Change, normals: bool) -> None:
    before = view(normals)
    kept = before["x"].clone()
    one, two = (change(before, Draws.seeded(3)) for _ in range(2))
    assert torch.equal(one["x"], two["x"])
    assert torch.equal(before["x"], kept)
    assert one["x"].shape != kept.shape or not torch.equal(one["x"], kept)
    beyond = torch.arange(one["x"].shape[2]) >= one["length"][:, None, None]
    assert not one["x"].masked_select(beyond).any()
    wider = before | {"x": torch.nn.functional.pad(kept, (0, 7))}
    other = change(wider, Draws.seeded(3))
    for i in range(3):
        torch.testing.assert_close(real(other, i), real(one, i))
    if not isinstance(change, (parts.Thin, changes.Flip, changes.Forget)):
        another = change(before, Draws.seeded(4))["x"]
        assert another.shape != one["x"].shape or not torch.equal(another, one["x"])


@pytest.mark.parametrize("change", TAKING, ids=named)
def test_what_is_taken_are_points_of_the_cloud_in_order(change: changes.Change) -> None:
    before = view()
    after = change(before, Draws.seeded(1))
    for i in range(3):
        marks = real(after, i)[-1].long() - 1
        assert torch.equal(real(after, i), before["x"][i][:, marks])
        assert bool((marks.diff() > 0).all())
        assert int(marks.max()) < int(LENGTH[i])


def test_how_many_are_taken() -> None:
    before = view()
    for change, low, high in (
        (parts.Sphere((0.3, 0.6)), 0.3, 0.6),
        (parts.Cuboid((0.3, 0.6)), 0.3, 0.6),
        (parts.Hole((0.1, 0.3)), 0.7, 0.9),
        (parts.Dropout((0.1, 0.3)), 0.7, 0.9),
    ):
        for seed in range(20):
            share = change(before, Draws.seeded(seed))["length"] / LENGTH
            assert bool(((share >= low - 0.03) & (share <= high + 0.03)).all())
    assert parts.Sample(points=30)(before, Draws.seeded(0))["length"].tolist() == [30, 30, 25]
    assert parts.Thin(points=30)(before, Draws.seeded(0))["length"].tolist() == [30, 30, 25]
    thin = parts.Thin(points=20)(before, Draws.seeded(0))["x"][1, -1].long() - 1
    assert torch.equal(thin, torch.arange(20) * 3)


def test_sphere_and_hole_are_what_is_nearest_to_a_point() -> None:
    before = view()
    for change, near in ((parts.Sphere((0.4, 0.4)), True), (parts.Hole((0.4, 0.4)), False)):
        after = change(before, Draws.seeded(2))
        for i in range(3):
            size = int(LENGTH[i])
            places = before["x"][i, :3, :size]
            marks = set((real(after, i)[-1].long() - 1).tolist())
            inside = marks if near else set(range(size)) - marks
            fits = [
                set(torch.cdist(places[:, k : k + 1].T, places.T)[0].argsort()[: len(inside)].tolist()) == inside
                for k in range(size)
            ]
            assert any(fits)


def test_an_uneven_sample_is_denser_on_one_side_and_an_even_one_is_not() -> None:
    x = torch.randn(400, 3, 500, generator=torch.Generator().manual_seed(1))
    cloud = {"x": x, "length": torch.full((400,), 500), "normals": False, "theta": torch.eye(3, 4).repeat(400, 1, 1)}
    off = {u: parts.Sample(points=100, uneven=u)(cloud, Draws.seeded(0))["x"].mean(2).norm(dim=1) for u in (0.0, 2.0)}
    assert float(off[0.0].mean()) < 0.2
    assert float(off[2.0].mean()) > 0.5


@pytest.mark.parametrize("change", MOVING, ids=named)
def test_places_and_normals_move_together_and_theta_says_how(change: changes.Change) -> None:
    before = view()
    after = change(before, Draws.seeded(1))
    for i in range(3):
        size = int(LENGTH[i])
        matrix, shift = after["theta"][i, :, :3].double().numpy(), after["theta"][i, :, 3].double().numpy()
        was, now = before["x"][i, :, :size].double().numpy(), after["x"][i, :, :size].double().numpy()
        assert np.allclose(now[:3], matrix @ was[:3] + shift[:, None], atol=1e-5)
        # a surface through a point, told by two directions in it, stays orthogonal to its normal
        for k in range(5):
            normal = was[3:6, k]
            plane = np.linalg.svd(normal[None])[2][1:]
            assert np.allclose((matrix @ plane.T).T @ now[3:6, k], 0, atol=1e-5)
            assert np.linalg.norm(now[3:6, k]) == pytest.approx(1, abs=1e-5)
        assert np.array_equal(now[6:], was[6:])


def test_turns_are_rotations_about_their_axis() -> None:
    cloud = {"x": torch.randn(500, 3, 4), "length": torch.full((500,), 4), "normals": False,
             "theta": torch.eye(3, 4).repeat(500, 1, 1)}  # fmt: skip
    for axis, degrees in (("z", 30.0), ("x", 180.0), ("any", 180.0), ("any", 40.0)):
        made = changes.Turn(axis=axis, degrees=degrees)(cloud, Draws.seeded(0))["theta"][..., :3]  # type: ignore[arg-type]
        torch.testing.assert_close(made @ made.transpose(1, 2), torch.eye(3).expand(500, -1, -1), atol=1e-5, rtol=0)
        assert torch.allclose(torch.linalg.det(made), torch.ones(500), atol=1e-5)
        angle = ((made.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos().rad2deg()
        assert float(angle.max()) <= degrees + 0.1
        if axis != "any":
            k = "xyz".index(axis)
            assert torch.allclose(made[:, k, k], torch.ones(500))
        elif degrees == 180:
            # of all rotations alike a vector comes to lie anywhere on the sphere
            tips = made[:, :, 0]
            assert float(tips.mean(0).abs().max()) < 0.12
            assert torch.allclose(tips.T @ tips / 500, torch.eye(3) / 3, atol=0.08)
            # and the angle has the density (1 - cos a) / pi
            assert float(angle.mean()) == pytest.approx(math.degrees(math.pi / 2 + 2 / math.pi), abs=4)


def test_jitter_has_its_size_and_is_cut_off() -> None:
    cloud = {"x": torch.zeros(20, 3, 5000), "length": torch.full((20,), 5000), "normals": False,
             "theta": torch.eye(3, 4).repeat(20, 1, 1)}  # fmt: skip
    noise = changes.Jitter(sigma=0.1, clip=10.0)(cloud, Draws.seeded(0))["x"].double()
    assert float(noise.std()) == pytest.approx(0.1, rel=0.01)
    assert float((noise / 0.1).pow(4).mean()) == pytest.approx(3, rel=0.02)
    assert float((noise[:, 0] * noise[:, 1]).mean() / 0.01) == pytest.approx(0, abs=0.02)
    assert float(changes.Jitter(sigma=0.1, clip=1.0)(cloud, Draws.seeded(0))["x"].abs().max()) == pytest.approx(0.1)


def test_tint_leaves_places_and_normals_alone() -> None:
    before = view()
    after = changes.Tint()(before, Draws.seeded(0))
    assert torch.equal(after["x"][:, :6], before["x"][:, :6])
    for i in range(3):
        was, now = before["x"][i, 6:, : int(LENGTH[i])], real(after, i)[6:]
        for row, found in zip(was, now, strict=True):
            slope = (found[1] - found[0]) / (row[1] - row[0])
            torch.testing.assert_close(found, found[0] + slope * (row - row[0]), atol=1e-4, rtol=1e-4)
    bare = {"x": before["x"][:, :3], "length": LENGTH, "normals": False, "theta": before["theta"]}
    assert torch.equal(changes.Tint()(bare, Draws.seeded(0))["x"], bare["x"])


def clouds(scaling: str = "each") -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    items = [random.normal(0, 1 + i, (30 + 10 * i, 6)) for i in range(4)]
    source = open_source(items, "points", columns="x y z r g b", scaling=scaling)
    return source, points.spec_of(source)


def test_halves_share_no_point_and_change_none() -> None:
    source, spec = clouds()
    batch = source.batch(torch.arange(4))
    (plain,) = points.evaluation_view(spec)(batch)
    one, two = points.make_views("halves", spec)(batch, Draws.seeded(0))
    for i in range(4):
        rows = [{tuple(column) for column in real(part, i).T.tolist()} for part in (one, two)]
        everything = {tuple(column) for column in real(plain, i).T.tolist()}
        assert not rows[0] & rows[1]
        assert rows[0] | rows[1] <= everything
        assert len(rows[0]) == len(rows[1]) == (30 + 10 * i) // 2


@pytest.mark.parametrize("scaling", ["each", "all"])
def test_the_evaluation_view_is_the_cloud_at_unit_size(scaling: str) -> None:
    source, spec = clouds(scaling)
    (seen,) = points.evaluation_view(spec)(source.batch(torch.arange(4)))
    sizes = torch.stack([real(seen, i)[:3].square().sum(0).mean().sqrt() for i in range(4)])
    if scaling == "each":
        assert torch.allclose(sizes, torch.ones(4), atol=1e-5)
    else:
        weight = seen["length"] / seen["length"].sum()
        assert float((weight * sizes**2).sum()) == pytest.approx(1, rel=1e-5)
        assert bool((sizes.diff() > 0.1).all())
    features = torch.cat([real(seen, i)[3:] for i in range(4)], 1)
    assert torch.allclose(features.mean(1), torch.zeros(3), atol=1e-5)
    assert torch.allclose(features.std(1, correction=0), torch.ones(3), atol=1e-4)
    for i in range(4):
        assert torch.allclose(real(seen, i)[:3].mean(1), torch.zeros(3), atol=1e-5)


def test_cropped_views_are_parts_of_the_whole_ones() -> None:
    source, spec = clouds()
    first, second, whole, other = points.make_views("cropped-and-whole", spec)(
        source.batch(torch.arange(4)), Draws.seeded(0)
    )
    for crop, full in ((first, whole), (second, other)):
        assert torch.equal(crop["theta"], full["theta"])
        for i in range(4):
            inside = {tuple(column) for column in real(crop, i).T.tolist()}
            assert inside <= {tuple(column) for column in real(full, i).T.tolist()}
    assert not torch.equal(whole["theta"], other["theta"])


def test_raw_counts_points_in_cells() -> None:
    source, spec = clouds()
    (seen,) = points.evaluation_view(spec)(source.batch(torch.arange(4)))
    found = points.raw(seen)
    assert found.shape == (4, 515)
    for i in range(4):
        rows = real(seen, i).double().numpy()
        grid, _ = np.histogramdd(rows[:3].T.clip(-1.9999, 1.9999), bins=8, range=[(-2, 2)] * 3)
        assert np.allclose(found[i, :512].numpy(), grid.flatten() / rows.shape[1], atol=1e-6)
        assert np.allclose(found[i, 512:].numpy(), rows[3:].mean(1), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: changes.Turn(axis="up"), "turn.axis"),  # type: ignore[arg-type]
        (lambda: changes.Turn(degrees=200.0), "turn.degrees"),
        (lambda: changes.Scaling((0.0, 1.0)), "scaling.factor"),
        (lambda: changes.Jitter(-1.0), "jitter.sigma"),
        (lambda: changes.Shift(-1.0), "shift.reach"),
        (lambda: changes.Tint(-1.0), "tint.contrast"),
        (lambda: parts.Sample(points=0), "sample.points"),
        (lambda: parts.Sample(uneven=-1.0), "sample.uneven"),
        (lambda: parts.Sample(p=0.5), "p is 0 or 1"),
        (lambda: parts.Sphere((0.0, 1.0)), "sphere.share"),
        (lambda: parts.Cuboid(ratio=0.5), "cuboid.ratio"),
        (lambda: parts.Dropout((0.5, 1.0)), "dropout.share"),
        (lambda: parts.Hole((0.5, 0.2)), "hole.share"),
        (lambda: points.make_views("halves", clouds()[1], share=0.7), "share"),
        (lambda: points.make_views("pair", clouds()[1], turns=0.7), "unknown option"),
    ],
)
def test_impossible_values_are_named(make: Any, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        make()
