"""TriBYOL: each of three views predicts what a slow copy of the network sees in the two others."""

from __future__ import annotations

import itertools
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.predictive.byol import BYOL
from tacit.parts.heads import Norm
from tacit.registry import register


@register(
    "tribyol",
    kind="method",
    family="predictive",
    title="TriBYOL: Triplet BYOL for Self-Supervised Representation Learning",
    year=2022,
    url="https://arxiv.org/abs/2206.03012",
    basis="reading",
)
class TriBYOL(BYOL):
    """Three views, six directed pairs where BYOL has two; meant for small batches.

    Both target branches are one teacher. The loss is, averaged over the views, the sum of the squared distances of a
    view's prediction to the teacher's projections of the others. All views go through each network in one
    call, so that batch norm sees three times the batch.

    Args:
        encoder: gives ``[B, dim]``; the teacher starts as its copy.
        hidden, out: widths of projector ``dim -> hidden -> out`` and predictor ``out -> hidden -> out``; BYOL has 4096
            and 256.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine.
        mean_weight: weight of a further term, the distance to the mean of the others' unit projections; 0: no
            such term.
        norm: normalisation in projector and predictor.

    Raises:
        OptionError: while training, for fewer than two views.
    """

    recipe: ClassVar[str] = "triple"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 256,
        teacher_momentum: float = 0.996,
        mean_weight: float = 0.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder, hidden=hidden, out=out, teacher_momentum=teacher_momentum, norm=norm)
        self.mean_weight = mean_weight

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        views = batch["views"]
        if (count := len(views)) < 2:
            raise OptionError(f"tribyol needs at least 2 views of each sample, not {count}")
        target = self.teacher_projector(torch.cat(self._through(tuple(views), self.teacher_encoder))).chunk(count)
        prediction = self.predictor(torch.cat(self.project(*views)))
        found = prediction.chunk(count)
        pairs = [(found[v], target[w]) for v, w in itertools.permutations(range(count), 2)]
        # The mean over all pairs, times the number of others that each view predicts.
        pairwise = (count - 1) * self.objective(*map(torch.cat, zip(*pairs, strict=True)))
        if not self.mean_weight:
            return pairwise
        unit = functional.normalize(torch.stack(target), dim=-1, eps=1e-6)
        mean = (unit.sum(0) - unit) / (count - 1)
        return {"pairwise": pairwise, "mean": self.mean_weight * self.objective(prediction, mean.flatten(0, 1))}
