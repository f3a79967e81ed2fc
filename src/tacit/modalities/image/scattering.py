"""Wavelet scattering of images, and an encoder that learns on top of it."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.errors import OptionError

STAGES: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {
    8: (32, ((64, 4), (128, 4))),
    12: (256, ((128, 4), (64, 4), (128, 4))),
    16: (256, ((128, 6), (64, 4), (128, 6))),
    30: (256, ((128, 30),)),
    45: (256, ((128, 15), (64, 15), (128, 15))),
}
"""Width of the stem, and widths and numbers of residual blocks, by the number of all blocks."""


def scatter(x: Tensor, scales: int = 2, orientations: int = 8) -> Tensor:
    """Scattering coefficients of orders 0, 1 and 2 of every channel.

    With wavelets psi of scale 2^j and angle a, and phi a Gaussian of width about 2^J,

        x * phi,   |x * psi_ja| * phi,   ||x * psi_ja| * psi_j'a'| * phi  for j < j',   each 2^J-th pixel.

    They hardly change when an image moves by less than 2^J pixels, and together hold no more energy than the image. The
    border is continued by reflection.

    Args:
        x: ``[B, C, H, W]``; both sides multiples of 2^J and at least 2^(J + 1).
        scales: J, at least 1.
        orientations: angles of the wavelets in half a turn, L.

    Returns:
        ``[B, C * (1 + L J + L^2 J (J - 1) / 2), H / 2^J, W / 2^J]`` float32, a channel's coefficients side by side.

    Source: Bruna and Mallat 2013, Invariant Scattering Convolution Networks, section 2, with Morlet wavelets as in
    section 2.1; their widths are the usual ones of software (0.8 * 2^j, centre 3/4 pi / 2^j).

    Raises:
        OptionError: for sides that do not fit, or fewer than one scale or orientation.
    """
    step, (height, width) = 2**scales, x.shape[2:]
    check(scales, orientations, (height, width))
    x = F.pad(x.float(), (step, step, step, step), mode="reflect")
    low, wavelets = filters(x.shape[2], x.shape[3], scales, orientations, x.device)
    spectrum = torch.fft.fft2(x)[:, :, None]
    orders, first = [_lowpass(spectrum, low, step)], []
    for j in range(scales):
        envelope = torch.fft.ifft2(spectrum * wavelets[j]).abs()
        first.append(torch.fft.fft2(envelope))
        orders.append(_lowpass(first[j], low, step))
    for j in range(scales):
        for later in range(j + 1, scales):
            twice = torch.fft.ifft2(first[j][:, :, :, None] * wavelets[later]).abs().flatten(2, 3)
            orders.append(_lowpass(torch.fft.fft2(twice), low, step))
    return torch.cat(orders, 2)[..., 1:-1, 1:-1].flatten(1, 2)


def check(scales: int, orientations: int, size: tuple[int, int]) -> None:
    """Raise an OptionError where images of this size cannot be scattered."""
    if scales < 1 or orientations < 1:
        raise OptionError(f"scattering needs at least 1 scale and 1 orientation, not {scales} and {orientations}")
    if min(size) < 2 ** (scales + 1) or size[0] % 2**scales or size[1] % 2**scales:
        raise OptionError(
            f"scattering with {scales} scales needs sides that are multiples of {2**scales} and at least "
            f"{2 ** (scales + 1)}, not {size[0]}x{size[1]}; set image_size or encoder.scales"
        )


def _lowpass(spectrum: Tensor, low: Tensor, step: int) -> Tensor:
    """The image of a spectrum, smoothed, each ``step``-th pixel: ``[..., H, W] -> [..., H / step, W / step]``."""
    height, width = spectrum.shape[-2:]
    folded = (spectrum * low).unflatten(-1, (step, width // step)).mean(-2)
    folded = folded.unflatten(-2, (step, height // step)).mean(-3)
    return torch.fft.ifft2(folded).real


@functools.lru_cache(maxsize=16)
def filters(
    height: int, width: int, scales: int, orientations: int, device: torch.device
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Fourier transforms, all real, of phi ``[H, W]`` and of each scale's wavelets ``[L, H, W]``."""
    low = _bump(height, width, 0.8 * 2 ** (scales - 1), 0.0, 0.0, 1.0)
    low = low / low[0, 0]
    bank = torch.stack([_morlet(height, width, j, k, orientations) for j in range(scales) for k in range(orientations)])
    # No frequency may come out stronger than it went in: the transform then never adds energy.
    mirrored = bank.flip(1, 2).roll((1, 1), (1, 2))
    gain = (bank.square() + mirrored.square()).sum(0) / 2
    room = (1 - low.square()) / gain.clamp_min(1e-12)
    room[0, 0] = math.inf
    bank = bank * room.min().clamp(max=1.0).sqrt()
    parts = bank.float().to(device).unflatten(0, (scales, orientations)).unbind()
    return low.float().to(device), parts


def _morlet(height: int, width: int, scale: int, turn: int, orientations: int) -> Tensor:
    """A wave under a Gaussian, less so much of the Gaussian that nothing is left at frequency zero."""
    sigma, centre, angle = 0.8 * 2**scale, 0.75 * math.pi / 2**scale, math.pi * turn / orientations
    wave = _bump(height, width, sigma, centre, angle, 4 / orientations)
    still = _bump(height, width, sigma, 0.0, angle, 4 / orientations)
    return wave - wave[0, 0] / still[0, 0] * still


def _bump(height: int, width: int, sigma: float, centre: float, angle: float, slant: float) -> Tensor:
    """The Fourier transform of a Gaussian of width ``sigma`` (``sigma / slant`` across) times a wave: a Gaussian around
    its frequency, summed over the frequencies that a pixel grid cannot tell apart."""
    total = torch.zeros(height, width, dtype=torch.float64)
    rows, columns = (2 * math.pi * torch.fft.fftfreq(n, dtype=torch.float64) for n in (height, width))
    for down in range(-2, 3):
        for right in range(-2, 3):
            y, x = rows[:, None] + 2 * math.pi * down, columns[None] + 2 * math.pi * right
            along = math.cos(angle) * x + math.sin(angle) * y - centre
            across = math.cos(angle) * y - math.sin(angle) * x
            total += torch.exp(-(sigma**2) / 2 * (along.square() + (across / slant).square()))
    return total


class ScatteringNet(nn.Module):
    """Scattering, which is not learned, and a small residual network on its coefficients.

    A 3x3 convolution, residual blocks of two 3x3 convolutions at the resolution of the coefficients, then a mean over a
    4x4 grid: ``dim`` is 16 times the last width, 2048.

    Args:
        channels: of the images.
        size: height and width in pixels that it is built for; others must be multiples of 2^scales too.
        scales, orientations: of the wavelets; the paper has 2 and 16.
        blocks: number of residual blocks; the paper has 30 in its best run.

    Source: Kinakh et al. 2021, ScatSimCLR, section 3.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        scales: int = 2,
        orientations: int = 8,
        blocks: Literal[8, 12, 16, 30, 45] = 8,
    ) -> None:
        super().__init__()
        check(scales, orientations, size)
        self.scales, self.orientations = scales, orientations
        stem, stages = STAGES[blocks]
        coefficients = channels * (1 + orientations * scales + orientations**2 * scales * (scales - 1) // 2)
        layers: list[nn.Module] = [
            nn.Conv2d(coefficients, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=True),
        ]  # fmt: skip
        widths = [stem, *(width for width, count in stages for _ in range(count))]
        layers += [_Block(a, b) for a, b in itertools.pairwise(widths)]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.dim = widths[-1] * 16

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W] -> [B, dim]``."""
        coefficients = scatter(x, self.scales, self.orientations)
        return self.layers(coefficients.to(next(self.layers.parameters()).dtype))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.inner(x) + self.shortcut(x))
