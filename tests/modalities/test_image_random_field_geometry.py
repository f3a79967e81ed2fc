"""Masks, keypoints, inverses and colour spaces of random fields against plain loops."""

from __future__ import annotations

import colorsys
import math

import pytest
import torch
from field_transforms import images, only
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.modalities.image.hsv import hsv_to_rgb, rgb_to_hsv
from tacit.modalities.image.local_changes import SPATIAL
from tacit.modalities.image.random_field import RandomField
from tacit.parts.draws import Draws
from tacit.views import warps


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float32])
def test_masks_take_the_nearest_pixel(dtype: torch.dtype) -> None:
    height, width = 11, 17
    masks = torch.randint(0, 2 if dtype == torch.bool else 200, (3, height, width)).to(dtype)
    drawn = only(*SPATIAL).draw((3, 3, height, width), Draws.seeded(5))
    out = drawn.warp_masks(masks)
    assert out.dtype == dtype
    for b in range(3):
        for i in range(height):
            for j in range(width):
                across, down = drawn.grid[b, i, j].tolist()
                column, row = ((across + 1) * width - 1) / 2, ((down + 1) * height - 1) / 2
                if min(abs(column % 1 - 0.5), abs(row % 1 - 0.5)) < 1e-3:
                    continue
                if 0 <= round(row) < height and 0 <= round(column) < width:
                    assert out[b, i, j] == masks[b, round(row), round(column)]
    assert torch.equal(drawn.warp_masks(masks[:, None])[:, 0], out)


def test_keypoints_go_where_the_content_goes() -> None:
    height, width = 48, 64
    points = torch.rand(6, 4, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([30.0, 20.0]) + 14
    change = only(*SPATIAL, random_centre=True)
    drawn = change.draw((6, 4, height, width), Draws.seeded(2))
    moved, found = drawn.warp_keypoints(points)
    assert bool(found.all())
    assert float((moved - points).norm(dim=-1).max()) > 2
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    squares = (columns - points[..., 0, None, None]) ** 2 + (rows - points[..., 1, None, None]) ** 2
    spots = change.apply_drawn(torch.exp(-squares / 4), drawn)  # one channel a point
    near = (columns - moved[..., 0, None, None]) ** 2 + (rows - moved[..., 1, None, None]) ** 2 < 36
    spots = spots * near  # a reflection at a border may show a point twice
    mass = spots.sum((2, 3))
    centre = torch.stack([(spots * columns).sum((2, 3)) / mass, (spots * rows).sum((2, 3)) / mass], -1)
    inside = ((moved > 8) & (moved < torch.tensor([width - 9, height - 9]))).all(-1)
    assert int(inside.sum()) > 12
    assert float((centre - moved)[inside].norm(dim=-1).max()) < 0.3


def test_keypoints_of_a_warp_without_inverse_are_not_found() -> None:
    drawn = only("translation", translation=1.0, translation_length=0.1).draw((2, 1, 32, 32), Draws.seeded(0))
    _, found = drawn.warp_keypoints(torch.full((2, 5, 2), 15.0))
    assert not bool(found.all())


@settings(max_examples=25, deadline=None)
@given(height=st.integers(4, 40), width=st.integers(4, 40), seed=st.integers(0, 99))
def test_inverting_undoes_the_grid(height: int, width: int, seed: int) -> None:
    drawn = RandomField(p=1.0, strength=0.5).draw((1, 1, height, width), Draws.seeded(seed))
    i, j = height // 2, width // 2
    size = torch.tensor([width, height])
    target = ((drawn.grid[0, i, j] + 1) * size - 1) / 2
    moved, found = drawn.warp_keypoints(target.view(1, 1, 2))
    assert bool(found)
    assert torch.allclose(moved[0, 0], torch.tensor([float(j), float(i)]), atol=0.15)


def test_the_determinant_of_a_linear_map() -> None:
    matrix = torch.tensor([[1.5, 0.3], [-0.2, 0.8]])
    grid = (warps.centres((6, 9)) @ matrix.T)[None]
    assert torch.allclose(warps.determinant(grid), torch.linalg.det(matrix).expand(1, 6, 9), atol=1e-5)
    cube = torch.diag(torch.tensor([1.0, -2.0, 3.0]))
    assert torch.allclose(warps.determinant((warps.centres((3, 4, 5)) @ cube)[None]), torch.tensor(-6.0), atol=1e-4)


def test_reflection_looks_up_what_grid_sample_does() -> None:
    x = torch.arange(8.0).view(1, 1, 1, 8)
    grid = torch.stack([torch.linspace(-6.7, 6.7, 200), torch.zeros(200)], -1).view(1, 1, 200, 2)
    inside = warps.reflect(grid)
    assert float(inside.abs().max()) <= 1
    assert torch.allclose(warps.sample(x, grid), warps.sample(x, inside), atol=1e-4)


# --- colours


def test_hsv_is_colorsys() -> None:
    colours = torch.cat([images(200, 3), torch.eye(3), 1 - torch.eye(3), torch.full((2, 3), 0.5), torch.zeros(1, 3)])
    hue, saturation, value = (t[:, 0] for t in rgb_to_hsv(colours))
    back = hsv_to_rgb(*rgb_to_hsv(colours))
    for i, colour in enumerate(colours.double().tolist()):
        h, s, v = colorsys.rgb_to_hsv(*colour)
        assert abs(float(saturation[i]) - s) < 1e-5
        assert abs(float(value[i]) - v) < 1e-6
        if s > 1e-3:
            assert abs((float(hue[i]) - h + 0.5) % 1 - 0.5) < 1e-4
        wanted = colorsys.hsv_to_rgb((h + 0.3) % 1, s, v)
        turned = hsv_to_rgb(hue[i].view(1, 1) + 0.3, saturation[i].view(1, 1), value[i].view(1, 1))
        assert torch.allclose(turned[0], torch.tensor(wanted, dtype=torch.float32), atol=1e-5)
    assert torch.allclose(back, colours, atol=1e-6)


@pytest.mark.parametrize("additive", [False, True])
def test_saturation_and_brightness_by_a_loop(additive: bool) -> None:
    x = images(2, 3, 5, 6)
    change = only("hue", "saturation", "brightness", additive=additive)
    out, drawn = change(x, Draws.seeded(1), return_fields=True)
    for b in range(2):
        for i in range(5):
            for j in range(6):
                h, s, v = colorsys.rgb_to_hsv(*x[b, :, i, j].double().tolist())
                dh, ds, dv = (float(drawn.fields[n][b, 0, i, j]) for n in ("hue", "saturation", "brightness"))
                s = s + ds if additive else s * math.exp(ds)
                v = v + dv if additive else v * math.exp(dv)
                wanted = colorsys.hsv_to_rgb((h + dh) % 1, min(max(s, 0), 1), min(max(v, 0), 1))
                assert torch.allclose(out[b, :, i, j], torch.tensor(wanted, dtype=torch.float32), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_channels_have_brightness_alone(channels: int) -> None:
    x = images(4, channels, 9, 9) * 0.4
    out, drawn = RandomField(p=1.0, spatial=0.0)(x, Draws.seeded(1), return_fields=True)
    assert set(drawn.fields) == {"brightness"}
    assert torch.allclose(out, (x * drawn.fields["brightness"].exp()).clamp(0, 1), atol=1e-6)


def test_noise_has_the_drawn_standard_deviation_and_varies_over_the_image() -> None:
    x = torch.full((300, 1, 16, 16), 0.5)
    out = only("noise", noise=0.05, noise_length=0.3)(x, Draws.seeded(0))
    assert abs(float((out - x).square().mean().sqrt()) / 0.05 - 1) < 0.03
    quarters = (out - x).square().unfold(2, 4, 4).unfold(3, 4, 4).mean((-1, -2))
    far = torch.corrcoef(torch.stack([quarters[..., 0, 0].flatten(), quarters[..., 3, 3].flatten()]))[0, 1]
    near = torch.corrcoef(torch.stack([quarters[..., 1, 1].flatten(), quarters[..., 1, 2].flatten()]))[0, 1]
    assert near > 0.3 > abs(far)


# --- the contract
