"""Signals in other bases: their spectrum and their wavelet coefficients, and networks that read these."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.errors import OptionError

Phase = Literal["angle", "circle"]
LEAST = 16
"""Steps that a signal must have to be expressed in other bases."""
SHARPEST = 2.0
"""The finest scale of wavelets by default, whose frequency is half a cycle a step, the highest there is."""


def fourier(x: Tensor, phase: Phase = "angle") -> Tensor:
    """The orthonormal spectrum of real signals as magnitude and phase.

    Args:
        x: ``[B, C, T]``.
        phase: ``angle`` in (-pi, pi], which jumps and is noise where the magnitude is small; or ``circle``: real and
            imaginary part over the root of one plus the squared magnitude, which is the cosine and sine of the angle
            where there is something, and near zero where there is not.

    Returns:
        ``[B, 2 C, T // 2 + 1]`` (magnitudes, then angles), or ``[B, 3 C, T // 2 + 1]``, float32.
    """
    spectrum = torch.fft.rfft(x.float(), norm="ortho")
    size = spectrum.abs()
    if phase == "angle":
        return torch.cat((size, spectrum.angle()), 1)
    root = (1 + size.square()).rsqrt()
    return torch.cat((size, spectrum.real * root, spectrum.imag * root), 1)


def scales(count: int, finest: float, coarsest: float) -> Tensor:
    """``count`` scales of wavelets from ``finest`` to ``coarsest`` steps a cycle, evenly in their logarithm.

    Raises:
        OptionError: for fewer than two, or a range that cannot be.
    """
    if count < 2 or not 1 <= finest < coarsest:
        raise OptionError(
            f"wavelets need at least 2 scales, 1 <= finest < coarsest, not {count} from {finest} to {coarsest}"
        )
    return torch.logspace(math.log2(finest), math.log2(coarsest), count, base=2.0)


def wavelets(x: Tensor, at: Tensor) -> Tensor:
    """Magnitudes of the continuous wavelet transform with complex Morlet wavelets, zeros beyond the ends.

        W(s, b) = | sum_t x_t s^-1/2 conj psi((t - b) / s) |,   psi(t) = pi^-1/2 exp(-t^2 + 2 pi i t)

    which is bandwidth 1 and centre 1: scale s answers to a frequency of 1/s cycles a step. It is computed from the
    transform of psi, exp(-pi^2 (f - 1)^2).

    Args:
        x: ``[B, C, T]``.
        at: the scales, ``[S]``.

    Returns:
        ``[B, C, S, T]`` float32; S times as much memory as x.
    """
    steps = x.shape[2]
    # twice as long, so that what wraps around falls into zeros
    frequency = torch.fft.fftfreq(2 * steps, device=x.device)
    spread = at.to(x.device)[:, None]
    bank = spread.sqrt() * torch.exp(-((math.pi * (spread * frequency - 1)) ** 2))
    spectrum = torch.fft.fft(x.float(), n=2 * steps)
    return torch.fft.ifft(spectrum[:, :, None] * bank)[..., :steps].abs()


class _Residual(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(before, after, 3, 2, 1, bias=False), nn.BatchNorm1d(after), nn.ReLU(),
            nn.Conv1d(after, after, 3, 1, 1, bias=False), nn.BatchNorm1d(after),
        )  # fmt: skip
        self.past = nn.Conv1d(before, after, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.past(x))


class FourierNet(nn.Module):
    """A spectrum (:func:`fourier`) as a vector: one branch of convolutions for magnitudes and one for phases.

    Args:
        channels: of the signal, C.
        steps: of the signal, T.
        dim: of the vector; half of it from each branch.
        width: of the first convolution; 2 and 4 times as wide are those that follow. The paper has 16.
        phase: see :func:`fourier`.

    Shape: ``[B, C, T] -> [B, dim]``.
    """

    def __init__(self, channels: int, steps: int, dim: int, width: int = 16, phase: Phase = "angle") -> None:
        super().__init__()
        self.phase: Phase = phase
        places = steps // 2 + 1
        for _ in range(2):
            places = (places + 1) // 2
        self.channels = channels
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(given, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU(),
                _Residual(width, 2 * width), _Residual(2 * width, 4 * width),
                nn.Flatten(), nn.Linear(4 * width * places, part),
            )
            for given, part in (
                (channels, dim - dim // 2), (channels if phase == "angle" else 2 * channels, dim // 2)
            )
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        seen = fourier(x, self.phase)
        parts = seen[:, : self.channels], seen[:, self.channels :]
        return torch.cat([branch(part) for branch, part in zip(self.branches, parts, strict=True)], 1)


class WaveletNet(nn.Module):
    """Wavelet coefficients (:func:`wavelets`) as a vector: convolutions over scale and time, to whose last two stages
    what went in is given once more, averaged; then a linear layer over time and one over scales.

    Args:
        channels: of the signal, C.
        steps: of the signal, T.
        dim: of the vector.
        at: the scales, ``[S]``.
        width: of the first stage; the others have 2, 3 and 4 times as much. The paper has 32.

    Shape: ``[B, C, T] -> [B, dim]``.
    """

    at: Tensor

    def __init__(self, channels: int, steps: int, dim: int, at: Tensor, width: int = 32) -> None:
        super().__init__()
        self.register_buffer("at", at, persistent=False)
        widths = [width * k for k in (1, 2, 3, 4)]
        entry = [channels, widths[0], widths[1] + channels, widths[2] + channels]
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 5, stride, 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
            )
            for before, after, stride in zip(entry, widths, (1, 2, 2, 2), strict=True)
        )  # fmt: skip
        high, long = len(at), steps
        for _ in range(3):
            high, long = (high + 1) // 2, (long + 1) // 2
        self.over_time = nn.Linear(long, 1)
        self.over_scales = nn.Linear(high * widths[3], dim)

    def forward(self, x: Tensor) -> Tensor:
        seen = wavelets(x, self.at)
        h = seen
        for i, stage in enumerate(self.stages):
            if i >= 2:
                h = torch.cat((h, F.adaptive_avg_pool2d(seen, (h.shape[2], h.shape[3])).to(h.dtype)), 1)
            h = stage(h)
        return self.over_scales(self.over_time(h)[..., 0].flatten(1))


def line_mapper(hidden: int) -> nn.Sequential:
    """A tiny network between vectors, taken as lines of one channel: ``[B, D] -> [B, D]``, D even."""
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)), nn.Conv1d(1, hidden, 3, 2, 1), nn.ReLU(),
        nn.ConvTranspose1d(hidden, 1, 3, 2, 1, output_padding=1), nn.Flatten(),
    )  # fmt: skip
