"""Encoders of time series."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, unknown
from tacit.modalities.series.bases import ThreeBases
from tacit.modalities.series.convolutions import DilatedNet
from tacit.modalities.series.dual import DualNet
from tacit.modalities.series.spec import Spec
from tacit.options import settle
from tacit.parts.transformer import Pieces, TokenNet, pieces_of_line
from tacit.parts.wrapping import wrapped


def encoder_names() -> list[str]:
    """Names of the encoders: ``tcn`` (dilated convolutions), ``patch`` (a transformer over patches, with tokens),
    ``dual`` (one with a vector for each patch and one for the whole) and ``three-bases`` (dilated convolutions, and
    what they say of two other bases)."""
    return ["dual", "patch", "tcn", "three-bases"]


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``patch`` where tokens are needed, else ``tcn``."""
    return "patch" if tokens else "tcn"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``[B, C, T] -> [B, dim]`` for the channels of ``spec``, of any length.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`DilatedNet`, :class:`PatchNet`, :class:`DualNet` or :class:`ThreeBases`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name == "tcn":
        return DilatedNet(spec.channels, **settle(options, DilatedNet, "encoder tcn", skip=1))
    if name == "patch":
        return PatchNet(spec.channels, spec.length, **settle(options, PatchNet, "encoder patch", skip=2))
    if name == "dual":
        return DualNet(spec.channels, spec.length, **settle(options, DualNet, "encoder dual", skip=2))
    if name == "three-bases":
        settled = settle(options, ThreeBases, "encoder three-bases", skip=2)
        return ThreeBases(spec.channels, spec.length, **settled)
    raise unknown("encoder", name, encoder_names())


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on zeros of the spec's shape to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    return wrapped(module, torch.zeros(2, spec.channels, spec.length))


class PatchNet(TokenNet):
    """A transformer over patches of ``patch`` steps of all channels (:class:`tacit.parts.transformer.TokenNet`).

    Args:
        channels: of the series.
        length: of the longest series that is expected; a longer one will do.
        patch: steps in a token; by default so that the longest series has about 32.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.

    Source: Nie et al. 2023, A Time Series is Worth 64 Words, with all channels in one token.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        *,
        patch: int | None = None,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        patch = patch if patch is not None else max(1, round(length / 32))
        if patch < 1:
            raise OptionError(f"patch must be a positive number of time steps, not {patch}")
        super().__init__(channels * patch, width=width, depth=depth, heads=heads)
        self.channels, self.patch, self.length = channels, patch, length

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        target, position, valid, known = pieces_of_line(x, length, self.patch, self.length)
        return Pieces(target, position, valid, known)
