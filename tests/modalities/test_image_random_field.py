"""Random field transforms against torchvision's global ones and closed forms."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from field_transforms import EXTRAS, GLOBAL, images, only
from scipy.stats import norm
from torchvision.transforms.v2 import functional as tvf

from tacit.modalities.image.local_changes import FAMILIES, affine_grid, diagnostics, recolour
from tacit.modalities.image.random_field import RandomField
from tacit.parts.draws import Draws
from tacit.views import warps


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
