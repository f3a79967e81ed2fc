"""Relational reasoning: do two views belong to one sample or to two?"""

from __future__ import annotations

import itertools
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.relational import FocalBCE
from tacit.parts import ranks
from tacit.parts.heads import Norm
from tacit.registry import register


@register(
    "relational-reasoning",
    kind="method",
    family="contrastive",
    title="Self-Supervised Relational Reasoning for Representation Learning",
    year=2020,
    url="https://arxiv.org/abs/2006.05849",
    basis="code",
)
class RelationalReasoning(Method):
    """Four views; a small head tells pairs of views of one sample from pairs of views of two.

    Every pair of views gives B positive pairs and B negative ones, of sample i with sample i - s; s grows by one from
    pair to pair. All go through the head in one call, so that its batch norm sees both kinds. Afterwards the head is
    of no use.

    Args:
        encoder: gives ``[B, dim]``; there is no projector.
        hidden: width of the head ``-> hidden -> 1``; the paper has 256.
        aggregation: how two embeddings become one input: ``concat`` (the paper's), ``sum``, ``mean`` or ``max``.
        gamma: of the focal loss; the paper has 2, and at 0 it is half of binary cross entropy.
        norm: normalisation in the head.
    """

    recipe: ClassVar[str] = "quartet"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 256,
        aggregation: Literal["concat", "sum", "mean", "max"] = "concat",
        gamma: float = 2.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if aggregation not in ("concat", "sum", "mean", "max"):
            raise OptionError(f"aggregation must be concat, sum, mean or max, not {aggregation!r}")
        self.aggregation = aggregation
        width = self.dim * (2 if aggregation == "concat" else 1)
        kinds = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": nn.Identity}
        self.relation = nn.Sequential(
            nn.Linear(width, hidden, bias=norm == "none"), kinds[norm](hidden), nn.LeakyReLU(), nn.Linear(hidden, 1)
        )
        self.objective = FocalBCE(gamma)

    def aggregate(self, first: Tensor, second: Tensor) -> Tensor:
        """One row a pair: ``[N, dim], [N, dim] -> [N, width]``."""
        if self.aggregation == "concat":
            return torch.cat((first, second), 1)
        if self.aggregation == "max":
            return torch.maximum(first, second)
        return (first + second) / (2 if self.aggregation == "mean" else 1)

    def loss(self, batch: Batch) -> Tensor:
        views = self.encode(*batch["views"])
        everyone = [ranks.gather(h) for h in views]
        count = len(everyone[0])
        if count < 2 or len(views) < 2:
            raise OptionError("relational reasoning needs at least 2 samples a batch and 2 views")
        here = ranks.local(torch.arange(count, device=views[0].device))
        pairs = []
        for turn, (one, other) in enumerate(itertools.combinations(range(len(views)), 2)):
            shift = turn % (count - 1) + 1
            pairs.append(self.aggregate(views[one], views[other]))
            pairs.append(self.aggregate(views[one], everyone[other][(here - shift) % count]))
        logits = self.relation(torch.cat(pairs)).squeeze(-1)
        target = torch.tensor([True, False], device=logits.device).repeat(len(pairs) // 2)
        return self.objective(logits, target.repeat_interleave(len(here)))
