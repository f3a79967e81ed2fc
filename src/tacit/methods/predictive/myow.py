"""MYOW: predict the other view, and a neighbour that was mined among other samples."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.predictive.byol import BYOL
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.parts.teacher import Teacher
from tacit.registry import register


@register(
    "myow",
    kind="method",
    family="predictive",
    title="Mine Your Own vieW: Self-Supervised Learning Through Across-Sample Prediction",
    year=2021,
    url="https://arxiv.org/abs/2102.10106",
    basis="code",
)
class MYOW(BYOL):
    """BYOL, and behind its projector a second projector and predictor that predict another sample.

    With y the embedding of a sample's first view, and as candidates the teacher's embeddings of other samples, those
    of their plain views: one of the k candidates nearest to y by cosine is drawn, and what the teacher's two projectors
    make of it is predicted from y. Candidates are the batch (of all ranks) and those of earlier batches that are kept.
    The loss is

        augmented / (1 + w) + w mined / (1 + w),

    each the squared distance of unit vectors, the first averaged over both ways.

    Args:
        encoder: gives ``[B, dim]``; the teacher starts as its copy.
        neighbours: k; of fewer candidates all are neighbours.
        pool: candidates of earlier batches; the paper mines among 512.
        weight: w at its largest; the paper has 0.1 for neural recordings, 1 for images.
        warmup: share of the training in which w is 0: neighbours of an untrained encoder mislead.
        ramp: share of the training after that in which w rises linearly.
        hidden, out: of the first projector and predictor.
        second_hidden, second_out: of the second ones.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine. The paper has 0.9 to 0.98 for its
            short trainings.
        norm: normalisation in all heads.

    Raises:
        OptionError: for fewer than one neighbour, a negative pool, or a warm-up or ramp outside [0, 1].
    """

    recipe: ClassVar[str] = "pair-and-plain"
    bank: Tensor
    owners: Tensor
    progress: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        neighbours: int = 3,
        pool: int = 512,
        weight: float = 1.0,
        warmup: float = 0.1,
        ramp: float = 0.1,
        hidden: int = 512,
        out: int = 256,
        second_hidden: int = 256,
        second_out: int = 128,
        teacher_momentum: float = 0.996,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder, hidden=hidden, out=out, teacher_momentum=teacher_momentum, norm=norm)
        if neighbours < 1 or pool < 0:
            raise OptionError(f"neighbours must be at least 1 and pool at least 0, not {neighbours} and {pool}")
        if not (0 <= warmup <= 1 and 0 <= ramp <= 1):
            raise OptionError(f"warmup and ramp are shares of the training from 0 to 1, not {warmup} and {ramp}")
        self.neighbours, self.weight, self.warmup, self.ramp = neighbours, weight, warmup, ramp
        self.second_projector = mlp([out, second_hidden, second_out], norm)
        self.second_predictor = mlp([second_out, second_hidden, second_out], norm)
        self.teacher_second = Teacher(self.second_projector, teacher_momentum)
        self.register_buffer("bank", torch.zeros(pool, self.dim))
        self.register_buffer("owners", torch.full((pool,), -1))
        self.register_buffer("progress", torch.zeros(()))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        first, second, plain = batch["views"]
        count = len(batch["index"])
        embeddings = torch.cat(self.encode(first, second))
        projections = self.projector(embeddings)
        target = self.teacher_projector(torch.cat(self._through((second, first), self.teacher_encoder)))
        augmented = self.objective(self.predictor(projections), target)
        (candidates,) = self._through((plain,), self.teacher_encoder)
        neighbour = self.mine(embeddings[:count].detach(), candidates, batch["index"])
        prediction = self.second_predictor(self.second_projector(projections[:count]))
        mined = self.objective(prediction, self.teacher_second(self.teacher_projector(neighbour)))
        w = self.mining_weight()
        return {"augmented": augmented / (1 + w), "mined": mined * (w / (1 + w))}

    def mining_weight(self) -> float:
        """w at this point of the training."""
        after = float(self.progress) - self.warmup
        return self.weight * (min(1.0, after / self.ramp) if self.ramp and after >= 0 else float(after >= 0))

    @torch.no_grad()
    def mine(self, anchors: Tensor, candidates: Tensor, index: Tensor) -> Tensor:
        """One of the nearest candidates for each anchor, never the sample itself: ``[B, dim] -> [B, dim]``.

        Args:
            anchors: the samples' embeddings.
            candidates: the teacher's embeddings of the same samples; they enter the pool.
            index: the samples' positions in the data set.
        """
        found = torch.cat((ranks.gather(candidates.to(self.bank.dtype)), self.bank))
        owners = torch.cat((ranks.gather(index), self.owners))
        similarity = functional.normalize(anchors.to(found.dtype)) @ functional.normalize(found).T
        similarity.masked_fill_((owners == index[:, None]) | (owners < 0), -torch.inf)
        nearest = similarity.topk(min(self.neighbours, len(found)), dim=1)
        choices = nearest.values.isfinite().sum(1).clamp_min(1)
        drawn = (Draws(device=index.device).uniform(len(index)) * choices).long()
        self.bank.copy_(found[: len(self.bank)])
        self.owners.copy_(owners[: len(self.owners)])
        return found[nearest.indices.gather(1, drawn[:, None])[:, 0]].to(candidates.dtype)

    def after_step(self, progress: float) -> None:
        super().after_step(progress)
        self.teacher_second.follow(self.second_projector, progress)
        self.progress.fill_(progress)
