"""Transformers over pieces of log-mel spectrograms."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.modalities.audio.frontend import Frames, standardised
from tacit.modalities.audio.spec import MELS, Spec
from tacit.parts.lengths import inside
from tacit.parts.transformer import Pieces, TokenNet, pieces_of_line


class SpectrogramNet(TokenNet):
    """A transformer over patches of a log-mel spectrogram, which do not overlap.

    Tokens run through the bands of one stretch of time, from low to high, and then on to the next stretch; their
    coordinates are time, in recordings of the longest length, and frequency.

    Args:
        spec: of the data.
        mels: bands of the spectrogram, a multiple of ``bands``.
        bands, steps: size of a patch, in bands and in frames of 10 ms. ``bands`` = ``mels`` makes tokens of whole
            frames.
        width, depth, heads: of the transformer; ``width`` is that of the embedding. The paper has 12 layers of 192,
            384 or 768 over 128 bands in patches of 16 by 16.

    Attributes:
        rows: tokens at each stretch of time.

    Source: Gong et al. 2022, SSAST: Self-Supervised Audio Spectrogram Transformer, section 2; sines and cosines in
    place of learned positions, and no class token.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        mels: int = 64,
        bands: int = 8,
        steps: int = 8,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        if bands < 1 or steps < 1 or mels % bands:
            raise OptionError(
                f"a patch must have at least one step, and bands that divide mels ({mels}), not {bands} by {steps}"
            )
        super().__init__(spec.channels * bands * steps, width=width, depth=depth, heads=heads)
        self.frames = Frames(spec.rate, mels, spec.level, spec.spread)
        self.bands, self.steps, self.rows = bands, steps, mels // bands
        self.far = -(-spec.length // self.frames.mel.hop)

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        found, count = self.frames(x, length)
        width = found.shape[3]
        columns = -(-width // self.steps)
        filled = torch.nn.functional.pad(found, (0, columns * self.steps - width))
        cells = filled.unflatten(3, (columns, self.steps)).unflatten(2, (self.rows, self.bands))
        target = cells.permute(0, 4, 2, 1, 3, 5).flatten(3).flatten(1, 2)
        time = (torch.arange(columns, device=x.device) + 0.5) * self.steps / self.far
        pitch = (torch.arange(self.rows, device=x.device) + 0.5) / self.rows
        position = torch.stack(torch.meshgrid(time, pitch, indexing="ij"), 2).flatten(0, 1)
        if count is None and columns * self.steps == width:
            return Pieces(target, position)
        valid = None
        if count is not None:
            valid = inside((count + self.steps - 1) // self.steps, columns).repeat_interleave(self.rows, 1)
        real = count if count is not None else torch.full((len(x),), width, device=x.device)
        known = inside(real, columns * self.steps).unflatten(1, (columns, 1, 1, self.steps))
        known = known.expand(-1, -1, self.rows, target.shape[2] // self.steps, -1)
        return Pieces(target, position, valid, known.flatten(3).flatten(1, 2))


class FrameNet(TokenNet):
    """A transformer over the frames of a log-mel spectrogram, each band of each recording brought to zero mean and unit
    variance.

    Args:
        spec: of the data.
        mels: bands of the spectrogram.
        width, depth, heads: of the transformer; ``width`` is that of the embedding. The paper has 3, 6 or 12 layers of
            768 over 80 bands.

    Source: Liu et al. 2021, TERA: Self-Supervised Learning of Transformer Encoder Representation for Speech,
    section III; norms before the layers and no dropout.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(self, spec: Spec, *, mels: int = MELS, width: int = 128, depth: int = 3, heads: int = 4) -> None:
        super().__init__(spec.channels * mels, width=width, depth=depth, heads=heads)
        self.frames = Frames(spec.rate, mels, spec.level, spec.spread)
        self.far = -(-spec.length // self.frames.mel.hop)

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        found, count = self.frames(x, length)
        line = standardised(found, count).flatten(1, 2)
        target, position, valid, _ = pieces_of_line(line, count, 1, self.far)
        return Pieces(target, position, valid)
