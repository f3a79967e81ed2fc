"""Objectives in which one network's distribution over prototypes teaches another's."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, check_positive, full_precision


class CrossViews(Objective):
    """Cross entropy between the teacher's distribution of one view and the student's of every other.

        loss = 1/|P| sum_{(g, v) in P} 1/B sum_b - sum_k target_gbk log softmax(scores_vb / t)_k,
        P = {(g, v) : v != g}

    The first views of the student are those that the teacher sees, in the same order.

    Shape: ``scores`` ``[V, B, K]``, ``target`` probabilities ``[G, B, K]`` with G <= V and V >= 2; ``-> []``.

    Source: Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, eq. 3.

    Args:
        temperature: t > 0, of the student.

    Raises:
        ValueError: for a temperature that is not positive, or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        views = len(scores)
        if scores.ndim != 3 or scores.shape[1:] != target.shape[1:] or len(target) > views or views < 2:
            raise ValueError(
                "scores must be [views, batch, prototypes] of two views or more, and target likewise of at most as "
                f"many, not {tuple(scores.shape)} and {tuple(target.shape)}"
            )
        entropy = -torch.einsum("gbk,vbk->gv", target, (scores / self.temperature).log_softmax(2)) / scores.shape[1]
        other = 1 - torch.eye(len(target), views, dtype=entropy.dtype, device=entropy.device)
        return (entropy * other).sum() / other.sum()


class HiddenTokens(Objective):
    """Cross entropy between the teacher's and the student's distribution of tokens that the student does not see.

        loss = 1/B sum_b 1/|H_b| sum_{n in H_b} - sum_k target_bnk log softmax(scores_bn / t)_k

    H_b are the hidden tokens of sample b; a sample without any adds nothing.

    Shape: ``scores``, ``target`` probabilities ``[M, K]``, a row for each hidden token; ``sample`` int64 ``[M]``, whose
    token it is, from 0 to ``samples`` - 1; ``-> []``.

    Source: Zhou et al. 2022, iBOT: Image BERT Pre-Training with Online Tokenizer, eq. 2, with the mean over a sample's
    hidden tokens as in the official code.

    Args:
        temperature: t > 0, of the student.

    Raises:
        ValueError: for a temperature that is not positive, or unequal shapes.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(self, scores: Tensor, target: Tensor, sample: Tensor, samples: int) -> Tensor:
        if scores.shape != target.shape or scores.ndim != 2 or sample.shape != scores.shape[:1]:
            raise ValueError(
                "scores and target must have one shape [tokens, prototypes] and sample [tokens], not "
                f"{tuple(scores.shape)}, {tuple(target.shape)} and {tuple(sample.shape)}"
            )
        entropy = -(target * (scores / self.temperature).log_softmax(1)).sum(1)
        count = torch.bincount(sample, minlength=samples)
        return (entropy / count[sample]).sum() / samples
