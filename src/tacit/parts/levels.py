"""What an encoder with two levels of embeddings gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True)
class Levels:
    """Rows of patches, encoded: a row is a series, or a channel of one.

    Attributes:
        patches: what each patch became, ``[R, N, D]``.
        whole: what the row became, ``[R, D]``.
        given: the patches as they were given, ``[R, N, P]``.
        seen: the patches as the encoder saw them, each series standardised, ``[R, N, P]``.
        valid: which patches are real, bool ``[R, N]``; None where all are.
        mean, scale: what each series was standardised by, ``[B, C, 1]``.
    """

    patches: Tensor
    whole: Tensor
    given: Tensor
    seen: Tensor
    valid: Tensor | None
    mean: Tensor
    scale: Tensor


@runtime_checkable
class LevelEncoder(Protocol):
    """An encoder with a vector for each patch and one for the whole.

    Attributes:
        dim: of the embedding.
        width: of each level's vectors, D.
        target_dim: numbers in a patch, P.
        dropout: probability that makes two passes differ.
    """

    dim: int
    width: int
    target_dim: int
    dropout: float

    def levels(self, x: Tensor, length: Tensor | None = None) -> Levels:
        """Both levels of a batch."""
