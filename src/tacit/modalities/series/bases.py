"""An encoder of time series that also says what encoders of the spectrum and of wavelet coefficients would give."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.modalities.series.convolutions import DilatedNet
from tacit.parts.bases import line_mapper
from tacit.parts.heads import mlp


class ThreeBases(nn.Module):
    """A dilated convolution net, and tiny networks that map its vector to those of the same series in other bases.

    The embedding is the net's vector between the mapped ones. The mappers mean something once
    ``frame-projections`` has taught them; other methods are better off with ``tcn``.

    Args:
        channels, length: of the series.
        width, depth, kernel, pool: see :class:`tacit.modalities.series.convolutions.DilatedNet`. The paper has a
            residual net of eight blocks here.
        dim: of one vector, an even number; the embedding has three times as many, or twice.
        bases: which others there are.
        mapper: convolutions of one hidden channel as in the paper, or one of its ablations: ``linear``, or ``mlp``
            with one hidden layer.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        *,
        width: int = 64,
        depth: int = 6,
        kernel: int = 3,
        pool: int = 2,
        dim: int = 128,
        bases: Literal["both", "fourier", "wavelet"] = "both",
        mapper: Literal["conv", "linear", "mlp"] = "conv",
    ) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise OptionError(f"dim must be an even number, not {dim}")
        self.channels, self.length, self.part = channels, length, dim
        self.time = DilatedNet(channels, width=width, depth=depth, kernel=kernel, pool=pool, dim=dim)
        others = ("fourier", "wavelet") if bases == "both" else (bases,)
        made = {
            "conv": lambda: line_mapper(1), "linear": lambda: nn.Linear(dim, dim),
            "mlp": lambda: mlp([dim, dim, dim], "none"),
        }[mapper]  # fmt: skip
        self.mappers = nn.ModuleDict({name: made() for name in others})
        self.dim = dim * (1 + len(others))

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, C, T] -> [B, dim]``."""
        h = self.time(x, length)
        mapped = {name: mapper(h) for name, mapper in self.mappers.items()}
        parts = [mapped.get("fourier"), h, mapped.get("wavelet")]
        return torch.cat([part for part in parts if part is not None], 1)
