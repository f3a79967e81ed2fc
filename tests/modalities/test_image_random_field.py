"""Random field transforms against torchvision's global ones, closed forms, and plain loops."""

from __future__ import annotations

import colorsys
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from torchvision.transforms.v2 import functional as tvf

from tacit import registry
from tacit.errors import DataError, OptionError
from tacit.modalities.image.hsv import hsv_to_rgb, rgb_to_hsv
from tacit.modalities.image.local_changes import FAMILIES, SPATIAL, affine_grid, diagnostics, recolour
from tacit.modalities.image.random_field import RandomField, random_field_views
from tacit.modalities.image.spec import Spec
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.views import warps

GLOBAL = {f"{name}_length": 1e6 for name in FAMILIES}
EXTRAS = {"contrast": 0.3, "gamma": 0.3, "blur": 0.02, "noise": 0.1}


def only(*names: str, **options: object) -> RandomField:
    """A transform with these families alone, on every image."""
    return RandomField(p={name: float(name in names) for name in FAMILIES}, **options)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# --- the global limit


@pytest.mark.parametrize("sampler", ["spectral", "fourier-features", "coarse-grid"])
@pytest.mark.parametrize("size", [(40, 40), (36, 50), (50, 36)])
def test_infinite_lengths_are_torchvisions_affine(sampler: str, size: tuple[int, int]) -> None:
    change = only("rotation", "scale", "translation", isotropic=True, sampler=sampler, **GLOBAL)
    x = images(4, 3, *size)
    out, drawn = change(x, torch.Generator().manual_seed(1), return_fields=True)
    for i in range(len(x)):
        angle, scale = float(drawn.fields["rotation"][i].mean()), float(drawn.fields["scale"][i].mean())
        shift = drawn.fields["translation"][i].mean((1, 2)) * min(size)
        # torchvision moves the content, we look it up: y = A x + t is its inverse map, of shift -A^-1 t.
        cos, sin = math.cos(angle), math.sin(angle)
        back = [
            -(cos * shift[0] + sin * shift[1]) / math.exp(scale),
            -(-sin * shift[0] + cos * shift[1]) / math.exp(scale),
        ]
        options = {
            "angle": -math.degrees(angle),
            "translate": [float(v) for v in back],
            "scale": math.exp(-scale),
            "shear": [0.0, 0.0],
            "interpolation": tvf.InterpolationMode.BILINEAR,
        }
        wanted = tvf.affine(x[i], **options)
        inside = tvf.affine(torch.ones(1, *size), **options) > 0.999
        assert float(inside.float().mean()) > 0.3
        assert float(((out[i] - wanted) * inside).abs().max()) < 1e-3


def test_a_constant_shear_is_its_matrix() -> None:
    fields = {"shear": torch.tensor([0.2, -0.1]).view(1, 2, 1, 1).expand(1, 2, 9, 9)}
    matrix = torch.tensor([[[1.0, 0.2, 0.0], [-0.1, 1.0, 0.0]]])
    wanted = torch.nn.functional.affine_grid(matrix, [1, 1, 9, 9], align_corners=False)
    assert torch.allclose(affine_grid(fields, (9, 9)), wanted, atol=1e-6)


def test_a_constant_hue_is_torchvisions() -> None:
    x = images(5, 3, 8, 9)
    out, drawn = only("hue", hue=0.2, **GLOBAL)(x, Draws.seeded(3), return_fields=True)
    for i in range(len(x)):
        turn = float(drawn.fields["hue"][i].mean())
        assert abs(turn) > 1e-3
        assert torch.allclose(out[i], tvf.adjust_hue(x[i], turn), atol=1e-4)


@pytest.mark.parametrize("also", [(), ("saturation",)])
def test_a_constant_brightness_is_torchvisions_where_nothing_is_clipped(also: tuple[str, ...]) -> None:
    x = images(6, 3, 8, 9) * 0.4
    sigma = dict.fromkeys(also, 1e-9)  # the way through HSV and the one without it agree
    out, drawn = only("brightness", *also, brightness=0.2, **sigma, **GLOBAL)(x, Draws.seeded(3), return_fields=True)
    factor = drawn.fields["brightness"].mean((1, 2, 3)).exp()
    for i in range(len(x)):
        assert torch.allclose(out[i], tvf.adjust_brightness(x[i], float(factor[i])), atol=1e-5)


def test_a_constant_contrast_and_gamma_are_torchvisions() -> None:
    x = images(4, 3, 8, 9) * 0.5 + 0.25
    out, drawn = only("contrast", contrast=0.2, **GLOBAL)(x, Draws.seeded(2), return_fields=True)
    power, exponent = only("gamma", gamma=0.3, **GLOBAL)(x, Draws.seeded(2), return_fields=True)
    for i in range(len(x)):
        factor = float(drawn.fields["contrast"][i].mean().exp())
        assert torch.allclose(out[i], tvf.adjust_contrast(x[i], factor), atol=1e-3)
        assert torch.allclose(power[i], x[i] ** float(exponent.fields["gamma"][i].mean().exp()), atol=1e-5)


def test_a_constant_blur_of_one_unit_is_torchvisions() -> None:
    x = images(1, 3, 24, 24)
    wide = torch.full((1, 1, 24, 24), 0.05)
    wanted = tvf.gaussian_blur(x, [9, 9], [1.2, 1.2])
    assert torch.allclose(recolour(x, {"blur": wide}, blur=0.05), wanted, atol=1e-5)
    half = recolour(x, {"blur": wide / 2}, blur=0.05)
    assert torch.allclose(half, (x + wanted) / 2, atol=1e-5)


# --- nothing changes nothing


def test_strength_zero_is_the_identity() -> None:
    x = images(3, 3, 12, 20)
    assert torch.equal(RandomField(strength=0.0, p=1.0, **EXTRAS)(x, Draws.seeded(0)), x)
    assert torch.equal(RandomField(p=0.0, **EXTRAS)(x, Draws.seeded(0)), x)


@pytest.mark.parametrize("size", [(32, 32), (20, 31), (224, 224)])
def test_a_vanishing_strength_is_the_identity_through_every_step(size: tuple[int, int]) -> None:
    x = images(2, 3, *size)
    out, drawn = RandomField(strength=1e-7, p=1.0, **EXTRAS)(x, Draws.seeded(0), return_fields=True)
    assert set(drawn.fields) == set(FAMILIES)
    # float32 places a pixel of 224 to about 1e-5 of a pixel; in smaller images it is the strength that counts.
    assert float((out - x).abs().max()) < (1e-5 if max(size) < 100 else 1e-4)


# --- folds and distortion


def displaced(ratio: float, length: float = 0.3, many: int = 500, side: int = 40) -> torch.Tensor:
    change = only("translation", translation=ratio * length, translation_length=length)
    return warps.determinant(change.draw((many, 1, side, side), Draws.seeded(8)).grid)


def test_folds_and_distortion_of_shifts_are_those_of_a_gaussian_gradient() -> None:
    noise = torch.randn(4, 1_000_000, generator=torch.Generator().manual_seed(0))
    rates = []
    # Shares of folded pixels in percent that hold for infinitely many images.
    for ratio, known in ((0.1, 0.0), (0.2, 0.0), (0.25, 0.02), (0.33, 0.51), (0.5, 6.76), (1.0, 30.3)):
        a, b, c, d = noise * ratio
        exact = (1 + a) * (1 + d) - b * c
        assert abs(100 * float((exact <= 0).float().mean()) - known) < 0.1
        det = displaced(ratio)
        folds, distortion = (det <= 0).float().mean((1, 2)), det.abs().log().abs().mean((1, 2))
        for each, wanted in ((folds, (exact <= 0).float().mean()), (distortion, exact.abs().log().abs().mean())):
            error = float(each.std()) / math.sqrt(len(each))
            assert abs(float(each.mean() - wanted)) < 4 * error + 0.02 * float(wanted) + 1e-4
        rates.append(float(folds.mean()))
    assert rates == sorted(rates)
    assert rates[1] == 0 < rates[3] < rates[4] < rates[5]


@pytest.mark.parametrize("degrees", [5.0, 10.0, 20.0, 40.0])
def test_folds_of_turns_about_the_centre_have_a_closed_form(degrees: float) -> None:
    # det J = 1 + r d(angle)/d(tangent): it folds where the slope of the angle, N(0, (sigma/l)^2), is below -1/r.
    side, length = 40, 0.5
    change = only("rotation", rotation=degrees, rotation_length=length)
    det = warps.determinant(change.draw((800, 1, side, side), Draws.seeded(8)).grid)
    folds = (det <= 0).float().mean((1, 2))
    radius = warps.centres((side, side)).norm(dim=-1) / 2
    wanted = float(norm.cdf(-length / (radius * math.radians(degrees))).mean())
    assert abs(float(folds.mean()) - wanted) < 4 * float(folds.std()) / math.sqrt(len(folds)) + 1e-5


@pytest.mark.parametrize(("length", "spread"), [(0.1, 0.97), (0.3, 0.79), (0.5, 0.60), (1.0, 0.34), (1e6, 0.0)])
def test_how_local_a_field_is(length: float, spread: float) -> None:
    change = only("hue", hue=1.0, hue_length=length)
    each = change.draw((600, 3, 32, 32), Draws.seeded(4)).fields["hue"].flatten(1).std(1)
    assert abs(float(each.mean()) - spread) < 4 * float(each.std()) / math.sqrt(len(each)) + 0.005


def test_diagnostics_measure_and_warn() -> None:
    change = RandomField(hue=0.1, p=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mild = change.diagnose((32, 32))
    assert mild.fold_rate < 0.01
    assert 0.05 < mild.distortion < 0.6
    drawn = change.draw((400, 3, 16, 16), Draws.seeded(1))
    assert abs(diagnostics(drawn).colour_energy["hue"] - 0.1 * math.sqrt(2 / math.pi)) < 0.005
    with pytest.warns(UserWarning, match="folds"):
        strong = RandomField(strength=6.0).diagnose((32, 32))
    assert strong.fold_rate > 0.01
    still = diagnostics(only("brightness").draw((2, 3, 5, 1), Draws.seeded(0)))
    assert (still.fold_rate, still.distortion) == (0.0, 0.0)


# --- masks and keypoints


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


def test_families_are_applied_with_their_probability_apart() -> None:
    change = RandomField(p={"rotation": 0.2, "hue": 1.0, "shear": 0.0})
    drawn = change.draw((4000, 3, 4, 4), Draws.seeded(0))
    assert "shear" not in drawn.fields
    shares = {name: float(chosen.float().mean()) for name, chosen in drawn.applied.items()}
    assert abs(shares["rotation"] - 0.2) < 0.03
    assert shares["hue"] == 1.0
    assert abs(shares["brightness"] - 0.5) < 0.04
    both = float((drawn.applied["rotation"] & drawn.applied["brightness"]).float().mean())
    assert abs(both - 0.1) < 0.02
    for name, chosen in drawn.applied.items():
        assert torch.equal(drawn.fields[name].flatten(1).abs().amax(1) > 0, chosen)


def test_a_seed_repeats_and_torchs_global_state_is_left_alone() -> None:
    x = images(5, 3, 12, 12)
    change = RandomField(p=1.0, **EXTRAS)
    state = torch.get_rng_state()
    first, second = (change(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(change(x, Draws(torch.Generator().manual_seed(3))), first)
    assert not torch.equal(change(x, torch.Generator().manual_seed(4)), first)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    assert torch.equal(change(x), first)


def test_ranks_see_the_rows_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(6, 3, 10, 14)
    change = RandomField(random_centre=True, **EXTRAS)
    whole = change(x, Draws.seeded(9))
    halves = []
    for rank in range(2):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 2))
        halves.append(change(x[3 * rank : 3 * rank + 3], Draws.seeded(9)))
    assert torch.allclose(torch.cat(halves), whole, atol=1e-5)


def test_chunks_do_not_show() -> None:
    x = images(9, 3, 96, 96)  # more than one chunk on a CPU
    change = RandomField(p=1.0)
    assert len(change._chunks(tuple(x.shape), x.device)) > 1
    out, drawn = change(x, Draws.seeded(1), return_fields=True)
    assert torch.allclose(change.apply_drawn(x, drawn), out, atol=1e-5)
    assert torch.allclose(drawn.grid, change.draw(tuple(x.shape), Draws.seeded(1)).grid, atol=1e-5)


def test_a_random_centre_stays_in_place() -> None:
    change = only("rotation", random_centre=True, rotation=30.0, **GLOBAL)
    drawn = change.draw((5, 3, 20, 30), Draws.seeded(2))
    size = torch.tensor([30.0, 20.0])
    at = ((drawn.centre + 1) * size - 1) / 2
    moved, found = drawn.warp_keypoints(at[:, None])
    assert bool(found.all())
    inside = ((at > 0) & (at < size - 1)).all(-1)  # beyond the outer pixels' centres the grid has no values
    assert torch.allclose(moved[inside, 0], at[inside], atol=0.06)
    assert float(drawn.centre[inside].abs().max()) > 0.3


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 3),
    channels=st.sampled_from([1, 2, 3]),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    strength=st.floats(0, 4),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    options=st.fixed_dictionaries(
        {
            "additive": st.booleans(),
            "isotropic": st.booleans(),
            "random_centre": st.booleans(),
            "every": st.integers(1, 4),
            "sampler": st.sampled_from(["spectral", "fourier-features", "coarse-grid"]),
        }
    ),
)
def test_any_images_stay_images(
    batch: int, channels: int, height: int, width: int, strength: float, dtype: torch.dtype, options: dict
) -> None:
    x = images(batch, channels, height, width).to(dtype)
    out = RandomField(strength=strength, p=1.0, features=16, **EXTRAS, **options)(x, Draws.seeded(1))
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    assert bool(out.isfinite().all())
    assert -1e-3 <= float(out.min()) <= float(out.max()) <= 1 + 1e-3


def test_gradients_reach_the_images_when_asked_for() -> None:
    x = images(2, 3, 8, 8).requires_grad_()
    assert not RandomField(p=1.0)(x, Draws.seeded(0)).requires_grad
    RandomField(p=1.0, differentiable=True, **EXTRAS)(x, Draws.seeded(0)).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
    assert float(x.grad.abs().sum()) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hue": -0.1}, "hue must be a number of at least 0"),
        ({"strength": math.nan}, "strength must be"),
        ({"rotation_length": 0.0}, "rotation_length must be a positive"),
        ({"hue_length": -1.0}, "hue_length"),
        ({"shear_length": math.nan}, "shear_length"),
        ({"p": 1.5}, "probability"),
        ({"p": {"hues": 0.5}}, "did you mean 'hue'"),
        ({"sampler": "fft"}, "sampler"),
    ],
)
def test_bad_options_are_named(options: dict, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        RandomField(**options)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "divide 8-bit images by 255"),
        (torch.full((2, 3, 4, 4), 200.0), "scale them first"),
        (torch.full((2, 3, 4, 4), -0.5), "scale them first"),
        (torch.full((2, 3, 4, 4), math.nan), "NaN"),
        (torch.full((2, 3, 4, 4), math.inf), "scale them first"),
        (torch.zeros(3, 4, 4), "must be .B, C, H, W."),
    ],
)
def test_bad_images_are_named(bad: torch.Tensor, words: str) -> None:
    with pytest.raises(DataError, match=words):
        RandomField()(bad, Draws.seeded(0))


def test_bad_masks_are_named() -> None:
    drawn = RandomField().draw((2, 3, 4, 4), Draws.seeded(0))
    with pytest.raises(DataError, match="masks"):
        drawn.warp_masks(torch.zeros(3, 4, 4))


def test_an_empty_batch_stays_empty() -> None:
    assert RandomField()(torch.zeros(0, 3, 8, 8), Draws.seeded(0)).shape == (0, 3, 8, 8)


# --- as views

SPEC = Spec(3, (24, 30), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def test_views_carry_the_way_back_to_the_stored_image() -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 50), indexing="ij")
    x = torch.stack([rows, columns, rows * columns]).expand(4, -1, -1, -1).clone()
    views = random_field_views(SPEC, colour=0, jitter=0, gray=0, p=1.0, crop_scale=(0.3, 0.8))
    for view in views({"x": x}, Draws.seeded(1)):
        assert view["x"].shape == (4, 3, 24, 30)
        assert view["grid"].shape == (4, 24, 30, 2)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SPEC.mean, SPEC.std))
        there = torch.nn.functional.grid_sample(x, view["grid"], align_corners=False, padding_mode="border")
        assert float((view["x"] * std + mean - there).abs().mean()) < 0.005
        assert float((view["x"] * std + mean - there).abs().max()) < 0.06  # at the crop's borders
        assert bool(view["local_rotation"].all())


def test_without_local_changes_the_grid_is_the_crop() -> None:
    x = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    for view in random_field_views(SPEC, strength=0, count=3)({"x": x}, Draws.seeded(1)):
        wanted = torch.nn.functional.affine_grid(view["theta"], [3, 1, 24, 30], align_corners=False)
        assert torch.allclose(view["grid"], wanted, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_views_of_any_channels_and_range(channels: int, scale: float) -> None:
    spec = Spec(channels, (16, 16), (0.0,) * channels, (1.0,) * channels)
    x = (images(3, channels, 20, 22) - 0.25) * scale
    views = random_field_views(spec, fields=True, global_blur=0.5)({"x": x}, Draws.seeded(1))
    assert len(views) == 2
    assert not torch.equal(views[0]["x"], views[1]["x"])
    for view in views:
        assert bool(view["x"].isfinite().all())
        assert float(view["x"].min()) >= float(x.min()) - 1e-3
        assert float(view["x"].max()) <= max(float(x.max()), 1) + 1e-3
        assert view["field_translation"].shape == (3, 2, 16, 16)
        assert ("field_hue" in view) == (channels == 3)


def test_views_are_the_same_on_any_number_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    views = random_field_views(SPEC, global_blur=0.5)
    whole = views({"x": x}, Draws.seeded(2))
    halves = []
    for rank in range(2):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 2))
        halves.append(views({"x": x[2 * rank : 2 * rank + 2]}, Draws.seeded(2)))
    for i in range(2):
        assert torch.allclose(torch.cat([half[i]["x"] for half in halves]), whole[i]["x"], atol=1e-4)


def test_options_of_views() -> None:
    views = random_field_views(SPEC, strength=0.5, rotation=4, count=3)
    assert math.isclose(views.transform.sigma["rotation"], math.radians(2.0))
    assert len(views.recipes) == 3
    with pytest.raises(OptionError, match="did you mean 'strength'"):
        random_field_views(SPEC, strenght=0.5)
    with pytest.raises(OptionError, match="wrong type"):
        random_field_views(SPEC, strength="much")
    with pytest.warns(UserWarning, match="folds"):
        random_field_views(SPEC, strength=8.0)


def test_it_is_registered() -> None:
    entry = registry.entry("random-field", "views")
    assert entry.url.endswith("2311.03629")
    assert registry.find("random-field").__name__ == "RandomFieldViews"
