"""Objectives that give a sample several labels at once."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision


class DictionaryBCE(Objective):
    """Binary cross entropy of a projection's similarities to every row of a dictionary.

    With l_ij = z_i . Q_j / t, z and Q at unit length, S_i the rows that are labels of sample i and R_i the usable
    others,

        loss = 1/B sum_i 1/2 [ 1/|S_i| sum_{j in S_i} -log sigmoid(l_ij) + 1/|R_i| sum_{j in R_i} -log sigmoid(-l_ij) ]

    so that few positives count as much as many negatives; a part without rows is zero. Gradients flow into ``z`` alone.

    Shape: ``z`` ``[B, D]``; ``dictionary`` ``[N, D]``, unit rows; ``labels`` bool ``[B, N]``; ``usable`` bool
        ``[N]``; ``-> []``.

    Source: Zhu et al. 2023, Multi-Label Self-Supervised Learning with Scene Images; the balance is ours.

    Args:
        temperature: t > 0.

    Raises:
        ValueError: for a temperature that is not positive, or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(self, z: Tensor, dictionary: Tensor, labels: Tensor, usable: Tensor) -> Tensor:
        check_pairs(z)
        if dictionary.ndim != 2 or dictionary.shape[1] != z.shape[1]:
            raise ValueError(f"a dictionary has shape [rows, {z.shape[1]}], not {list(dictionary.shape)}")
        if labels.shape != (len(z), len(dictionary)) or usable.shape != (len(dictionary),):
            raise ValueError(
                f"labels and usable must have shapes {[len(z), len(dictionary)]} and {[len(dictionary)]}, not "
                f"{list(labels.shape)} and {list(usable.shape)}"
            )
        logits = functional.normalize(z, eps=1e-6) @ dictionary.detach().to(z.dtype).T / self.temperature
        positive = labels & usable
        parts = []
        for rows, signed in ((positive, -logits), (usable & ~positive, logits)):
            parts.append(torch.where(rows, functional.softplus(signed), 0).sum(1) / rows.sum(1).clamp_min(1))
        return (parts[0] + parts[1]).mean() / 2


def nearest_labels(similarity: Tensor, usable: Tensor, own: Tensor, count: int) -> Tensor:
    """The ``count`` most similar usable rows of each sample, its own always among them: bool ``[B, N]``.

    Args:
        similarity: ``[B, N]``.
        usable: bool ``[N]``.
        own: each sample's own row, int64 ``[B]``.
        count: how many, at least 1; fewer where fewer are usable.
    """
    found = similarity.masked_fill(~usable, -torch.inf).scatter(1, own[:, None], torch.inf)
    nearest = found.topk(min(count, found.shape[1])).indices
    return torch.zeros_like(found, dtype=torch.bool).scatter(1, nearest, True) & usable
