"""Convolutions along time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.parts.lengths import inside


class DilatedNet(nn.Module):
    """Residual blocks of dilated convolutions; the embedding is of each channel's mean and largest value.

    Norms are over the channels of one step, so that neither padding nor other samples change what a sample gives.

    Args:
        channels: of the series.
        width: of the convolutions.
        depth: number of blocks; block i has dilation 2^i, or less where steps have been averaged, so that 6 blocks see
            about 250 steps.
        kernel: steps of a convolution, odd.
        pool: how many steps are averaged after every second block; 1: none.
        dim: of the embedding.

    Source: the dilated convolutions of Franceschi et al. 2019, Unsupervised Scalable Representation Learning for
    Multivariate Time Series, not causal.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self, channels: int, *, width: int = 64, depth: int = 6, kernel: int = 3, pool: int = 2, dim: int = 128
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth), ("kernel", kernel), ("pool", pool), ("dim", dim)):
            if value < 1:
                raise OptionError(f"{name} of the tcn must be at least 1, not {value}")
        if kernel % 2 == 0:
            raise OptionError(f"kernel of the tcn must be odd, not {kernel}")
        self.channels, self.dim, self.pool = channels, dim, pool
        self.enter = nn.Conv1d(channels, width, 1)
        self.blocks = nn.ModuleList(_Block(width, kernel, max(1, 2**i // pool ** (i // 2))) for i in range(depth))
        self.leave = nn.Linear(2 * width, dim)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, C, T] -> [B, dim]``."""
        h, real = self.enter(x), _real(x, length)
        for i, block in enumerate(self.blocks):
            if i and i % 2 == 0 and self.pool > 1:
                h = h if real is None else h * real
                h = nn.functional.avg_pool1d(nn.functional.pad(h, (0, -h.shape[2] % self.pool)), self.pool)
                length = None if length is None else (length + self.pool - 1) // self.pool
                real = _real(h, length)
            h = block(h, real)
        if real is None or length is None:
            return self.leave(torch.cat((h.mean(2), h.amax(2)), 1))
        mean = (h * real).sum(2) / length[:, None]
        return self.leave(torch.cat((mean, h.masked_fill(~real, -torch.inf).amax(2)), 1))


def _real(x: Tensor, length: Tensor | None) -> Tensor | None:
    """Where samples are not padded: bool ``[B, 1, T]``; None: everywhere."""
    if length is None:
        return None
    return inside(length, x.shape[2])[:, None]


class _ChannelNorm(nn.Module):
    """The channels of each step brought to a mean square of one, then scaled and shifted; no copy in another layout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-5).to(x.dtype)
        return torch.addcmul(self.bias[:, None].to(x.dtype), x * scale, self.weight[:, None].to(x.dtype))


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        around = dilation * (kernel - 1) // 2
        self.norms = nn.ModuleList(_ChannelNorm(width) for _ in range(2))
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=around, dilation=dilation) for _ in range(2)
        )

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        h = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = nn.functional.relu(norm(h))
            if real is not None:
                h = h * real  # beyond its end a series is zero, as beyond the border
            h = layer(h)
        return x + h
