"""A network that restores hidden steps of one stretch of a signal by looking them up in another."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.parts.draws import Draws

EPS = 1e-5


class Retriever(nn.Module):
    """Cross-attention from a stretch with hidden steps (the query) to another stretch (the key).

    Query, key and value each have a net of their own: a partial convolution, in which hidden steps take no part, and
    residual blocks with growing dilation. So a hidden step can only be filled with what the key has where its
    surroundings look alike. Both stretches are normalised by the query's statistics, its hidden steps included, and the
    outcome is brought back.

    Args:
        channels: of the signal, C.
        width: of the nets, D; the paper has 256.
        blocks: residual blocks of each; the paper has 1 or 5, by the length.
        kernel: steps of a convolution, odd; the paper has 15.
        dropout: of the attention, while it is trained.

    Shape: ``query`` and ``key`` ``[B, C, L]``, ``hidden`` bool ``[B, L]`` ``-> [B, C, L]``.

    Source: Xu et al. 2024, REBAR: Retrieval-Based Reconstruction for Time-series Contrastive Learning, section 3.1.
    """

    def __init__(self, channels: int, width: int = 64, blocks: int = 1, kernel: int = 15, dropout: float = 0.1) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(channels, 1)), nn.Parameter(torch.zeros(channels, 1))
        self.enter = nn.ModuleList(PartialConvolution(channels, width, kernel) for _ in range(3))
        self.deepen = nn.ModuleList(
            nn.Sequential(*(_Bottleneck(width, kernel, 2**i) for i in range(blocks))) for _ in range(3)
        )
        self.drop = nn.Dropout(dropout)
        self.leave = nn.Linear(width, channels)

    def forward(self, query: Tensor, key: Tensor, hidden: Tensor) -> Tensor:
        mean = query.mean(2, keepdim=True)
        scale = ((query - mean).square().mean(2, keepdim=True) + EPS).sqrt()
        asked, given = ((x - mean) / scale * self.gain + self.shift for x in (query, key))
        seen = ~hidden[:, None]
        everything = torch.ones_like(seen)
        rows = [
            deepen(enter(x, real)).transpose(1, 2)
            for enter, deepen, x, real in zip(
                self.enter, self.deepen, (asked, given, given), (seen, everything, everything), strict=True
            )
        ]
        nearness = rows[0] @ rows[1].transpose(1, 2) / math.sqrt(rows[0].shape[2])
        found = self.leave(self.drop(nearness.float().softmax(2).to(rows[2].dtype)) @ rows[2]).transpose(1, 2)
        return (found - self.shift) / self.gain * scale + mean

    @torch.no_grad()
    def distance(self, query: Tensor, key: Tensor, hidden: Tensor) -> Tensor:
        """Summed squared error at the hidden steps of queries, restored from keys: ``[B]``, float32."""
        with torch.autocast(query.device.type, enabled=False):
            error = (self(query.float(), key.float(), hidden) - query).square()
            return (error * hidden[:, None]).sum((1, 2))


class PartialConvolution(nn.Module):
    """A convolution in which only some steps take part; what it gives is scaled up for those that are missing, beyond
    the borders too, and zero where there are none.

    Shape: ``x`` ``[B, C, L]``, ``real`` bool ``[B, 1, L]`` ``-> [B, D, L]``.

    Source: Liu et al. 2018, Image Inpainting for Irregular Holes Using Partial Convolutions, eq. 1.
    """

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.layer = nn.Conv1d(channels, width, kernel, padding=kernel // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(width, 1))
        self.kernel = kernel

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        line = torch.ones(1, 1, self.kernel, dtype=x.dtype, device=x.device)
        count = F.conv1d(real.to(x.dtype), line, padding=self.kernel // 2).round()
        found = self.layer(x.masked_fill(~real, 0)) * (self.kernel / count.clamp_min(1)) + self.bias
        return found * (count > 0)


class _Bottleneck(nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        inner = max(1, width // 8)
        around = dilation * (kernel // 2)
        self.body = nn.Sequential(
            nn.Conv1d(width, inner, 1), nn.Conv1d(inner, width, kernel, padding=around, dilation=dilation)
        )
        self.norm = nn.InstanceNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.gelu(x + self.body(x)))


def cut(x: Tensor, start: Tensor, size: int) -> Tensor:
    """Stretches of ``size`` steps: ``x`` ``[B, C, T]``, ``start`` int64 ``[B, M]`` ``-> [B, M, C, size]``."""
    at = start[:, :, None] + torch.arange(size, device=x.device)
    samples, channels = x.shape[:2]
    found = x.gather(2, at.flatten(1)[:, None].expand(-1, channels, -1))
    return found.view(samples, channels, *at.shape[1:]).transpose(1, 2)


def elsewhere(length: Tensor, start: Tensor, size: int, count: int, draws: Draws) -> Tensor:
    """Where ``count`` random stretches of each sample begin that do not overlap with the one from ``start`` on.

    Args:
        length: int64 ``[B]``, at least ``3 size``.
        start: int64 ``[B]``.

    Returns:
        int64 ``[B, count]``.
    """
    before = (start - size + 1).clamp_min(0)
    after = (length - 2 * size - start + 1).clamp_min(0)
    at = (draws.uniform(len(length), count) * (before + after)[:, None]).long()
    return torch.where(at < before[:, None], at, at - before[:, None] + (start + size)[:, None])
