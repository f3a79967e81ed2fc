"""Fields against analytic covariances, an explicit Fourier sum, and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gamma as gamma_function
from scipy.special import kv

from tacit.errors import OptionError
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.views.fields import SAMPLERS, FieldSampler
from tacit.views.spectra import SPECTRA

MATERN = {"matern-1/2": 0.5, "matern-3/2": 1.5, "matern-5/2": 2.5}


def kernel(spectrum: str, distance: float, length: float, rank: int = 2, exponent: float = 6.0) -> float:
    """The covariance of a unit-variance field at a distance, from the textbook formulas."""
    if distance == 0:
        return 1.0
    if spectrum == "squared-exponential":
        return math.exp(-(distance**2) / (2 * length**2))
    nu = MATERN.get(spectrum, (exponent - rank) / 2)
    z = distance / length * (1 if spectrum == "power-law" else math.sqrt(2 * nu))
    return float(2 ** (1 - nu) / gamma_function(nu) * z**nu * kv(nu, z))


def filtered_covariance(power: np.ndarray, shift: tuple[int, ...]) -> float:
    """Covariance, at a shift in cells, of white noise filtered to a power spectrum on a periodic grid."""
    covariance = np.fft.ifftn(power).real
    return float(covariance[shift] / covariance[(0,) * power.ndim])


def covariances(phi: torch.Tensor, shifts: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Mean over fields and positions of products at a shift, with its standard error: phi is ``[N, H, W]``."""
    height, width = phi.shape[1:]
    rows = []
    for down, right in shifts:
        products = phi[:, : height - down, : width - right] * phi[:, down:, right:]
        each = products.mean((1, 2)).double()
        rows.append((float(each.mean()), float(each.std()) / math.sqrt(len(each))))
    return rows


SHIFTS = [(0, 0), (1, 0), (0, 3), (4, 4), (0, 12)]


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_variance_is_one_and_covariance_is_the_kernel(sampler: str, spectrum: str) -> None:
    side, length, many = 13, 0.3, 12_000
    sample = FieldSampler(sampler, spectrum)
    phi = torch.cat([sample(Draws.seeded(i), 3000, (side, side), length) for i in range(many // 3000)])[:, 0]
    measured = covariances(phi, SHIFTS)
    assert abs(measured[0][0] - 1) < 0.02
    assert abs(float(phi.mean())) < 0.02
    for (value, error), (down, right) in zip(measured, SHIFTS, strict=True):
        wanted = kernel(spectrum, math.hypot(down, right) / side, length)
        if sampler == "spectral" and spectrum in ("matern-1/2", "matern-3/2"):  # cut at the grid's own band
            cells = math.ceil((1 + 4 * length) * side) | 1
            k = np.fft.fftfreq(cells) * side
            nu = MATERN[spectrum]
            square = (2 * math.pi * length) ** 2 * (k[:, None] ** 2 + k[None, :] ** 2)
            wanted = filtered_covariance((1 + square / (2 * nu)) ** -(nu + 1), (down, right))
        # The mixture over octaves of the coarse grid is within .004 of the kernel.
        bias = 0.004 if sampler == "coarse-grid" and spectrum != "squared-exponential" else 0.0
        assert abs(value - wanted) < 4 * error + bias, (down, right, value, wanted, error)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("length", "wanted"), [(0.5, math.exp(-2)), (1.0, math.exp(-0.5)), (2.0, math.exp(-0.125))])
def test_opposite_borders_do_not_meet(sampler: str, length: float, wanted: float) -> None:
    sample = FieldSampler(sampler, features=64)
    phi = sample(Draws.seeded(3), 40_000, (4, 5), length)[:, 0]  # columns 0 and 4 are one shorter side apart
    products = (phi[..., 0] * phi[..., 4]).mean(1)
    error = float(products.std()) / math.sqrt(len(products))
    assert abs(float(products.mean()) - wanted) < 4 * error + 0.001  # what meets round the period: exp(-8)


@pytest.mark.parametrize("spectrum", ["squared-exponential", "matern-3/2", "power-law"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_infinite_length_gives_one_standard_normal_an_image(sampler: str, spectrum: str) -> None:
    phi = FieldSampler(sampler, spectrum)(Draws.seeded(1), 20_000, (3, 4), 1e6)[:, 0].flatten(1)
    assert float((phi.amax(1) - phi.amin(1)).max()) < 1e-3
    value = phi[:, 0].double()
    assert abs(float(value.var()) - 1) < 0.04
    assert abs(float(value.mean())) < 0.03
    assert abs(float((value.abs() < 1).double().mean()) - 0.6827) < 0.015


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_vanishing_length_gives_white_noise(sampler: str) -> None:
    phi = FieldSampler(sampler)(Draws.seeded(2), 400, (16, 16), 1e-3)[:, 0]
    for (value, error), wanted in zip(covariances(phi, [(0, 0), (0, 1), (1, 1)]), (1, 0, 0), strict=True):
        assert abs(value - wanted) < 4.5 * error


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_gradient_of_a_squared_exponential_has_variance_one_over_length_squared(sampler: str) -> None:
    side, length = 64, 0.25
    phi = FieldSampler(sampler)(Draws.seeded(5), 1500, (8, side), length * 8)[:, 0]  # 8 is the shorter side
    slope = (phi[..., 1:] - phi[..., :-1]) * 8
    variance = slope.square().mean((1, 2))
    error = float(variance.std()) / math.sqrt(len(variance))
    assert abs(float(variance.mean()) * (length * 8) ** 2 - 1) < 4 * error * (length * 8) ** 2 + 0.01


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", [(24,), (9, 12), (5, 6, 7)])
def test_any_rank(sampler: str, shape: tuple[int, ...]) -> None:
    length, side = 0.4, min(shape)
    phi = FieldSampler(sampler, features=64)(Draws.seeded(7), 6000, shape, length, count=2)
    assert phi.shape == (6000, 2, *shape)
    assert phi.dtype == torch.float32
    flat = phi.flatten(0, 1)
    for axis in range(len(shape)):
        near, far = flat.select(axis + 1, 0), flat.select(axis + 1, 3)
        for products, wanted in ((near * near, 1.0), (near * far, kernel("squared-exponential", 3 / side, length))):
            each = products.reshape(len(flat), -1).mean(1)
            assert abs(float(each.mean()) - wanted) < 4.5 * float(each.std()) / math.sqrt(len(each)) + 0.001
    mixed = (phi[:, 0] * phi[:, 1]).reshape(6000, -1).mean(1)  # fields of one sample are independent
    assert abs(float(mixed.mean())) < 4.5 * float(mixed.std()) / math.sqrt(6000)


def test_values_at_points_are_those_on_the_grid() -> None:
    sample = FieldSampler("fourier-features", "matern-5/2")
    phi = sample(Draws.seeded(4), 3, (5, 8), 0.3, count=2)
    rows, columns = torch.meshgrid(torch.arange(5) / 5, torch.arange(8) / 5, indexing="ij")
    points = torch.stack([rows, columns], -1).flatten(0, 1).expand(3, -1, -1)
    there = sample.at(Draws.seeded(4), points, 0.3, count=2)
    assert torch.allclose(there, phi.flatten(2), atol=1e-4)


def test_a_coarser_sampling_of_a_smooth_field_loses_nothing_that_matters() -> None:
    fine = FieldSampler("fourier-features")(Draws.seeded(4), 2, (224, 260), 0.2)
    coarse = FieldSampler("fourier-features", every=4)(Draws.seeded(4), 2, (224, 260), 0.2)
    assert float((fine - coarse).abs().max()) < 0.012
    assert float((fine - coarse).square().mean().sqrt()) < 0.002


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_ranks_see_the_rows_of_the_whole_batch(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = FieldSampler(sampler, "matern-3/2", features=16)
    whole = sample(Draws.seeded(9), 6, (7, 7), 0.4, count=2)
    halves = []
    for rank in range(2):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 2))
        halves.append(sample(Draws.seeded(9), 3, (7, 7), 0.4, count=2))
    assert torch.allclose(torch.cat(halves), whole, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    sampler=st.sampled_from(SAMPLERS),
    spectrum=st.sampled_from(SPECTRA),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    length=st.floats(1e-4, 1e7),
    every=st.integers(1, 5),
)
def test_any_shape_and_length_gives_finite_repeatable_fields(
    sampler: str, spectrum: str, shape: list[int], length: float, every: int
) -> None:
    sample = FieldSampler(sampler, spectrum, features=8, every=every)
    phi = sample(Draws.seeded(1), 2, tuple(shape), length)
    assert phi.shape == (2, 1, *shape)
    assert bool(phi.isfinite().all())
    assert float(phi.abs().max()) < 12
    assert torch.equal(phi, sample(Draws.seeded(1), 2, tuple(shape), length))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "spectrl"}, "did you mean 'spectral'"),
        ({"spectrum": "matern-7/2"}, "did you mean 'matern-"),
        ({"features": 0}, "features"),
        ({"every": 0}, "every"),
        ({"exponent": -1.0}, "exponent"),
        ({"exponent": math.nan}, "exponent"),
    ],
)
def test_bad_options_are_named(options: dict, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        FieldSampler(**options)


@pytest.mark.parametrize("length", [0, -0.5, math.nan])
def test_bad_lengths_are_refused(length: float) -> None:
    with pytest.raises(OptionError, match="positive correlation length"):
        FieldSampler()(Draws(), 1, (4, 4), length)


@pytest.mark.parametrize("shape", [(), (0, 4), (2, 2, 2, 2)])
def test_bad_grids_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="1 to 3 axes"):
        FieldSampler()(Draws(), 1, shape, 0.5)


def test_a_power_law_of_infinite_variance_needs_the_band_limit_of_the_spectral_sampler() -> None:
    with pytest.raises(OptionError, match="exponent above 2"):
        FieldSampler("fourier-features", "power-law", exponent=2.0)(Draws(), 1, (4, 4), 0.5)
    phi = FieldSampler("spectral", "power-law", exponent=2.0)(Draws.seeded(0), 4000, (8, 8), 0.5)
    assert abs(float(phi.square().mean()) - 1) < 0.04
