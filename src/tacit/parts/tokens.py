"""What an encoder with tokens offers to masked and dense methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tokens:
    """A batch cut into tokens.

    Attributes:
        x: embedded tokens with their position added, ``[B, N, D]``.
        target: what each token was made of, e.g. its pixels, ``[B, N, P]``.
        position: where each token lies, coordinates in [0, 1]: ``[N, k]``, or ``[B, N, k]`` where samples
            differ.
        valid: which tokens are real and not padding, bool ``[B, N]``, the real ones first and at least one in each
            sample; None where all are.
        known: which numbers of the targets are real, bool ``[B, N, P]``, neither padding nor missing in the data; None
            where all are.
        structure: what the encoder must know of the whole sample besides its tokens, e.g. the edges between them.
    """

    x: Tensor
    target: Tensor
    position: Tensor
    valid: Tensor | None = None
    known: Tensor | None = None
    structure: Any = None

    def counts(self) -> Tensor:
        """How many real tokens each sample has: int64 ``[B]``."""
        if self.valid is None:
            return torch.full((len(self.x),), self.x.shape[1], device=self.x.device)
        return self.valid.sum(1)


@runtime_checkable
class TokenEncoder(Protocol):
    """An encoder whose tokens can be hidden.

    One that takes samples of different lengths has the parameters ``length`` in ``tokenize`` and ``valid`` in
    ``encode_tokens``; one whose tokens have a ``structure`` takes it as a parameter of that name. Others need not.
    A token may stand for any number of numbers: a patch, a column, a node, a word.

    Attributes:
        dim: width of the embedding and of every encoded token, ``D``.
        target_dim: numbers in one token's target, ``P``.
        normalise_targets: optional; whether it makes sense to bring each token's target to zero mean and unit variance
            (not where its numbers are of different kinds). True by default where a target has several numbers.
    """

    dim: int
    target_dim: int

    def __call__(self, x: Tensor) -> Tensor:
        """Embeddings ``[B, D]``."""

    def tokenize(self, x: Tensor) -> Tokens:
        """The batch as tokens."""

    def encode_tokens(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Encode ``tokens`` (``[B, N, D]``), or only those at ``keep`` (int64 ``[B, K]``): ``[B, K, D]`` in
        that order. A class token, where there is one, takes part and is not returned.

        ``valid`` (bool ``[B, K]``) says which of the tokens to encode are real; the others take no part, and what comes
        out in their places means nothing."""


def tokens_of(encoder: nn.Module, view: dict[str, Any]) -> Tokens:
    """A view as tokens; ``length`` is passed on where the view has it."""
    cut: Any = encoder.tokenize
    return cut(view["x"], length=view["length"]) if "length" in view else cut(view["x"])


def encoded(encoder: nn.Module, tokens: Tokens, keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
    """Encoded tokens ``[B, K, D]`` of those at ``keep`` (all by default), of which ``valid`` are real."""
    more: dict[str, Any] = {}
    if keep is None:
        valid = tokens.valid
    if valid is not None:
        more["valid"] = valid
    if tokens.structure is not None:
        more["structure"] = tokens.structure
    encode: Any = encoder.encode_tokens
    return encode(tokens.x, keep, **more)


def pooled(tokens: Tensor, valid: Tensor | None = None) -> Tensor:
    """The mean of each sample's real tokens: ``[B, N, D]`` (and bool ``[B, N]``) ``-> [B, D]``."""
    if valid is None:
        return tokens.mean(1)
    real = valid[..., None].to(tokens.dtype)
    return (tokens * real).sum(1) / real.sum(1).clamp_min(1)


def rows_at(tokens: Tensor, places: Tensor) -> Tensor:
    """Tokens ``[B, N, D]``, or positions ``[N, D]``, at ``places`` (int64 ``[B, K]``): ``[B, K, D]``."""
    if tokens.ndim == 2:
        return tokens[places]
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))
