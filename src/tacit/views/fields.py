"""Smooth random functions of position: stationary, isotropic Gaussian random fields of zero mean and unit variance.

One contract, three ways to sample it, on grids of any rank (series, images, volumes). With correlation length
``l`` (in units of the grid's shorter side) the variance is 1 over the ensemble, ``l -> inf`` gives a constant
drawn from N(0, 1) and ``l -> 0`` white noise. A field is never centred or scaled by its own mean or spread:
that would delete the constant part, which is the usual global augmentation.

The spectra stand in :mod:`tacit.views.spectra`.

Source of the random Fourier features: Rahimi and Recht, Random Features for Large-Scale Kernel Machines, 2007.
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
from tacit.views.spectra import SPECTRA, Term, bumps, harmonics, mixture

SAMPLERS = ("spectral", "fourier-features", "coarse-grid")

PIECE = 1 << 24  # numbers that the Fourier-feature sampler holds at once


_INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class FieldSampler:
    """A way to sample Gaussian random fields.

    Args:
        sampler: ``spectral`` filters white noise by the square root of the spectrum on a periodic grid that
            is larger than the window, so that opposite borders do not meet; ``fourier-features`` sums random
            cosines (Gaussian in the limit of many; it also gives values at arbitrary points); ``coarse-grid``
            spreads independent normals on a few knots with smooth weights, divided by their local standard
            deviation.
        spectrum: one of :data:`SPECTRA`.
        exponent: exponent of the power law, > 0; samplers other than ``spectral`` need ``exponent`` above the
            rank of the grid, since without a band limit the variance is infinite.
        features: cosines a field, for ``fourier-features``.
        every: sample at about every n-th position and interpolate linearly between. It saves time on large grids
            with ``fourier-features`` or rough spectra, not with smooth spectra of the other two. With ``l`` of
            at least .2 of the side and 4 at 224 pixels the error is below .002 standard deviations.

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

    def field(self, noise: list[Tensor], shape: tuple[int, ...], length: float, sigma: Tensor | None = None) -> Tensor:
        """Fields from rows of :meth:`noise` of the same shape and length, times ``sigma`` (``[B, count]``).

        Returns:
            ``[B, count, *shape]``.
        """
        shape = tuple(shape)
        few, device = self._few(shape), noise[0].device
        if self.sampler == "fourier-features":
            phi = _cosines(noise[0], noise[1], _positions(shape, few, device))
            if sigma is not None:
                phi *= sigma.reshape(*sigma.shape, *[1] * len(shape))
        else:
            terms = self._terms(shape, length, device)
            if sigma is not None:  # the normals are fewer than the positions
                noise = [rows * sigma.reshape(*sigma.shape, *[1] * len(shape)) for rows in noise]
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
        """Fields at arbitrary points, e.g. of a point cloud, by random Fourier features for any ``sampler``.

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
            share, scale = (t.to(draws.device) for t in mixture(self.spectrum, self.exponent, rank))
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
    """``sqrt(2/m) sum_i cos(w_i . x + b_i)`` on a grid, by cos(p + q) = cos p cos q - sin p sin q.

    With the sum as a matrix product, cosines are evaluated for the grid without its last axis, and for that axis.
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
        terms = [harmonics(spectrum, exponent, positions, pitch, length)]
    else:
        terms = bumps(spectrum, exponent, positions, pitch, length)
    return [(a.float().to(device), tuple(b.float().to(device) for b in bases)) for a, bases in terms]
