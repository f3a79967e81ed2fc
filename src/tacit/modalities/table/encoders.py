"""Encoders of rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, unknown
from tacit.modalities.table.schema import Layout
from tacit.modalities.table.spec import Spec
from tacit.options import settle
from tacit.parts.latents import LatentNet
from tacit.parts.tokens import pooled, rows_at
from tacit.parts.transformer import Pieces, TokenNet
from tacit.parts.wrapping import wrapped


def encoder_names() -> list[str]:
    """Names of the encoders: ``columns`` (a transformer with a token a column), ``mlp`` (residual layers on all
    features) and ``perceiver`` (a few latents that look at the columns)."""
    return ["columns", "mlp", "perceiver"]


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``columns`` where tokens are needed, else ``mlp``."""
    return "columns" if tokens else "mlp"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``[B, F] -> [B, dim]`` for the columns of ``spec``.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`ColumnNet`, :class:`RowNet` or :class:`ColumnLatents`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name == "mlp":
        return RowNet(spec.features, **settle(options, RowNet, "encoder mlp", skip=1))
    if name == "columns":
        return ColumnNet(spec.layout, **settle(options, ColumnNet, "encoder columns", skip=1))
    if name == "perceiver":
        return ColumnLatents(spec.layout, **settle(options, ColumnLatents, "encoder perceiver", skip=1))
    raise unknown("encoder", name, encoder_names())


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder of features ``[B, F]``, tried on zeros to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    return wrapped(module, torch.zeros(2, spec.features))


class RowNet(nn.Module):
    """Residual layers on all features of a row at once.

    Args:
        features: of a row, F.
        width: of the layers; they are twice as wide inside.
        depth: number of residual layers.
        dim: of the embedding.

    Source: the residual network of Gorishniy et al. 2021, Revisiting Deep Learning Models for Tabular Data, section
    3.2, with layer norms, so that other samples do not change what a sample gives.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(self, features: int, *, width: int = 256, depth: int = 3, dim: int = 128) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth), ("dim", dim)):
            if value < 1:
                raise OptionError(f"{name} of the mlp must be at least 1, not {value}")
        self.dim = dim
        self.enter = nn.Linear(features, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, dim))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, F] -> [B, dim]``."""
        h = self.enter(x)
        for block in self.blocks:
            h = h + block(h)
        return self.leave(h)


class Embedding(nn.Module):
    """Each column's features by a linear map of its own: ``[B, D, P] -> [B, D, width]``.

    For a category this is a table of vectors, one a value, up to the mean; for a number a vector times its standard
    score.

    Source: the feature tokenizer of Gorishniy et al. 2021, Revisiting Deep Learning Models for Tabular Data,
    section 3.3. A standard score of one moves the token by about its position's size.
    """

    def __init__(self, columns: int, places: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(columns, places, width))
        self.bias = nn.Parameter(torch.randn(columns, width) * 0.02)

    def forward(self, pieces: Tensor) -> Tensor:
        return torch.einsum("bdp,dpw->bdw", pieces, self.weight) + self.bias


class Columns:
    """Cuts rows into their columns.

    Attributes:
        places: int64 ``[D, P]``, see :class:`tacit.modalities.table.schema.Layout`.
        size: float32 ``[D, P]``, what brings each feature to a variance of about one.
    """

    places: Tensor
    size: Tensor
    value: Tensor

    def lay_out(self, layout: Layout) -> None:
        """Remember which features are of which column."""
        assert isinstance(self, nn.Module)
        real = layout.places < layout.features
        value = torch.cat((layout.value, torch.zeros(1, dtype=torch.bool)))[layout.places]
        size = value.sum(1, keepdim=True).sqrt().expand_as(value)
        self.register_buffer("places", layout.places, persistent=False)
        self.register_buffer("size", torch.where(value, size, 1.0), persistent=False)
        self.register_buffer("value", value, persistent=False)
        self.register_buffer("flag", real & ~value, persistent=False)

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        """A piece a column, of which what is missing is not known."""
        flag: Tensor = self.flag  # type: ignore[attr-defined]
        pieces = nn.functional.pad(x, (0, 1))[:, self.places]
        missing = ((pieces > 0.5) & flag).any(2, keepdim=True)
        known = (self.value & ~missing) | flag
        position = torch.linspace(0, 1, len(self.places), device=x.device)[:, None]
        return Pieces(pieces * self.size.to(x.dtype), position, known=known, entry=pieces)


class ColumnNet(Columns, TokenNet):
    """A transformer with a token a column, and the mean of what it gives.

    A token's target is its column's features at a variance of about one each, and whether it is missing.

    Args:
        layout: of the columns.
        width, depth, heads: of the transformer.
        registers: learned tokens that take part beside the columns and are not returned ([REG] in T-JEPA).

    Source: Gorishniy et al. 2021, Revisiting Deep Learning Models for Tabular Data, section 3.3, with the mean in place
    of a class token.

    Raises:
        OptionError: for sizes that cannot be.
    """

    normalise_targets = False

    def __init__(self, layout: Layout, *, width: int = 64, depth: int = 3, heads: int = 4, registers: int = 1) -> None:
        super().__init__(layout.places.shape[1], width=width, depth=depth, heads=heads)
        if registers < 0:
            raise OptionError(f"registers must be at least 0, not {registers}")
        self.lay_out(layout)
        self.enter = Embedding(len(layout.places), layout.places.shape[1], width)  # type: ignore[assignment]
        self.registers = nn.Parameter(torch.randn(registers, width)) if registers else None

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """``[B, F] -> [B, width]``."""
        return pooled(self.encode_tokens(self.tokenize(x).x))

    def encode_tokens(self, tokens: Tensor, keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Encode tokens ``[B, D, width]``, or only those at ``keep``: ``[B, K, width]``; no row lacks a column."""
        if keep is not None:
            tokens = rows_at(tokens, keep)
        if self.registers is None:
            return self.transformer(tokens)
        extra = self.registers.to(tokens.dtype).expand(len(tokens), -1, -1)
        return self.transformer(torch.cat((extra, tokens), 1))[:, extra.shape[1] :]


class ColumnLatents(Columns, LatentNet):
    """A few latents that look at the columns (:class:`tacit.parts.latents.LatentNet`).

    Args:
        layout: of the columns.
        width, depth, heads: of the attention among latents.
        latents: how many there are.

    Raises:
        OptionError: for sizes that cannot be.
    """

    normalise_targets = False

    def __init__(self, layout: Layout, *, width: int = 64, depth: int = 3, heads: int = 4, latents: int = 16) -> None:
        enter = Embedding(len(layout.places), layout.places.shape[1], width)
        super().__init__(enter, layout.places.shape[1], width=width, depth=depth, heads=heads, latents=latents)
        self.lay_out(layout)
