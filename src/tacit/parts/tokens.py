"""What an encoder with tokens offers to masked and dense methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """A batch cut into tokens.

    Attributes:
        x: embedded tokens with their position added, ``[B, N, D]``.
        target: what each token was made of, e.g. its pixels, ``[B, N, P]``.
        position: where each token lies, coordinates in [0, 1]: ``[N, k]``, or ``[B, N, k]`` where samples
            differ.
    """

    x: Tensor
    target: Tensor
    position: Tensor


@runtime_checkable
class TokenEncoder(Protocol):
    """An encoder whose tokens can be hidden.

    Attributes:
        dim: width of the embedding and of every encoded token, ``D``.
        target_dim: numbers in one token's target, ``P``.
    """

    dim: int
    target_dim: int

    def __call__(self, x: Tensor) -> Tensor:
        """Embeddings ``[B, D]``."""

    def tokenize(self, x: Tensor) -> Tokens:
        """The batch as tokens."""

    def encode_tokens(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Encode ``tokens`` (``[B, N, D]``), or only those at ``keep`` (int64 ``[B, K]``): ``[B, K, D]`` in
        that order. A class token, where there is one, takes part and is not returned."""
