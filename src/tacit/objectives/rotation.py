"""Objectives that ask a change of the input to act as a rotation of the embeddings."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision
from tacit.parts import ranks


class GramMatching(Objective):
    """The angles between samples shall be the same before and after a change that all of them share.

    With u and v the projections of both views scaled to unit length, and C(i) the chunk of samples that sample i
    shares its changes with,

        loss = 1/B' sum_i sum_{j in C(i), j != i} 2 (u_i . u_j - v_i . v_j)^2

    over the samples of all ranks. It is zero if and only if, in each chunk, one orthogonal map takes all u to v. It
    grows with the size of the chunk, as the paper's does. A last chunk that is not full sits out, so that B' is the
    number of samples in full chunks; a batch smaller than one chunk counts as one.

    Shape: ``z1``, ``z2`` ``[B, D] -> []``. Memory O(B * chunk).

    Source: Gupta et al. 2024, Structuring Representation Geometry with Rotationally Equivariant Contrastive Learning,
    section 3.1, summed over j as in the official code.

    Args:
        chunk: samples in a row, counted over all ranks, that share their changes; at least 2.

    Raises:
        ValueError: for a chunk below 2, unequal shapes, or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, chunk: int = 16) -> None:
        super().__init__()
        if chunk < 2:
            raise ValueError(f"a chunk must hold at least 2 samples, not {chunk}")
        self.chunk = chunk

    @full_precision
    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        size = min(self.chunk, check_pairs(z1, z2))
        grams = []
        for z in (z1, z2):
            u = ranks.gather(functional.normalize(z, eps=1e-6))
            chunks = u[: len(u) // size * size].unflatten(0, (-1, size))
            grams.append(chunks @ chunks.transpose(1, 2))
        # The diagonals are 1 except for vectors of no length, and then too they are no angles.
        apart = 1 - torch.eye(size, dtype=z1.dtype, device=z1.device)
        return 2 * ((grams[0] - grams[1]) * apart).square().sum(2).mean()
