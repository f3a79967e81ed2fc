"""Spectra of Gaussian random fields, and the functions of position whose random sums have them.

Spectra, as functions of the frequency ``k`` in cycles per side and of the rank ``d``:

* ``squared-exponential``: ``exp(-2 (pi l k)^2)``; smooth, the gradient has variance ``1 / l^2`` on each axis;
* ``matern-1/2``, ``-3/2``, ``-5/2``: ``(1 + (2 pi l k)^2 / 2 nu)^-(nu + d/2)``; with nu = 1/2 it has no gradient;
* ``power-law``: ``(k0^2 + k^2)^(-exponent/2)`` with ``k0 = 1 / (2 pi l)``; it has a gradient for
  ``exponent > d + 2``.

The last two are one family: they are scale mixtures of the first, over lengths ``l tau`` where ``tau^2`` is a
multiple of a chi-squared variable with ``2 nu`` or ``exponent - d`` degrees of freedom. Two of the samplers
use this.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 4.2.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from tacit.errors import OptionError

SPECTRA = ("squared-exponential", "matern-1/2", "matern-3/2", "matern-5/2", "power-law")

DROPPED = 1e-6  # share of the variance, per axis, beyond the highest frequency that the spectral sampler keeps

KNOTS = 0.8  # distance of a coarse grid's knots in correlation lengths
MARGIN = 3  # knots beyond each border

Term = tuple[Tensor, tuple[Tensor, ...]]
"""Amplitudes ``[n1, n2, ...]`` of normals, and for each axis the functions that they belong to, ``[N_a, n_a]``."""

_MATERN = {"matern-1/2": 0.5, "matern-3/2": 1.5, "matern-5/2": 2.5}


def harmonics(spectrum: str, exponent: float, positions: list[Tensor], pitch: list[float], length: float) -> Term:
    """White noise in the real Fourier basis of a periodic grid, weighted by the root of the spectrum.

    It is the filtered discrete Fourier transform of white noise, seen through a window. The grid's period is
    the window plus four correlation lengths, so wrapping round costs no covariance that matters. Only the
    window's cells and only the frequencies that carry variance are computed, by one matrix product an axis:
    for smooth spectra a hundred numbers a field in place of an FFT over all cells. Rough spectra end at the
    grid's own highest frequency. At most twice as many frequencies as the window has cells are kept along an
    axis; that cuts into rough spectra alone, at ``l > .75``, by about 1 % of the variance.
    """
    rank = len(positions)
    limit = _band(spectrum, exponent, rank, length)
    reach = 4 * length
    if spectrum == "power-law":  # its lengths are spread about l sqrt(exponent - d)
        reach *= math.sqrt(max(1.0, exponent - rank))
    bases, squares = [], torch.zeros([1] * rank, dtype=torch.double)
    for a, (x, step) in enumerate(zip(positions, pitch, strict=True)):
        cells = math.ceil(len(x) + reach / step) | 1  # odd: then no frequency lacks its sine
        period = cells * step
        top = min((cells - 1) // 2, 2 * len(x), max(1, math.ceil(min(limit, 1e9) * period)))
        k = torch.arange(1, top + 1, dtype=torch.double) / period
        angle = 2 * math.pi * x[:, None] * k
        waves = math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], 2).flatten(1)
        bases.append(torch.cat([torch.ones_like(x)[:, None], waves], 1))
        k = torch.cat([k.new_zeros(1), k.repeat_interleave(2)])
        squares = squares + k.square().reshape([-1 if i == a else 1 for i in range(rank)])
    power = _spectrum(spectrum, exponent, rank, length, squares)
    return (power / power.sum()).sqrt(), tuple(bases)


def _spectrum(spectrum: str, exponent: float, rank: int, length: float, squares: Tensor) -> Tensor:
    """The spectrum at squared frequencies, up to a factor: same shape."""
    if spectrum == "squared-exponential":
        return torch.exp(-2 * (math.pi * length) ** 2 * squares)
    freedom, scale = _student(spectrum, exponent, rank)
    return (1 + (2 * math.pi * length / scale) ** 2 * squares) ** (-(freedom + rank) / 2)


def _student(spectrum: str, exponent: float, rank: int) -> tuple[float, float]:
    """Degrees of freedom, and knee in units of ``1 / (2 pi l)``, of a spectrum with a power-law tail."""
    if spectrum == "power-law":
        return exponent - rank, 1.0
    nu = _MATERN[spectrum]
    return 2 * nu, math.sqrt(2 * nu)


def _band(spectrum: str, exponent: float, rank: int, length: float) -> float:
    """A frequency, in cycles per side, beyond which at most :data:`DROPPED` of the variance lies along an axis."""
    if spectrum == "squared-exponential":
        return 5 / (2 * math.pi * length)
    freedom, scale = _student(spectrum, exponent, rank)
    return math.inf if freedom <= 0 else scale * DROPPED ** (-1 / freedom) / (2 * math.pi * length)


def bumps(spectrum: str, exponent: float, positions: list[Tensor], pitch: list[float], length: float) -> list[Term]:
    """Normals on coarse knots under Gaussian bumps; spectra with a tail are sums of such over octaves of length."""
    terms = []
    for part, scale in _octaves(spectrum, exponent, len(positions), min(1.0, min(pitch) / (5 * length))):
        bases = tuple(_bump(x, max(length * scale, step / 5)) for x, step in zip(positions, pitch, strict=True))
        terms.append((torch.full([b.shape[1] for b in bases], math.sqrt(part), dtype=torch.double), bases))
    return terms


def _bump(x: Tensor, length: float) -> Tensor:
    """``exp(-(x - knot)^2 / l^2)`` on knots .8 l apart: ``[N, knots]``, each row divided by its norm.

    The product of two rows is ``exp(-d^2 / 2 l^2)`` up to a ripple of .001, so the sum of normals under them has a
    squared exponential for covariance (bicubic weights on as many knots are off by .05).
    """
    spacing = KNOTS * length
    knots = torch.arange(-MARGIN, math.ceil(float(x[-1]) / spacing) + MARGIN + 1)
    weight = torch.exp(-(((x[:, None] - spacing * knots) / length) ** 2))
    return weight / weight.norm(dim=1, keepdim=True)


def _octaves(spectrum: str, exponent: float, rank: int, least: float) -> list[tuple[float, float]]:
    """A spectrum as a mixture of squared exponentials: (share of the variance, factor on the length) of each."""
    if spectrum == "squared-exponential":
        return [(1.0, 1.0)]
    share, scale = mixture(spectrum, exponent, rank)
    steps = torch.arange(math.floor(math.log2(least)), math.ceil(math.log2(float(scale[-1]))) + 1)
    edges = torch.searchsorted(scale, 2.0 ** (steps[:-1] + 0.5)).clamp_max(len(scale) - 1)
    below = torch.cat([torch.zeros(1), share[edges], torch.ones(1)])
    parts = zip(below.diff().tolist(), (2.0**steps).tolist(), strict=True)
    kept = [(part, factor) for part, factor in parts if part > 1e-4]
    total = sum(part for part, _ in kept)
    return [(part / total, factor) for part, factor in kept]


@functools.lru_cache(maxsize=16)
def mixture(spectrum: str, exponent: float, rank: int) -> tuple[Tensor, Tensor]:
    """Distribution of the length's factor ``tau`` in the mixture: its cumulative share, rising, and ``tau``.

    Raises:
        OptionError: for a power law whose variance is infinite.
    """
    freedom, scale = _student(spectrum, exponent, rank)
    if freedom <= 0:
        raise OptionError(
            f"a power law with exponent {exponent} on {rank} axes has no finite variance without a band limit: "
            f"use sampler 'spectral', or exponent above {rank}"
        )
    square = torch.logspace(-8, 3, 8192, dtype=torch.double)
    share = torch.special.gammainc(torch.tensor(freedom / 2, dtype=torch.double), square / 2)
    return share.float(), (square.sqrt() / scale).float()
