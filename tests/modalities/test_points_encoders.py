"""Encoders of point clouds against plain loops, and what must not change what they give."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import OptionError
from tacit.modalities import points
from tacit.modalities.points.neighbours import at, farthest_points, nearest_points
from tacit.parts.tokens import TokenEncoder
from tacit.parts.voxels import (
    AROUND,
    Cells,
    Coarser,
    Finer,
    Pyramid,
    SparseConv,
    VoxelEncoder,
    corners,
    occupied,
    sampled,
)

SPEC = points.Spec(("normals", "colours"), 64, 64, True, "each", 1.0, (0.0,) * 6, (1.0,) * 6)
SMALL: dict[str, dict[str, Any]] = {
    "pointnet": {"centres": (16, 4), "size": 6, "width": 8, "dim": 12},
    "transformer": {"patches": 8, "size": 6, "width": 16, "depth": 1, "heads": 2},
    "voxels": {"cell": 0.4, "widths": (4, 6, 8)},
}
every_encoder = pytest.mark.parametrize("name", points.encoder_names())


def padded() -> tuple[Tensor, Tensor]:
    length = torch.tensor([64, 30, 3, 1])
    x = torch.randn(4, 9, 64, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(torch.arange(64) >= length[:, None, None], 0), length


@every_encoder
def test_neither_padding_nor_neighbours_nor_order_change_an_embedding(name: str) -> None:
    encoder = points.make_encoder(name, SPEC, **SMALL[name]).eval()
    x, length = padded()
    found = encoder(x, length)
    assert found.shape == (4, encoder.dim)
    more = encoder(F.pad(x, (0, 33)), length)
    assert torch.allclose(found, more, atol=1e-5)
    for i in range(4):
        alone = encoder(x[i : i + 1, :, : int(length[i])])
        assert torch.allclose(found[i], alone[0], atol=1e-5)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    mixed = encoder(x[1:2, :, :30][..., order])
    assert torch.allclose(found[1], mixed[0], atol=1e-5)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@every_encoder
def test_every_parameter_learns(name: str) -> None:
    encoder = points.make_encoder(name, SPEC, **SMALL[name])
    x, length = padded()
    (encoder(x, length) * torch.randn(encoder.dim)).square().sum().backward()
    reached = {n for n, p in encoder.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert reached == {n for n, _ in encoder.named_parameters()}
    assert all(bool(p.grad.isfinite().all()) for p in encoder.parameters() if p.grad is not None)


@every_encoder
def test_equal_points_and_places_far_away_give_finite_numbers(name: str) -> None:
    encoder = points.make_encoder(name, SPEC, **SMALL[name])
    for x in (torch.zeros(2, 9, 20), torch.randn(2, 9, 20) * 1e6):
        x.requires_grad_(True)
        found = encoder(x)
        found.sum().backward()
        assert found.isfinite().all()
        assert x.grad is None or x.grad.isfinite().all()


def test_farthest_points_are_those_of_a_plain_loop() -> None:
    x, length = padded()
    places = x[:, :3].transpose(1, 2)
    real = torch.arange(64) < length[:, None]
    chosen, valid = farthest_points(places, real, 10)
    for i in range(4):
        rows = places[i, : int(length[i])].double().numpy()
        wanted = [int(np.linalg.norm(rows - rows.mean(0), axis=1).argmax())]
        while len(wanted) < min(10, len(rows)):
            away = [min(np.linalg.norm(row - rows[j]) for j in wanted) for row in rows]
            wanted.append(int(np.argmax(away)))
        assert chosen[i, : len(wanted)].tolist() == wanted
        assert valid[i].tolist() == [k < len(wanted) for k in range(10)]


def test_nearest_points_are_those_of_a_plain_loop() -> None:
    x, length = padded()
    places = x[:, :3].transpose(1, 2)
    real = torch.arange(64) < length[:, None]
    found, known = nearest_points(places[:, :5], places, real, 7)
    for i in range(4):
        rows = places[i, : int(length[i])].double().numpy()
        for k in range(5):
            order = np.linalg.norm(rows - places[i, k].double().numpy(), axis=1).argsort()[:7].tolist()
            assert found[i, k, : len(order)].tolist() == order
            assert known[i, k].sum() == len(order)
    assert torch.equal(at(places, found)[0, 2, 3], places[0, found[0, 2, 3]])


def test_a_token_is_a_patch_about_a_point() -> None:
    encoder = points.make_encoder("transformer", SPEC, **SMALL["transformer"])
    assert isinstance(encoder, TokenEncoder)
    x, length = padded()
    tokens = encoder.tokenize(x, length=length)
    assert tokens.counts().tolist() == [8, 8, 3, 1]
    assert tokens.target.shape == (4, 8, encoder.target_dim)
    places = x[:, :3].transpose(1, 2)
    chosen, _ = farthest_points(places, torch.arange(64) < length[:, None], 8)
    for i, k in ((0, 0), (0, 5), (1, 7), (2, 1)):
        rows = x[i, :, : int(length[i])].double().numpy().T
        middle = rows[int(chosen[i, k])]
        assert np.allclose(tokens.position[i, k].numpy(), middle[:3] / 6 + 0.5, atol=1e-6)
        near = rows[np.linalg.norm(rows[:, :3] - middle[:3], axis=1).argsort()[:6]]
        away = near[:, :3] - middle[:3]
        reach = np.abs(away).max()
        grid, _ = np.histogramdd(away, bins=3, range=[(-reach, reach)] * 3)
        target = tokens.target[i, k].numpy()
        assert np.allclose(target[:27], 27 * grid.flatten() / len(near), atol=1e-5)
        assert target[27] == pytest.approx(np.log(np.linalg.norm(away, axis=1).max()), abs=1e-4)
        assert np.allclose(target[28:], near[:, 3:].mean(0), atol=1e-5)


def cells(size: float = 0.5) -> tuple[Cells, Tensor, Tensor]:
    x, length = padded()
    real = torch.arange(64) < length[:, None]
    found, inside = occupied(x[:, :3], real, size)
    return found, inside, x[:, :3].transpose(1, 2)[real]


def table_of(found: Cells) -> dict[tuple[int, ...], int]:
    rows = zip(found.sample.tolist(), found.cell.tolist(), strict=True)
    return {(sample, *cell): i for i, (sample, cell) in enumerate(rows)}


def test_cells_are_those_that_hold_a_point() -> None:
    found, inside, places = cells()
    x, length = padded()
    members: dict[tuple[int, ...], list[np.ndarray]] = {}
    for i in range(4):
        for row in x[i, :3, : int(length[i])].T.numpy():
            members.setdefault((i, *np.floor(row / 0.5).astype(int).tolist()), []).append(row)
    table = table_of(found)
    assert table.keys() == members.keys()
    for key, rows in members.items():
        assert np.allclose(found.position[table[key]].numpy(), np.mean(rows, 0), atol=1e-5)
        assert int(found.points[table[key]]) == len(rows)
    assert torch.equal(found.cell[inside], (places / 0.5).floor().long())
    assert bool((found.keys.diff() > 0).all())
    assert bool((found.sample.diff() >= 0).all())
    nowhere = found.find(torch.tensor([0, 3]), torch.tensor([[400, 0, 0], [99999, 0, 0]]))
    assert nowhere.tolist() == [-1, -1]
    for sample in range(4):
        places_of = found.places()[found.sample == sample]
        assert places_of.tolist() == list(range(len(places_of)))


def test_coarser_cells_hold_the_points_of_theirs() -> None:
    found, _, _ = cells()
    above, parent = found.coarser()
    direct, _ = occupied(*_cloud(), 1.0)
    assert torch.equal(above.cell, direct.cell)
    assert torch.equal(above.points, direct.points)
    assert torch.allclose(above.position, direct.position, atol=1e-5)
    assert torch.equal(above.cell[parent], torch.div(found.cell, 2, rounding_mode="floor"))


def _cloud() -> tuple[Tensor, Tensor]:
    x, length = padded()
    return x[:, :3], torch.arange(64) < length[:, None]


def dense(found: Cells, features: Tensor) -> tuple[Tensor, Tensor]:
    """Cells on a dense grid, ``[B, C, X, Y, Z]``, and where each lies on it."""
    low = found.cell.amin(0) - 2
    low = low - low % 2  # pairs of cells that are one at twice the size stay pairs
    place = found.cell - low
    sides = place.amax(0) + 3
    sides = sides + sides % 2
    grid = torch.zeros(found.samples, *sides.tolist(), features.shape[1], dtype=features.dtype)
    grid[found.sample, place[:, 0], place[:, 1], place[:, 2]] = features
    return grid.permute(0, 4, 1, 2, 3), place


def test_a_sparse_convolution_is_a_dense_one_at_occupied_cells() -> None:
    found, _, _ = cells()
    torch.manual_seed(0)
    conv = SparseConv(3, 5).double()
    features = torch.randn(len(found), 3, dtype=torch.float64, requires_grad=True)
    out = conv(features, found)
    grid, place = dense(found, features.detach())
    kernel = conv.weight.detach().unflatten(0, (3, 3, 3)).permute(4, 3, 0, 1, 2)
    wanted = F.conv3d(grid, kernel, conv.bias.detach(), padding=1)
    wanted = wanted[found.sample, :, place[:, 0], place[:, 1], place[:, 2]]
    torch.testing.assert_close(out.detach(), wanted)
    assert AROUND[13] == (0, 0, 0)
    few = found.select(torch.arange(len(found)) < 4)
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: conv(x, few), rows)


def test_coarser_and_finer_are_strided_convolutions() -> None:
    found, _, _ = cells()
    above, parent = found.coarser()
    torch.manual_seed(0)
    down, up = Coarser(3, 5).double(), Finer(5, 3).double()
    features = torch.randn(len(found), 3, dtype=torch.float64)
    small = down(features, found, parent, len(above))
    grid, place = dense(found, features)
    kernel = down.weight.detach().unflatten(0, (2, 2, 2)).permute(4, 3, 0, 1, 2)
    wanted = F.conv3d(grid, kernel, down.bias.detach(), stride=2)
    half = (place // 2)[torch.stack([(parent == k).nonzero()[0, 0] for k in range(len(above))])]
    wanted = wanted[above.sample, :, half[:, 0], half[:, 1], half[:, 2]]
    torch.testing.assert_close(small.detach(), wanted)
    large = up(small.detach(), found, parent)
    for i in range(0, len(found), 7):
        corner = (found.cell[i] % 2).tolist()
        weight = up.weight[(corner[0] * 2 + corner[1]) * 2 + corner[2]]
        torch.testing.assert_close(large[i], small[parent[i]] @ weight + up.bias)


def test_trilinear_interpolation_is_that_of_a_plain_loop() -> None:
    found, inside, places = cells()
    sample = found.sample[inside]
    where, weight = corners(found, sample, places)
    table = table_of(found)
    features = torch.randn(len(found), 4)
    out = sampled([features], Pyramid(found, 1), sample, places)
    for p in range(0, len(places), 5):
        low = np.floor(places[p].numpy() / 0.5 - 0.5).astype(int)
        share = places[p].numpy() / 0.5 - 0.5 - low
        total, value = 0.0, np.zeros(4)
        for corner in itertools.product((0, 1), repeat=3):
            key = (int(sample[p]), *(low + corner).tolist())
            w = float(np.prod([share[d] if corner[d] else 1 - share[d] for d in range(3)]))
            if key in table:
                total, value = total + w, value + w * features[table[key]].numpy()
        assert total > 0
        assert np.allclose(out[p].numpy(), value / total, atol=1e-4)
    assert torch.allclose(weight.sum(1), torch.ones(len(places)))
    assert where.shape == (len(places), 8)


def test_the_u_net_gives_something_for_every_point_and_cell() -> None:
    encoder = points.make_encoder("voxels", SPEC, **SMALL["voxels"]).eval()
    assert isinstance(encoder, VoxelEncoder)
    x, length = padded()
    rows = encoder.points(x, length)
    assert rows.shape == (4, 64, encoder.dim)
    assert encoder.dim == 18
    assert not rows[1, 30:].any()
    found, entry = encoder.entry(x, length)
    assert entry.shape == (len(found), encoder.target_dim)
    members = (x[0, :3] / 0.4).floor()
    cell = members[:, 5]
    same = (members == cell[:, None]).all(0)
    row = int(found.find(torch.tensor([0]), cell.long()[None])[0])
    mean = x[0][:, same].mean(1)
    assert torch.allclose(entry[row, 3:], mean[3:], atol=1e-5)
    assert torch.allclose(entry[row, :3], 2 * (mean[:3] / 0.4 - cell) - 1, atol=1e-4)
    assert float(entry[:, :3].abs().max()) <= 1 + 1e-4
    pyramid, levels = encoder.hierarchy(x, length)
    means = [features[cells.sample == 1].mean(0) for cells, features in zip(pyramid.levels, levels, strict=True)]
    assert torch.allclose(encoder(x, length)[1], torch.cat(means), atol=1e-5)


def test_moving_a_cloud_by_whole_cells_changes_nothing() -> None:
    encoder = points.make_encoder("voxels", SPEC, **SMALL["voxels"]).eval()
    x, length = padded()
    moved = x.clone()
    moved[0, 0] += 0.4 * 4 * 3  # the coarsest cells are four of the finest
    assert torch.allclose(encoder(moved, length)[0], encoder(x, length)[0], atol=2e-3)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("pointnet", {"centres": ()}, "centres"),
        ("pointnet", {"size": 0}, "size"),
        ("transformer", {"patches": 0}, "patches"),
        ("transformer", {"heads": 3}, "multiple of heads"),
        ("voxels", {"cell": 0.0}, "cell"),
        ("voxels", {"widths": ()}, "widths"),
        ("resnet", {}, "unknown encoder"),
    ],
)
def test_impossible_encoders_are_refused(name: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        points.make_encoder(name, SPEC, **options)


def test_any_module_is_an_encoder() -> None:
    made = points.wrap_encoder(torch.nn.Conv1d(9, 6, 1), SPEC)
    assert made.dim == 6
    assert made(padded()[0]).shape == (4, 6)
