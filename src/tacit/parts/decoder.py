"""A small transformer that restores hidden tokens."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tacit.parts.tokens import rows_at


class TokenDecoder(nn.Module):
    """Predicts every token's content from the encoded tokens that were kept.

    A learned mask token stands at each hidden place; all places carry a fixed sine-cosine code of their
    position. Pre-norm transformer layers without dropout, GELU, hidden width 4 x ``width``.

    Args:
        dim: width of the encoded tokens, D.
        target_dim: numbers to predict for each token, P.
        width, depth, heads: of the transformer; ``width`` must be a multiple of ``heads``.

    Shape: ``tokens`` ``[B, K, D]``, ``keep`` int64 ``[B, K]``, ``position`` ``[N, k]`` or ``[B, N, k]``
    in [0, 1] ``-> [B, N, P]``. Where samples differ in length, ``kept`` (bool ``[B, K]``) says which of the tokens are
    real and ``valid`` (bool ``[B, N]``) which places are.

    Source: He et al. 2021, Masked Autoencoders Are Scalable Vision Learners, section 3.
    """

    def __init__(self, dim: int, target_dim: int, width: int = 128, depth: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.enter = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        layers = [
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        ]
        self.layers = nn.Sequential(*layers)
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, target_dim))

    def forward(
        self,
        tokens: Tensor,
        keep: Tensor,
        position: Tensor,
        kept: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Tensor:
        known = self.enter(tokens)
        width = known.shape[2]
        places = self.mask_token.to(known.dtype).expand(len(known), position.shape[-2], width)
        if kept is not None:  # what is not real would land on a real place
            known = torch.where(kept[..., None], known, self.mask_token.to(known.dtype))
        places = places.scatter(1, keep[..., None].expand(-1, -1, width), known)
        return self._restore(places + position_code(position, width).to(known.dtype), valid)

    def _restore(self, places: Tensor, valid: Tensor | None) -> Tensor:
        hidden = None if valid is None else ~valid
        for layer in self.layers:
            places = layer(places, src_key_padding_mask=hidden)
        return self.leave(places)


class TokenPredictor(TokenDecoder):
    """Predicts what an encoder would give at some places from the encoded tokens at others.

    As :class:`TokenDecoder`, but with mask tokens at the wanted places alone.

    Shape: ``tokens`` ``[B, K, D]``, ``keep`` int64 ``[B, K]``, ``wanted`` int64 ``[B, T]``, ``position`` ``[N, k]`` or
    ``[B, N, k]`` in [0, 1] ``-> [B, T, P]``. Where samples differ in length, ``kept`` (bool ``[B, K]``) and ``asked``
    (bool ``[B, T]``) say which are real.

    Source: Assran et al. 2023, Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture,
    section 3.
    """

    def forward(  # type: ignore[override]
        self,
        tokens: Tensor,
        keep: Tensor,
        wanted: Tensor,
        position: Tensor,
        kept: Tensor | None = None,
        asked: Tensor | None = None,
    ) -> Tensor:
        known = self.enter(tokens)
        code = position_code(position, known.shape[2]).to(known.dtype)
        places = torch.cat((known + rows_at(code, keep), self.mask_token.to(known.dtype) + rows_at(code, wanted)), 1)
        valid = None if kept is None or asked is None else torch.cat((kept, asked), 1)
        return self._restore(places, valid)[:, known.shape[1] :]


def position_code(position: Tensor, width: int, finest: float = 256.0) -> Tensor:
    """Sines and cosines of each coordinate at geometrically spaced frequencies.

    Args:
        position: coordinates in [0, 1], ``[..., k]``.
        width: length of the code; what does not divide by 2 k is filled with zeros.
        finest: half cycles of the fastest wave over [0, 1]; the slowest makes one half cycle. Tokens that lie
            1 / finest apart can still be told from each other.

    Shape: ``[..., k] -> [..., width]``.
    """
    waves = width // (2 * position.shape[-1])
    rate = math.pi * torch.logspace(0, math.log10(finest), waves, device=position.device)
    angle = (position[..., None] * rate).flatten(-2)
    code = torch.cat((angle.sin(), angle.cos()), -1)
    return nn.functional.pad(code, (0, width - code.shape[-1]))
