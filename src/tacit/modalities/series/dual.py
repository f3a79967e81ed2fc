"""An encoder of time series with two levels: one vector a patch, and one for the whole series."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.parts.decoder import position_code
from tacit.parts.heads import TokenDropout
from tacit.parts.lengths import inside
from tacit.parts.levels import Levels
from tacit.parts.transformer import Transformer


class DualNet(nn.Module):
    """A transformer over patches and a learned patch before them, whose output is the embedding of the series.

    Each series is brought to zero mean and unit variance by channel first, so that offset and strength are not in the
    embedding. In training, dropout makes two passes of one series differ.

    Args:
        channels: of the series.
        length: of the longest series that is expected; a longer one will do.
        patch: steps in a patch.
        stride: steps from one patch to the next; by default ``patch``. The end is filled up with the last value.
        width, depth, heads: of the transformer.
        dropout: probability of dropping a number after the embedding and in each layer, in [0, 1).
        mixing: whether a patch holds all channels, and the embedding has ``width`` numbers; otherwise each channel is a
            series of its own, and the embedding holds theirs one after the other.

    Source: Chang et al. 2024, TimeDRL: Disentangled Representation Learning for Multivariate Time-Series, section III,
    with norms before the layers and no dropout inside the attention.

    Raises:
        OptionError: for sizes that cannot be, or series shorter than a patch.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        *,
        patch: int = 8,
        stride: int | None = None,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        mixing: bool = True,
    ) -> None:
        super().__init__()
        stride = patch if stride is None else stride
        if not 1 <= stride <= patch:
            raise OptionError(f"patch and stride must be steps, 1 <= stride <= patch, not {patch} and {stride}")
        if length < patch:
            raise OptionError(f"a patch of {patch} steps is longer than the longest series ({length})")
        if not 0 <= dropout < 1:
            raise OptionError(f"dropout is a probability in [0, 1), not {dropout}")
        self.channels, self.length, self.patch, self.stride = channels, length, patch, stride
        self.mixing, self.dropout = mixing, dropout
        lines = channels if mixing else 1
        self.width, self.target_dim = width, lines * patch
        self.dim = width if mixing else channels * width
        self.first = nn.Parameter(0.02 * torch.randn(1 if mixing else channels, self.target_dim))
        self.enter = nn.Linear(self.target_dim, width, bias=False)
        self.drop = TokenDropout(dropout)
        self.transformer = Transformer(width, depth, heads)
        for layer in self.transformer.layers:
            layer.dropout, layer.dropout1, layer.dropout2 = (TokenDropout(dropout) for _ in range(3))

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, C, T] -> [B, dim]``."""
        return self.levels(x, length).whole.reshape(len(x), -1)

    def levels(self, x: Tensor, length: Tensor | None = None) -> Levels:
        """Both levels of a batch; without ``mixing`` each channel is a row of its own, ``B * C`` in all."""
        lines, mean, scale = standardised(x, length)
        given, valid = self.cut(x, length)
        seen, _ = self.cut(lines, length)
        first = self.first.repeat(len(seen) // len(self.first), 1)[:, None]
        tokens = self.enter(torch.cat((first.to(seen.dtype), seen), 1))
        place = (torch.arange(tokens.shape[1], device=x.device) * self.stride / self.length)[:, None]
        tokens = self.drop(tokens + position_code(place, self.width).to(tokens.dtype))
        all_valid = None if valid is None else torch.cat((torch.ones_like(valid[:, :1]), valid), 1)
        found = self.transformer(tokens, all_valid)
        return Levels(found[:, 1:], found[:, 0], given, seen, valid, mean, scale)

    def cut(self, x: Tensor, length: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Patches ``[B, N, C * patch]``, or ``[B * C, N, patch]`` without ``mixing``, and which of them are real."""
        steps = x.shape[2] + self.stride
        place = torch.arange(max(steps, self.patch), device=x.device)
        last = torch.full((len(x),), x.shape[2], device=x.device) if length is None else length
        at = torch.minimum(place, (last - 1)[:, None])
        patches = x.gather(2, at[:, None].expand(-1, x.shape[1], -1)).unfold(2, self.patch, self.stride)
        valid = None
        if length is not None:
            count = ((length + self.stride - self.patch) // self.stride + 1).clamp_min(1)
            valid = inside(count, patches.shape[2])
        if self.mixing:
            return patches.transpose(1, 2).flatten(2), valid
        return patches.flatten(0, 1), None if valid is None else valid.repeat_interleave(x.shape[1], 0)


def standardised(x: Tensor, length: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Each channel of each series at zero mean and unit variance, and these: ``[B, C, T]``, ``[B, C, 1]`` twice."""
    x = x.float()
    if length is None:
        mean = x.mean(2, keepdim=True)
        scale = ((x - mean).square().mean(2, keepdim=True) + 1e-5).sqrt()
        return (x - mean) / scale, mean, scale
    real = inside(length, x.shape[2])[:, None]
    mean = (x * real).sum(2, keepdim=True) / length[:, None, None]
    off = (x - mean) * real
    scale = (off.square().sum(2, keepdim=True) / length[:, None, None] + 1e-5).sqrt()
    return off / scale, mean, scale
