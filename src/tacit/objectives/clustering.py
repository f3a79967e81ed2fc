"""Objectives that give samples to clusters, and learn from the clusters that they were given to."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_positive, full_precision


class ClassCrossEntropy(Objective):
    """Cross-entropy with a class for each sample, from one head or the mean over several.

        loss = 1/(B H) sum_bh  - sum_k w_bhk log softmax(logits_bh)_k,
        w_bhk = (1 - a) [k = label_bh] + a / K

    Shape: ``logits`` ``[B, K]`` or ``[B, H, K]``; ``labels`` int64 ``[B]`` or ``[B, H]``, in 0 .. K-1; ``-> []``.

    Source: Asano et al. 2020, Self-labelling via simultaneous clustering and representation learning, eq. 1 (a = 0);
    Ibrahim et al. 2024, Occam's Razor for Self Supervised Learning (a = 0.8).

    Args:
        smoothing: a in [0, 1].

    Raises:
        ValueError: for a smoothing out of its range, or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= smoothing <= 1:
            raise ValueError(f"smoothing must lie between 0 and 1, not {smoothing}")
        self.smoothing = smoothing

    @full_precision
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if logits.ndim not in (2, 3) or logits.shape[:-1] != labels.shape:
            raise ValueError(
                "logits must be [batch, classes] or [batch, heads, classes] and labels the same without classes, not "
                f"{tuple(logits.shape)} and {tuple(labels.shape)}"
            )
        return functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), label_smoothing=self.smoothing
        )


class SwappedPrediction(Objective):
    """Predict the clusters that one view was given to from every other view.

        loss = - 1/(A (V-1)) sum_a sum_{v != a} 1/B sum_bk q_abk log softmax(s_vb / t)_k

    The A views that have codes q are the first of the V that have scores s. Codes carry no gradient.

    Shape: ``scores`` ``[V, B, K]``, ``codes`` ``[A, B, K]`` with rows that sum to 1, 1 <= A <= V, V >= 2; ``-> []``.

    Source: Caron et al. 2020, Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, eq. 2 and
    section 3.3 (several views).

    Args:
        temperature: t > 0.

    Raises:
        ValueError: for a temperature that is not positive, or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(self, scores: Tensor, codes: Tensor) -> Tensor:
        views, given = len(scores), len(codes)
        fits = scores.ndim == 3 and scores.shape[1:] == codes.shape[1:] and views >= 2 and 1 <= given <= views
        if not fits:
            raise ValueError(
                "scores must be [views, batch, prototypes] of at least 2 views and codes the same for the first of "
                f"them, not {tuple(scores.shape)} and {tuple(codes.shape)}"
            )
        found = (scores / self.temperature).log_softmax(2)
        agreement = torch.einsum("abk,vbk->av", codes.detach(), found) / scores.shape[1]
        others = 1 - torch.eye(given, views, dtype=found.dtype, device=found.device)
        return -(agreement * others).sum() / (given * (views - 1))
