"""Encoders of sound; all take waveforms and make of them what they need."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, unknown
from tacit.modalities.audio.frontend import Frames
from tacit.modalities.audio.spec import MELS, Spec
from tacit.modalities.audio.spectrogram import FrameNet, SpectrogramNet
from tacit.modalities.audio.waveform import WaveformNet
from tacit.options import settle
from tacit.parts.lengths import inside
from tacit.parts.wrapping import wrapped


def encoder_names() -> list[str]:
    """Names of the encoders: ``mel`` (convolutions over log-mel spectrograms), and with tokens ``spectrogram`` (a
    transformer over their patches), ``frames`` (over their frames) and ``waveform`` (over what convolutions make of
    samples)."""
    return sorted(NETWORKS)


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``spectrogram`` where tokens are needed, else ``mel``."""
    return "spectrogram" if tokens else "mel"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``[B, C, T] -> [B, dim]`` of waveforms as the views give them, of any length.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`MelNet`, :class:`tacit.modalities.audio.spectrogram.SpectrogramNet`,
            :class:`tacit.modalities.audio.spectrogram.FrameNet` or
            :class:`tacit.modalities.audio.waveform.WaveformNet`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name not in NETWORKS:
        raise unknown("encoder", name, encoder_names())
    network = NETWORKS[name]
    return network(spec, **settle(options, network, f"encoder {name}", skip=1))


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on silence of the longest length to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    return wrapped(module, torch.zeros(2, spec.channels, spec.length))


class MelNet(nn.Module):
    """Convolutions over log-mel spectrograms, each layer halving time and bands; the embedding is of the mean and the
    largest value over time of every feature in every band that is left.

    Norms are over the features of one place, so that neither padding nor other samples change what a sample gives.

    Args:
        spec: of the data.
        mels: bands of the spectrogram.
        width: features of the first layer; each layer has twice as many as the one before.
        depth: number of layers.
        dim: of the embedding.

    Source: mean and largest value over time as in Niizumi et al. 2021, BYOL for Audio.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(self, spec: Spec, *, mels: int = MELS, width: int = 16, depth: int = 4, dim: int = 128) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth), ("dim", dim)):
            if value < 1:
                raise OptionError(f"{name} of the encoder mel must be at least 1, not {value}")
        self.dim = dim
        self.frames = Frames(spec.rate, mels, spec.level, spec.spread)
        widths = [spec.channels, *(width * 2**i for i in range(depth))]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(after) for after in widths[1:])
        bands = mels
        for _ in range(depth):
            bands = (bands + 1) // 2
        self.leave = nn.Linear(2 * widths[-1] * bands, dim)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, C, T] -> [B, dim]``."""
        h, count = self.frames(x, length)
        real = None
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = nn.functional.gelu(norm(layer(h).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
            if count is not None:
                count = (count + 1) // 2
                real = inside(count, h.shape[3])[:, None, None]
                h = h.masked_fill(~real, 0)  # beyond its end a recording is zero, as beyond the border
        if real is None or count is None:
            return self.leave(torch.cat((h.mean(3), h.amax(3)), 1).flatten(1))
        mean = h.sum(3) / count[:, None, None]
        return self.leave(torch.cat((mean, h.masked_fill(~real, -torch.inf).amax(3)), 1).flatten(1))


NETWORKS: dict[str, type[nn.Module]] = {
    "mel": MelNet,
    "spectrogram": SpectrogramNet,
    "frames": FrameNet,
    "waveform": WaveformNet,
}
