"""A transformer over what convolutions make of samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.errors import OptionError
from tacit.modalities.audio.frontend import Frames, cepstra
from tacit.modalities.audio.spec import MELS, Spec
from tacit.parts.lengths import inside
from tacit.parts.transformer import Pieces, TokenNet, pieces_of_line

COEFFICIENTS = 13


class WaveformNet(TokenNet):
    """Convolutions that make a token of every 20 ms of samples, and a transformer over them.

    A token's target, for methods that restore what is hidden, is the log-mel spectrum around it: the phase of the
    samples themselves could not be told.

    Args:
        spec: of the data.
        strides: of the convolutions; their product is the number of samples from one token to the next. By default
            5, 4, 4 and what makes 20 ms of it: 5, 4, 4, 4 at 16 kHz and 5, 4, 4, 2 at 8 kHz.
        filters: features of the convolutions. The paper has 512.
        width, depth, heads: of the transformer; ``width`` is that of the embedding. The paper has 12 layers of 768.

    Attributes:
        hop: samples from one token to the next.
        surface_dim: numbers of each token that :meth:`surface` gives.

    Source: Hsu et al. 2021, HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden
    Units, section III; fewer convolutions, the norm after the first one over the features of a step, norms before
    layers, and sines and cosines in place of a convolution for positions.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        strides: tuple[int, ...] | None = None,
        filters: int = 64,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        if strides is None:
            strides = (5, 4, 4, max(1, round(0.020 * spec.rate / 80)))
        if not strides or min(strides) < 1 or filters < 1:
            raise OptionError(f"strides and filters must be at least 1, not {strides} and {filters}")
        hop = 1
        for stride in strides:
            hop *= stride
        super().__init__(spec.channels * MELS, filters, width=width, depth=depth, heads=heads)
        self.frames = Frames(spec.rate, MELS, spec.level, spec.spread, hop=hop)
        self.surface_dim = 3 * COEFFICIENTS * spec.channels
        self.strides, self.hop, self.far = tuple(strides), hop, -(-spec.length // hop)
        inputs = (spec.channels, *[filters] * (len(strides) - 1))
        self.layers = nn.ModuleList(
            nn.Conv1d(before, filters, 2 * stride, stride, bias=False)
            for before, stride in zip(inputs, strides, strict=True)
        )
        self.first = nn.LayerNorm(filters)
        self.last = nn.LayerNorm(filters)

    def features(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """What the convolutions give, ``[B, C, T] -> [B, N, filters]``, zero where there is only padding."""
        h, count = x, length
        for i, (layer, stride) in enumerate(zip(self.layers, self.strides, strict=True)):
            width = -(-h.shape[2] // stride)
            before = stride // 2  # the 2 * stride samples lie around the middle of the step
            after = max(0, (width - 1) * stride + 2 * stride - before - h.shape[2])
            h = layer(F.pad(h, (before, after)))[..., :width]
            h = F.gelu(self.first(h.transpose(1, 2)).transpose(1, 2) if i == 0 else h)
            if count is not None:
                count = (count + stride - 1) // stride
                h = h.masked_fill(~inside(count, width)[:, None], 0)
        return h.transpose(1, 2)

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        found, count = self.frames(x, length)
        target, position, valid, _ = pieces_of_line(found.flatten(1, 2), count, 1, self.far)
        return Pieces(target, position, valid, entry=self.features(x, length))

    def embed(self, pieces: Pieces) -> Tensor:
        assert pieces.entry is not None
        return self.enter(self.last(pieces.entry))

    @torch.no_grad()
    def surface(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """Mel-frequency cepstral coefficients with first and second differences around each token, float32
        ``[B, N, 39 C]``: what can be known of a token without any learning."""
        found, count = self.frames(x, length)
        return cepstra(found * self.frames.spread, count, COEFFICIENTS).flatten(1, 2).transpose(1, 2)
