"""From sound to log-mel spectrograms and cepstra, in batches and on the device where the sound is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.errors import OptionError
from tacit.parts.lengths import inside

FLOOR = 1e-6
"""Added to the power of a band before the logarithm, where sound has a power of about 1."""


class LogMel(nn.Module):
    """Log-mel spectrograms: short-time power in triangular bands that are evenly spaced in mel, and its logarithm.

    Frame n lies around the middle of samples ``n * hop`` to ``(n + 1) * hop``, so that there are as many frames as
    begun hops. The windows are Hann's. Bands run from 0 Hz to half the rate; each is a weighted mean of the bins in it,
    so that white noise of variance 1 has about the same level in all. Bins are made finer (by zeros beside the window)
    until every band holds one.

    Args:
        rate: of sampling, in Hz.
        mels: number of bands, M.
        hop: from one frame to the next, in samples; by default 10 ms.
        window: in samples; by default 25 ms, and at least one hop.

    Shape: ``[B, C, T] -> [B, C, M, ceil(T / hop)]``, float32 at least.

    Source: the mel scale of O'Shaughnessy, 2595 log10(1 + f / 700).

    Raises:
        OptionError: for too many bands, or none.
    """

    window: Tensor
    bands: Tensor

    def __init__(self, rate: int, mels: int, hop: int | None = None, window: int | None = None) -> None:
        super().__init__()
        self.hop = hop if hop is not None else max(1, round(0.010 * rate))
        size = window if window is not None else max(2, round(0.025 * rate), self.hop)
        if mels < 1:
            raise OptionError(f"mels must be at least 1, not {mels}")
        bins = 1 << (size - 1).bit_length()
        bands = mel_bands(rate, mels, bins)
        while not (bands.sum(1) > 0).all():
            bins *= 2
            if bins > 32 * size:
                raise OptionError(f"mels must be fewer than {mels} for sound at {rate} Hz: the lowest bands are empty")
            bands = mel_bands(rate, mels, bins)
        self.bins = bins
        taps = torch.hann_window(size)
        self.register_buffer("window", taps, persistent=False)
        # power as a mean over the window: white noise of variance 1 has power 1 in every bin
        self.register_buffer("bands", bands / bands.sum(1, keepdim=True) / taps.square().sum(), persistent=False)

    def frames(self, length: Tensor) -> Tensor:
        """How many frames so many samples have."""
        return (length + self.hop - 1) // self.hop

    def power(self, x: Tensor) -> Tensor:
        """Power in each band, ``[B, C, T] -> [B, C, M, N]``."""
        with torch.autocast(x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.float()
            count = -(-x.shape[-1] // self.hop)
            before = (self.bins - self.hop) // 2
            after = (count - 1) * self.hop + self.bins - before - x.shape[-1]
            filled = F.pad(x, (before, max(0, after))).flatten(0, -2)
            found = torch.stft(
                filled, self.bins, self.hop, len(self.window), self.window.to(x.dtype), center=False,
                return_complex=True,
            )[..., :count]  # fmt: skip
            power = found.real.square() + found.imag.square()
            return (self.bands.to(x.dtype) @ power).unflatten(0, x.shape[:-1])

    @staticmethod
    def log(power: Tensor) -> Tensor:
        """The logarithm of a power, with :data:`FLOOR`."""
        return (power + FLOOR).log()

    def forward(self, x: Tensor) -> Tensor:
        return self.log(self.power(x))


def mel_bands(rate: int, mels: int, bins: int) -> Tensor:
    """Weights of the bins of a Fourier transform of ``bins`` samples in each band: ``[mels, bins // 2 + 1]``."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, mels + 2, dtype=torch.float64) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    place = torch.linspace(0, rate / 2, bins // 2 + 1, dtype=torch.float64)
    return torch.minimum((place - low) / (middle - low), (high - place) / (high - middle)).clamp_min(0).float()


class Frames(nn.Module):
    """Log-mel spectrograms of views, normalised by the statistics of the data, zero where there is only padding.

    Args:
        level, spread: mean and standard deviation of the data's log-mel spectrograms.
        rate, mels, hop: see :class:`LogMel`.

    Shape: ``x`` ``[B, C, T]``, ``length`` int64 ``[B]`` or None ``-> [B, C, M, N]`` and the number of real frames,
        int64 ``[B]`` or None.
    """

    def __init__(self, rate: int, mels: int, level: float, spread: float, hop: int | None = None) -> None:
        super().__init__()
        self.mel = LogMel(rate, mels, hop)
        self.level, self.spread = level, spread

    def forward(self, x: Tensor, length: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        found = (self.mel(x) - self.level) / self.spread
        if length is None:
            return found, None
        count = self.mel.frames(length)
        return found.masked_fill(~inside(count, found.shape[-1])[:, None, None], 0), count


def standardised(frames: Tensor, count: Tensor | None) -> Tensor:
    """Every band of every recording at zero mean and unit variance over its real frames; one that does not change is
    zero: ``[B, C, M, N]``, int64 ``[B]`` or None."""
    real = None if count is None else inside(count, frames.shape[-1])[:, None, None]
    size = frames.new_tensor(frames.shape[-1]) if count is None else count[:, None, None, None].to(frames.dtype)
    off = frames - frames.sum(-1, keepdim=True) / size  # padding is zero and adds nothing
    off = off if real is None else off.masked_fill(~real, 0)
    return off * torch.rsqrt(off.square().sum(-1, keepdim=True) / size + 1e-5)


def cepstra(frames: Tensor, count: Tensor | None, coefficients: int = 13, reach: int = 2) -> Tensor:
    """Mel-frequency cepstral coefficients with their first and second differences in time.

    Args:
        frames: log-mel spectrograms ``[B, C, M, N]``.
        count: real frames of each, int64 ``[B]``, or None.
        coefficients: of the cosine transform, at most M.
        reach: frames before and after that a difference looks at; beyond the ends stand the first and the last frame.

    Returns:
        ``[B, C, 3 * coefficients, N]``; where there is padding it means nothing.
    """
    mels, width = frames.shape[-2:]
    if not 1 <= coefficients <= mels:
        raise OptionError(f"there can be from 1 to {mels} cepstral coefficients, as many as bands, not {coefficients}")
    angle = math.pi / mels * torch.arange(coefficients)[:, None] * (torch.arange(mels) + 0.5)
    basis = angle.cos() * math.sqrt(2 / mels)
    basis[0] /= math.sqrt(2)  # orthonormal
    static = basis.to(frames) @ frames
    last = frames.new_full((len(frames),), width - 1, dtype=torch.int64) if count is None else count - 1
    step = torch.arange(width, device=frames.device)

    def difference(x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for k in range(1, reach + 1):
            ahead = torch.minimum((step + k).expand(len(x), -1), last[:, None])
            behind = (step - k).clamp_min(0).expand(len(x), -1)
            ahead, behind = (at[:, None, None].expand(x.shape) for at in (ahead, behind))
            total += k * (x.gather(3, ahead) - x.gather(3, behind))
        return total / (2 * sum(k * k for k in range(1, reach + 1)))

    first = difference(static)
    return torch.cat((static, first, difference(first)), 2)
