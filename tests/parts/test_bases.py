"""Spectra and wavelet coefficients against sums in plain loops, and the networks that read them."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from tacit.errors import OptionError
from tacit.parts.bases import FourierNet, WaveletNet, fourier, line_mapper, scales, wavelets


def test_the_spectrum_keeps_the_energy() -> None:
    for steps in (32, 33):
        x = torch.randn(3, 2, steps, generator=torch.Generator().manual_seed(0))
        size = fourier(x)[:, :2].square()
        twice = torch.full((steps // 2 + 1,), 2.0)
        twice[0] = 1
        if steps % 2 == 0:
            twice[-1] = 1
        torch.testing.assert_close((size * twice).sum(2), x.square().sum(2), rtol=1e-5, atol=1e-5)


def test_magnitude_and_phase_are_those_of_a_cosine() -> None:
    time = torch.arange(64)
    x = torch.cos(2 * math.pi * 5 * time / 64 + 0.7)[None, None]
    found = fourier(x)
    assert float(found[0, 0, 5]) == pytest.approx(4.0, abs=1e-4)  # 64 / 2 / sqrt(64)
    assert float(found[0, 1, 5]) == pytest.approx(0.7, abs=1e-4)
    circle = fourier(x, "circle")
    assert circle.shape == (1, 3, 33)
    assert float(torch.atan2(circle[0, 2, 5], circle[0, 1, 5])) == pytest.approx(0.7, abs=1e-4)
    assert float(circle[0, 1:, 9].norm()) < 1e-4  # nothing is there, so there is no phase


def test_coefficients_are_the_sums_of_the_definition() -> None:
    x = torch.randn(1, 1, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    at = torch.tensor([4.0, 7.5, 12.0])
    found = wavelets(x, at)
    for i, scale in enumerate(at.tolist()):
        for b in (0, 3, 20, 39):
            total = 0j
            for t in range(40):
                u = (t - b) / scale
                psi = cmath.exp(-u * u + 2j * math.pi * u) / math.sqrt(math.pi)
                total += float(x[0, 0, t]) * psi.conjugate() / math.sqrt(scale)
            assert float(found[0, 0, i, b]) == pytest.approx(abs(total), abs=2e-3)


def test_a_sine_peaks_at_its_scale() -> None:
    at = scales(48, 2.0, 128.0)
    assert float(at[0]) == pytest.approx(2)
    assert float(at[-1]) == pytest.approx(128, rel=1e-5)
    time = torch.arange(1024)
    for period in (4.0, 11.0, 40.0):
        middle = wavelets(torch.sin(2 * math.pi * time / period)[None, None], at)[0, 0, :, 512]
        assert abs(int(middle.argmax()) - int((at - period).abs().argmin())) <= 1


def test_impossible_scales_are_refused() -> None:
    for bad in ((1, 2.0, 64.0), (8, 0.5, 64.0), (8, 64.0, 64.0)):
        with pytest.raises(OptionError, match="scales"):
            scales(*bad)


@pytest.mark.parametrize("steps", [16, 37, 128])
@pytest.mark.parametrize("phase", ["angle", "circle"])
def test_networks_give_a_vector_of_any_length_that_they_are_built_for(steps: int, phase: str) -> None:
    x = torch.randn(4, 3, steps)
    nets = (
        FourierNet(3, steps, 10, 4, phase),  # type: ignore[arg-type]
        WaveletNet(3, steps, 10, scales(12, 2.0, float(steps)), 4),
    )
    for net in nets:
        found = net(x)
        assert found.shape == (4, 10)
        found.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert line_mapper(5)(torch.randn(4, 10)).shape == (4, 10)
