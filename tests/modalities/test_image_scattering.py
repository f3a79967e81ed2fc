import itertools
import math

import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.modalities.image import Spec, make_encoder
from tacit.modalities.image.scattering import STAGES, ScatteringNet, filters, scatter


def smooth(rows=2, channels=1, side=32, seed=0):
    """Random images of few frequencies, which a shift by a pixel changes like a photograph."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randn(rows, channels, side // 4, side // 4, generator=generator)
    return torch.nn.functional.interpolate(small, (side, side), mode="bicubic", align_corners=False)


@pytest.mark.parametrize(("scales", "orientations"), [(1, 3), (2, 4), (3, 2)])
def test_shape_and_number_of_coefficients(scales, orientations):
    count = 1 + orientations * scales + orientations**2 * scales * (scales - 1) // 2
    side = 32 // 2**scales
    assert scatter(smooth(channels=3), scales, orientations).shape == (2, 3 * count, side, side)


def test_is_convolution_modulus_and_smoothing():
    """One coefficient of each order, from filters in space and sums over all pixels, with numpy alone."""
    x = smooth(1, 1, 16)
    found = scatter(x, 2, 3)[0]
    padded = np.pad(x[0, 0].double().numpy(), 4, mode="reflect")
    low, wavelets = filters(24, 24, 2, 3, torch.device("cpu"))

    def space(filtered):
        return np.fft.ifft2(filtered.double().numpy())

    def convolve(image, kernel):
        out = np.zeros(image.shape, dtype=complex)
        for dy, dx in itertools.product(range(24), repeat=2):
            out += kernel[dy, dx] * np.roll(image, (dy, dx), (0, 1))
        return out

    phi, first, second = space(low), space(wavelets[0][1]), space(wavelets[1][2])
    one = np.abs(convolve(padded, first))
    two = np.abs(convolve(one, second))
    for row, image in ((0, padded), (1 + 1, one), (1 + 6 + 3 * 1 + 2, two)):
        wanted = convolve(image, phi).real[4:-4:4, 4:-4:4]
        np.testing.assert_allclose(found[row].numpy(), wanted, rtol=1e-3, atol=1e-5)


def test_a_shift_by_a_pixel_hardly_matters():
    x = smooth(8, 1, 64).sigmoid()
    moved = x.roll(1, 3)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    a, b = scatter(x, 3, 4)[inside], scatter(moved, 3, 4)[inside]
    change = float((a - b).norm() / a.norm())
    assert change < 0.05
    assert float((x - moved).norm() / x.norm()) > 3 * change


def test_no_energy_is_added():
    low, wavelets = filters(32, 32, 3, 6, torch.device("cpu"))
    bank = torch.cat(wavelets)
    mirrored = bank.flip(1, 2).roll((1, 1), (1, 2))
    total = low.square() + (bank.square() + mirrored.square()).sum(0) / 2
    assert float(total.max()) <= 1 + 1e-5
    assert float(bank[:, 0, 0].abs().max()) < 1e-6
    x = torch.randn(4, 1, 32, 32)
    assert float(scatter(x, 2, 6).square().sum(1).mean()) < float(x.square().mean())


def test_a_constant_image_has_a_mean_alone():
    out = scatter(torch.full((1, 1, 16, 16), 3.0), 2, 4)
    torch.testing.assert_close(out[:, 0], torch.full((1, 4, 4), 3.0))
    assert float(out[:, 1:].abs().max()) < 1e-4


def test_wavelets_answer_to_their_direction():
    stripes = torch.cos(0.75 * math.pi * torch.arange(32.0)).expand(1, 1, 32, 32)
    first = scatter(stripes, 2, 4)[0, 1:5].mean((1, 2))
    assert int(first.argmax()) == 0
    turned = scatter(stripes.transpose(2, 3), 2, 4)[0, 1:5].mean((1, 2))
    assert int(turned.argmax()) == 2


@pytest.mark.parametrize("blocks", STAGES)
def test_blocks_and_width(blocks):
    with torch.device("meta"):
        net = ScatteringNet(3, (32, 32), orientations=4, blocks=blocks)
    assert net.dim == 2048
    assert sum(type(layer).__name__ == "_Block" for layer in net.layers) == blocks


def test_the_encoder_by_name():
    encoder = make_encoder("scattering", Spec(1, (16, 24), (0.0,), (1.0,)), orientations=4)
    out = encoder(torch.randn(3, 1, 16, 24))
    assert out.shape == (3, 2048)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("size", [(18, 16), (4, 4), (16, 30)])
def test_sides_that_do_not_fit_are_refused(size):
    with pytest.raises(OptionError, match="multiples of 4 and at least 8"):
        make_encoder("scattering", Spec(1, size, (0.0,), (1.0,)))
