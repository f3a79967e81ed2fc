"""Transitive invariance: two views of a sample, two samples that look alike, and what follows from both."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding, Samples, embed
from tacit.objectives.triplet import CosineTriplet
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.parts.neighbours import nearest
from tacit.registry import register


@register(
    "transitive",
    kind="method",
    family="predictive",
    title="Transitive Invariance for Self-supervised Visual Representation Learning",
    year=2017,
    url="https://arxiv.org/abs/1708.02901",
    basis="reading",
)
class Transitive(JointEmbedding):
    """Triplets whose positives are the edges of a graph and what follows from them.

    With A, A' the two views of a sample and B, B' those of one of its neighbours, positives are A-A' (intra), A-B
    (inter) and, since sameness is transitive, A-B', A'-B and A'-B' (through exactly one inter edge). Neighbours are
    found once, before the first step: pairs that are each among the other's k nearest by cosine of what the encoder
    gives at that time for the evaluation view. So give it an encoder that knows something, e.g. one trained by another
    method; the paper has context prediction. Batches are arranged so that neighbours meet.

    In the paper A and A' are the first and last frame of a tracked patch: views of any source that gives such pairs
    serve. Negatives are other samples of the batch (of all ranks), in either view, that are no neighbours of A or B.

    Args:
        encoder: gives ``[B, dim]``.
        neighbours: k, at least 1 and below the number of samples.
        margin: of the triplets.
        negatives: of each anchor.
        hard_from: share of the training from which on the negatives are the nearest ones; before, they are random.
        intra, inter, transitive: weights of the three kinds of positives.
        hidden, out: widths of the projector ``dim -> hidden -> out``; the paper has one layer of 1024.
        norm: normalisation in the projector.

    Raises:
        OptionError: for numbers of neighbours or negatives that are impossible.
    """

    recipe: ClassVar[str] = "pair"
    partners: Tensor
    progress: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        neighbours: int = 3,
        margin: float = 0.5,
        negatives: int = 4,
        hard_from: float = 0.5,
        intra: float = 1.0,
        inter: float = 1.0,
        transitive: float = 1.0,
        hidden: int = 256,
        out: int = 64,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if neighbours < 1 or negatives < 1:
            raise OptionError(f"neighbours and negatives must be at least 1, not {neighbours} and {negatives}")
        self.neighbours, self.negatives, self.hard_from = neighbours, negatives, hard_from
        self.weights = {"intra": intra, "inter": inter, "transitive": transitive}
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = CosineTriplet(margin)
        self.register_buffer("progress", torch.zeros(()))

    def sized(self, count: int) -> None:
        if count <= self.neighbours:
            raise OptionError(f"{self.neighbours} neighbours need more than {count} samples; lower 'neighbours'")
        self.register_buffer("partners", torch.full((count, self.neighbours), -1))

    @torch.no_grad()
    def begin(self, samples: Samples) -> None:
        found = torch.cat([embed(self.encoder, batch["views"][0]).float() for batch in samples()])
        self.partners.copy_(mutual_neighbours(found, self.neighbours))

    def arrange(self, order: Tensor, batch: int) -> Tensor:
        """Each sample is followed by one of its neighbours that has not come yet."""
        partners, waiting, arranged = self.partners.tolist(), set(order.tolist()), []
        for sample in order.tolist():
            if sample in waiting:
                found = next((p for p in partners[sample] if p in waiting and p != sample), None)
                arranged += [sample] if found is None else [sample, found]
                waiting.difference_update(arranged[-2:])
        return torch.tensor(arranged, dtype=order.dtype)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        first, second = self.project(*batch["views"])
        firsts, seconds = ranks.gather(first), ranks.gather(second)
        partner, found, allowed = self._meet(batch["index"])
        pairs = {
            "intra": [(first, second, torch.ones_like(found))],
            "inter": [(first, firsts[partner], found)],
            "transitive": [
                (first, seconds[partner], found),
                (second, firsts[partner], found),
                (second, seconds[partner], found),
            ],
        }
        everyone = torch.cat((firsts, seconds))
        terms = {}
        for kind, rows in pairs.items():
            values = [self._triplets(*row, everyone, allowed.repeat(1, 2)) for row in rows]
            terms[kind] = self.weights[kind] * torch.stack(values).mean()
        return terms

    def after_step(self, progress: float) -> None:
        self.progress.fill_(progress)

    @property
    def in_chunks(self) -> bool:
        return False  # who is a neighbour does not show in the projections

    def _meet(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A random neighbour of each sample among those in the batch of all ranks.

        Returns:
            its place in the batch, int64 ``[B]`` (0 where there is none); whether there is one, ``[B]``; and which
            samples of the batch may serve as negatives, ``[B, R*B]``.
        """
        everyone = ranks.gather(index)
        place = index.new_full((len(self.partners),), -1)
        place[everyone] = torch.arange(len(everyone), device=index.device)
        partners = self.partners[everyone]
        places = torch.where(partners < 0, -1, place[partners.clamp_min(0)])
        own = ranks.local(places)
        draw = Draws(device=index.device).uniform(len(index), own.shape[1])
        partner = own.gather(1, torch.where(own < 0, -1.0, draw).argmax(1, keepdim=True))[:, 0]
        found, partner = partner >= 0, partner.clamp_min(0)
        close = torch.cat((own, torch.where(found[:, None], places[partner], -1)), 1)
        allowed = everyone != index[:, None]
        # Place -1 goes to a further column, which is dropped.
        shut = index.new_zeros(len(index), len(everyone) + 1).scatter_(1, close % (len(everyone) + 1), 1)
        return partner, found, allowed & (shut[:, :-1] == 0)

    def _triplets(self, anchor: Tensor, positive: Tensor, counts: Tensor, everyone: Tensor, allowed: Tensor) -> Tensor:
        with torch.no_grad():
            if float(self.progress) < self.hard_from:
                score = Draws(device=anchor.device).uniform(*allowed.shape)
            else:
                score = functional.normalize(anchor.float()) @ functional.normalize(everyone.float()).T
            score = score.masked_fill(~allowed, -torch.inf)
            values, at = score.topk(min(self.negatives, score.shape[1]), dim=1)
            usable = values.isfinite()
            at = torch.where(usable, at, at[:, :1])
        return self.objective(anchor, positive, everyone[at], counts & usable[:, 0])


def mutual_neighbours(x: Tensor, k: int) -> Tensor:
    """For each row those of its k nearest rows by cosine that have it among theirs: ``[N, D] -> int64 [N, k]``.

    Places that are left over hold -1.
    """
    near = nearest(functional.normalize(x), k, "inner")
    back = (near[near] == torch.arange(len(x), device=x.device)[:, None, None]).any(2)
    return torch.where(back, near, -1)
