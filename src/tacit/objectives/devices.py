"""Contrast between what several devices measured."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_positive, full_precision


class MultiViewContrast(Objective):
    """An anchor against several weighted positives and negatives of its own.

    With cosines s, temperature t and weights w that are first divided by the largest of all,

        pulled = sum_p w_p exp(s(a_b, p_b) / t),    pushed = sum_n w_n exp(s(a_b, n_b) / t)
        loss = 1/B sum_b [ log(pulled + pushed) - log pulled ]

    Similar vectors are drawn together: what the code calls a cosine similarity is its negative, and it is not followed
    in that.

    Shape: ``anchor`` ``[B, D]``; ``positives`` ``[P, B, D]``; ``negatives`` ``[M, B, D]``; their weights ``[P]`` and
        ``[M]``, above 0; ``-> []``.

    Source: Jain et al. 2022, ColloSSL: Collaborative Self-Supervised Learning for Human Activity Recognition, eq. 4.

    Args:
        temperature: t > 0.

    Raises:
        ValueError: for a temperature or weights that are not positive, shapes that do not fit, or nothing to compare.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, temperature: float = 0.05) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(
        self, anchor: Tensor, positives: Tensor, negatives: Tensor, positive_weights: Tensor, negative_weights: Tensor
    ) -> Tensor:
        for name, rows, weights in (
            ("positives", positives, positive_weights),
            ("negatives", negatives, negative_weights),
        ):
            if rows.ndim != 3 or not len(rows) or rows.shape[1:] != anchor.shape:
                raise ValueError(f"{name} must be [count, {', '.join(map(str, anchor.shape))}], not {list(rows.shape)}")
            if weights.shape != (len(rows),):
                raise ValueError(f"weights of {name} must be [{len(rows)}], not {list(weights.shape)}")
        weights = torch.cat((positive_weights, negative_weights)).to(anchor.dtype)
        if not bool((weights > 0).all()):
            raise ValueError("weights must be positive")
        others = functional.normalize(torch.cat((positives, negatives)), dim=2, eps=1e-6)
        cosine = (others * functional.normalize(anchor, dim=1, eps=1e-6)).sum(2)
        score = cosine / self.temperature + (weights / weights.max()).log()[:, None]
        return (score.logsumexp(0) - score[: len(positives)].logsumexp(0)).mean()
