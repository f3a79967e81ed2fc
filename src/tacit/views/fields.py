"""Smooth random functions of position: stationary, isotropic, zero-mean, unit-variance Gaussian random
fields.

One contract, three ways to sample it, on grids of any rank (series, images, volumes). With correlation length
``l`` (in units of the grid's shorter side) the variance is 1 over the ensemble, ``l -> inf`` gives a constant
drawn from N(0, 1) and ``l -> 0`` white noise. A field is never centred or scaled by its own mean or spread:
that would delete the constant part, which is the usual global augmentation.

Spectra, as functions of the frequency ``k`` in cycles per side and of the rank ``d``:

* ``squared-exponential``: ``exp(-2 (pi l k)^2)``; smooth, the gradient has variance ``1 / l^2`` along each
  axis;
* ``matern-1/2``, ``-3/2``, ``-5/2``: ``(1 + (2 pi l k)^2 / 2 nu)^-(nu + d/2)``; with nu = 1/2 it has no
  gradient;
* ``power-law``: ``(k0^2 + k^2)^(-exponent/2)`` with ``k0 = 1 / (2 pi l)``; it has a gradient for ``exponent >
  d + 2``.

The last two are one family: they are scale mixtures of the first, over lengths ``l tau`` where ``tau^2`` is a
multiple of a chi-squared variable with ``2 nu`` or ``exponent - d`` degrees of freedom. Two of the samplers
use this.

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 4.2 (spectra); Rahimi
and Recht, Random Features for Large-Scale Kernel Machines, 2007 (random Fourier features).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import OptionError, unknown
from tacit.parts.draws import Draws

SAMPLERS = ("spectral", "fourier-features", "coarse-grid")
SPECTRA = ("squared-exponential", "matern-1/2", "matern-3/2", "matern-5/2", "power-law")

DROPPED = 1e-6  # share of the variance, per axis, beyond the highest frequency that the spectral sampler keeps
PIECE = 1 << 24  # numbers that the Fourier-feature sampler holds at once

_MATERN = {"matern-1/2": 0.5, "matern-3/2": 1.5, "matern-5/2": 2.5}
Term = tuple[Tensor, tuple[Tensor, ...]]
"""Amplitudes ``[n1, n2, ...]`` of normals, and for each axis the functions that they belong to, ``[N_a, n_a]``."""

_INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class FieldSampler:
    """A way to sample Gaussian random fields.

    Args:
        sampler: ``spectral`` filters white noise by the square root of the spectrum on a periodic grid that
            is larger than the window, so that opposite borders do not meet; ``fourier-features`` sums random
            cosines (Gaussian in the limit of many; it also gives values at arbitrary points); ``coarse-grid``
            spreads independent normals on a few knots with cubic B-splines, divided by their local standard
            deviation (the cheapest for short lengths, slightly anisotropic).
        spectrum: one of :data:`SPECTRA`.
        exponent: exponent of the power law, > 0; samplers other than ``spectral`` need ``exponent`` above the
            rank of the grid, since without a band limit the variance is infinite.
        features: cosines a field, for ``fourier-features``.
        every: sample at about every n-th position and interpolate linearly between; for large grids. With
            ``l`` of at least .2 of the side and 4 at 224 pixels the error is below .002 standard deviations.

    Raises:
        OptionError: for an unknown name or a value outside its range.
    """

    sampler: str = "spectral"
    spectrum: str = "squared-exponential"
    exponent: float = 6.0
    features: int = 128
    every: int = 1

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise unknown("sampler", self.sampler, SAMPLERS)
        if self.spectrum not in SPECTRA:
            raise unknown("spectrum", self.spectrum, SPECTRA)
        for name, least in (("features", 1), ("every", 1)):
            if not getattr(self, name) >= least:
                raise OptionError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.exponent < math.inf:
            raise OptionError(f"exponent must be a positive number, not {self.exponent}")

    def __call__(self, draws: Draws, batch: int, shape: tuple[int, ...], length: float, count: int = 1) -> Tensor:
        """Fields on a grid, independent over batch and count: float32 ``[batch, count, *shape]``.

        Args:
            draws: source of randomness, and the device.
            batch: number of samples.
            shape: the grid's size along each of its 1, 2 or 3 axes; the pitch is the same along all.
            length: correlation length > 0, in units of the shorter axis.
            count: number of fields a sample.

        Raises:
            OptionError: if ``length`` is not positive, the grid is empty or its rank is not 1, 2 or 3.
        """
        return self.field(self.noise(draws, batch, shape, length, count), shape, length)

    def noise(self, draws: Draws, batch: int, shape: tuple[int, ...], length: float, count: int = 1) -> list[Tensor]:
        """The random numbers behind fields, ``[batch, count, ...]`` each; arguments and errors as of a call.

        They are few where spectra are smooth, so that a large batch can draw them at once and turn a few rows
        at a time into fields.
        """
        check_length(length)
        if not 1 <= len(shape) <= 3 or min(shape) < 1:
            raise OptionError(f"a field needs a grid of 1 to 3 axes with at least one cell each, not {shape}")
        if self.sampler == "fourier-features":
            return self._features(draws, batch, count, len(shape), length)
        terms = self._terms(tuple(shape), length, draws.device)
        return [draws.normal(batch, count, *amplitude.shape) for amplitude, _ in terms]

    def field(self, noise: list[Tensor], shape: tuple[int, ...], length: float) -> Tensor:
        """Fields from rows of :meth:`noise` of the same shape and length: ``[B, count, *shape]``."""
        shape = tuple(shape)
        few, device = self._few(shape), noise[0].device
        if self.sampler == "fourier-features":
            phi = _cosines(noise[0], noise[1], _positions(shape, few, device))
        else:
            terms = self._terms(shape, length, device)
            parts = [_spread(rows * amplitude, bases) for rows, (amplitude, bases) in zip(noise, terms, strict=True)]
            phi = functools.reduce(torch.add, parts)
        if few == shape:
            return phi
        return F.interpolate(phi, shape, mode=_INTERPOLATION[len(shape)], align_corners=True)

    def _few(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many positions are sampled along each axis."""
        return tuple(n if self.every == 1 else min(n, max(2, -(-n // self.every))) for n in shape)

    def _terms(self, shape: tuple[int, ...], length: float, device: torch.device) -> list[Term]:
        return _bases(self.sampler, self.spectrum, self.exponent, shape, self._few(shape), float(length), device)

    def at(self, draws: Draws, points: Tensor, length: float, count: int = 1) -> Tensor:
        """Fields at arbitrary points, e.g. of a point cloud, by random Fourier features whatever ``sampler``
        says.

        Args:
            points: ``[B, N, d]``, any rank ``d``, in the unit of ``length``.
            length: correlation length > 0.

        Returns:
            float32 ``[B, count, N]``, one function of position a sample and count.
        """
        check_length(length)
        frequencies, phase = self._features(draws, len(points), count, points.shape[-1], length)
        angle = torch.einsum("bcmd,bnd->bcmn", frequencies, points.float()) + phase[..., None]
        return math.sqrt(2 / self.features) * angle.cos_().sum(2)

    def _features(self, draws: Draws, batch: int, count: int, rank: int, length: float) -> list[Tensor]:
        """Angular frequencies ``[batch, count, m, rank]`` and phases ``[batch, count, m]``."""
        frequencies = draws.normal(batch, count, self.features, rank) / length
        if self.spectrum != "squared-exponential":
            share, scale = (t.to(draws.device) for t in _mixture(self.spectrum, self.exponent, rank))
            chance = draws.uniform(batch, count, self.features).clamp(share[0], share[-1])
            i = torch.searchsorted(share, chance, right=True).clamp_max(len(share) - 1)
            part = (chance - share[i - 1]) / (share[i] - share[i - 1]).clamp_min(1e-12)
            frequencies = frequencies / torch.lerp(scale[i - 1], scale[i], part)[..., None]
        return [frequencies, draws.uniform(batch, count, self.features) * (2 * math.pi)]


def check_length(length: float, name: str = "length") -> None:
    """Refuse a correlation length that is not a positive number.

    Raises:
        OptionError: naming the argument.
    """
    if not length > 0:  # also refuses NaN
        raise OptionError(f"{name} must be a positive correlation length (1 = the shorter side), not {length}")


def _positions(shape: tuple[int, ...], few: tuple[int, ...], device: torch.device) -> list[Tensor]:
    """Coordinates of the sampled positions along each axis, in units of the shorter axis; the first is 0."""
    side = min(shape)
    return [torch.linspace(0, (n - 1) / side, m, device=device) for n, m in zip(shape, few, strict=True)]


def _spread(coefficients: Tensor, bases: tuple[Tensor, ...]) -> Tensor:
    """Sum of products of functions: ``[B, F, n1, n2, ...]``, ``[N_a, n_a]`` an axis -> ``[B, F, N1, N2, ...]``."""
    for basis in bases:  # each contraction takes the first of the remaining axes and appends the new one
        coefficients = torch.tensordot(coefficients, basis, dims=([2], [1]))
    return coefficients


def _cosines(frequencies: Tensor, phase: Tensor, positions: list[Tensor]) -> Tensor:
    """``sqrt(2/m) sum_i cos(w_i . x + b_i)`` on a grid, by cos(p + q) = cos p cos q - sin p sin q as a matrix
    product.

    So the cosines cost as many evaluations as the grid has positions without its last axis, not with it.
    """
    batch, count, features, _ = frequencies.shape
    sizes = [len(axis) for axis in positions]
    cells = math.prod(sizes[:-1])
    parts = []
    for w, b in zip(*(t.split(max(1, PIECE // (count * features * cells))) for t in (frequencies, phase)), strict=True):
        first = b[..., None]
        for a, axis in enumerate(positions[:-1]):
            first = (first[..., None] + (w[..., a, None] * axis)[..., None, :]).flatten(3)
        last = w[..., -1, None] * positions[-1]
        left = torch.cat([first.cos(), first.sin().neg_()], 2)
        right = torch.cat([last.cos(), last.sin()], 2)
        parts.append(left.transpose(2, 3) @ right)
    return torch.cat(parts).reshape(batch, count, *sizes) * math.sqrt(2 / features)


@functools.lru_cache(maxsize=64)
def _bases(
    sampler: str,
    spectrum: str,
    exponent: float,
    shape: tuple[int, ...],
    few: tuple[int, ...],
    length: float,
    device: torch.device,
) -> list[Term]:
    """What turns normals into a field: terms of amplitudes ``[n1, n2, ...]`` and a basis ``[N_a, n_a]`` an axis."""
    positions = [p.double() for p in _positions(shape, few, torch.device("cpu"))]
    pitch = [float(p[1]) if len(p) > 1 else 1 / min(shape) for p in positions]
    if sampler == "spectral":
        terms = [_harmonics(spectrum, exponent, positions, pitch, length)]
    else:
        terms = _splines(spectrum, exponent, positions, pitch, length)
    return [(a.float().to(device), tuple(b.float().to(device) for b in bases)) for a, bases in terms]


def _harmonics(spectrum: str, exponent: float, positions: list[Tensor], pitch: list[float], length: float) -> Term:
    """White noise in the real Fourier basis of a periodic grid, weighted by the root of the spectrum.

    It is the filtered discrete Fourier transform of white noise, seen through a window. The grid's period is
    the window plus four correlation lengths, so wrapping round costs no covariance that matters. Only the
    window's cells
    and only the frequencies that carry variance are computed, by one matrix product an axis: for smooth
        spectra a
    hundred numbers a field in place of an FFT over all cells. Rough spectra end at the grid's own highest
    frequency. At most twice as many frequencies as the window has cells are kept along an axis; that cuts
    into rough spectra alone, at ``l > .75``, by about 1 % of the variance.
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


def _splines(spectrum: str, exponent: float, positions: list[Tensor], pitch: list[float], length: float) -> list[Term]:
    """Normals on coarse knots under cubic B-splines; spectra with a tail are sums of such over octaves of length."""
    terms = []
    for part, scale in _octaves(spectrum, exponent, len(positions), min(1.0, min(pitch) / (4 * length))):
        # Knots this far apart give the field the gradient of a squared exponential: variance 1 / l^2.
        bases = tuple(
            _spline(x, max(1.1793 * length * scale, step / 4)) for x, step in zip(positions, pitch, strict=True)
        )
        terms.append((torch.full([b.shape[1] for b in bases], math.sqrt(part), dtype=torch.double), bases))
    return terms


def _spline(x: Tensor, spacing: float) -> Tensor:
    """Cubic B-splines on knots ``spacing`` apart, at ``x``: ``[N, knots]``, each row divided by its norm."""
    knots = math.ceil(float(x[-1]) / spacing) + 3
    distance = (x[:, None] / spacing - torch.arange(knots) + 1).abs()
    inner = 2 / 3 - distance.square() + distance**3 / 2
    outer = (2 - distance).clamp_min(0) ** 3 / 6
    weight = torch.where(distance < 1, inner, outer)
    return weight / weight.norm(dim=1, keepdim=True)


def _octaves(spectrum: str, exponent: float, rank: int, least: float) -> list[tuple[float, float]]:
    """A spectrum as a mixture of squared exponentials: (share of the variance, factor on the length) of each."""
    if spectrum == "squared-exponential":
        return [(1.0, 1.0)]
    share, scale = _mixture(spectrum, exponent, rank)
    steps = torch.arange(math.floor(math.log2(least)), math.ceil(math.log2(float(scale[-1]))) + 1)
    edges = torch.searchsorted(scale, 2.0 ** (steps[:-1] + 0.5)).clamp_max(len(scale) - 1)
    below = torch.cat([torch.zeros(1), share[edges], torch.ones(1)])
    parts = zip(below.diff().tolist(), (2.0**steps).tolist(), strict=True)
    kept = [(part, factor) for part, factor in parts if part > 1e-4]
    total = sum(part for part, _ in kept)
    return [(part / total, factor) for part, factor in kept]


@functools.lru_cache(maxsize=16)
def _mixture(spectrum: str, exponent: float, rank: int) -> tuple[Tensor, Tensor]:
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
