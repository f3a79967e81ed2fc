"""One equation for many: each sample's distribution over the others, as it should be and as it is learned."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision
from tacit.objectives.blocks import in_blocks, leave_out_own
from tacit.objectives.learned import Learned
from tacit.objectives.supervisory import Context, Supervisory
from tacit.parts import ranks

Divergence = Literal["kl", "cross-entropy", "reverse-kl", "js", "l2", "tv", "hellinger", "inner"]
Debias = Literal["learned", "supervisory"]
LEAST = 1e-10
"""What a probability is taken to be at least where its logarithm is weighted by the other distribution."""


class Relation(Objective):
    """The mean divergence between a supervisory and a learned distribution over neighbours (I-Con).

        loss = 1/N sum_i D( p(. | i) || q(. | i) )

    over the N = V B rows (V views of B samples) of all ranks. The rows of p come from a supervisory kernel (who
    belongs to whom), those of q from a learned kernel of the projections; both are normalised over the columns.
    Gradients flow through q alone, as row and as column. Memory grows linearly with N.

    | p | q | is |
    | --- | --- | --- |
    | Augmentation | Gaussian, cosine, 2 sigma^2 = t | NT-Xent, InfoNCE |
    | Augmentation | Student t | t-SimCLR |
    | Augmentation | Exponential | Kernel-InfoNCE |
    | Labels | Gaussian, cosine; cross-entropy | SupCon, sum outside the logarithm |
    | Labels | Gaussian, cosine; inner | SupCon, sum inside |
    | Pairs | Gaussian, cosine, columns of the other modality | CMC, CLIP |
    | Classes | Gaussian, dot, columns = prototypes | cross-entropy; with Student t the harmonic loss |
    | Gaussian of the input | Gaussian | SNE |
    | Gaussian of the input, perplexity | Student t | t-SNE |
    | Neighbours, Walk, Augmentation and their sums | Cluster | clustering by mutual information, graph cuts |
    | Given graph | Exponential, gamma 2 | spectral clustering of that graph |

    Divergences of a row: ``kl`` sum p log(p/q); ``cross-entropy`` the same without the entropy of p, which is
    constant; ``reverse-kl`` sum q log(q/p) with p at least 1e-10; ``js`` Jensen and Shannon's; ``l2`` sum (p - q)^2;
    ``tv`` 1/2 sum |p - q|; ``hellinger`` 1 - sum sqrt(p q), the squared distance; ``inner`` -log sum p q.

    A row without any neighbour in the batch (p is zero) counts as 0 in the mean.

    Shape: one or more views ``[B, D]``; ``labels`` int64 ``[B]``; ``features`` ``[B, F]`` or, by view, ``[B, V, F]``;
        ``graph`` ``[B, R*B]``, rows of this rank's samples; ``columns`` ``[B, D]`` (Pairs) or ``[C, D]`` (Classes);
        ``-> []``.

    Source: Alshammari et al. 2025, I-Con: A Unifying Framework for Representation Learning, eq. 1 and table 1.

    Args:
        supervisory: kernel that gives p.
        learned: kernel that gives q.
        divergence: D.
        mask_diagonal: leave each row out of its own neighbours, in p and in q; without effect where the columns are
            not the samples.
        alpha: weight of a uniform distribution over the allowed columns mixed in, in [0, 1): the paper's debiasing.
            (The paper spreads it over all columns; with a masked diagonal that would ask for what q cannot give.)
        debias: the distribution that it is mixed into.

    Raises:
        ValueError: for an unknown divergence, alpha out of its range, shapes that do not fit, or a kernel that needs
            labels, features, a graph or columns and is not given them.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(
        self,
        supervisory: Supervisory,
        learned: Learned,
        divergence: Divergence = "kl",
        mask_diagonal: bool = True,
        alpha: float = 0.0,
        debias: Debias = "learned",
    ) -> None:
        super().__init__()
        for value, known in ((divergence, Divergence), (debias, Debias)):
            if value not in get_args(known):
                raise ValueError(f"'{value}' is not one of {', '.join(get_args(known))}")
        if not 0 <= alpha < 1:
            raise ValueError(f"alpha is a weight from 0 to below 1, not {alpha}")
        self.supervisory = supervisory
        self.learned = learned
        self.divergence = divergence
        self.mask_diagonal = mask_diagonal
        self.alpha = alpha
        self.debias = debias

    def forward(
        self,
        *projections: Tensor,
        labels: Tensor | None = None,
        features: Tensor | None = None,
        graph: Tensor | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        return self.rows(*projections, labels=labels, features=features, graph=graph, columns=columns).mean()

    @full_precision
    def rows(
        self,
        *projections: Tensor,
        labels: Tensor | None = None,
        features: Tensor | None = None,
        graph: Tensor | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """The divergence of each row, a sample's views next to each other: ``[V B]``."""
        check_pairs(*projections)
        context = Context.of(projections, labels, features, graph)
        self.supervisory.check(context, columns)
        own = self.learned.embed(torch.stack(projections, 1).flatten(0, 1))
        among = self.supervisory.columns == "samples"
        everyone = ranks.gather(own) if among else self._columns(columns)
        mask = self.mask_diagonal and among

        def block(part: slice) -> Tensor:
            rows = own[part]
            first = context.first + part.start
            target, known = self._target(context, first, len(rows), mask)
            log_q = self.learned(rows, everyone)
            if mask:
                log_q = leave_out_own(log_q, first)
            log_q = log_q.log_softmax(1)
            if self.alpha and self.debias == "learned":
                uniform = torch.full_like(log_q, math.log(self.alpha / (log_q.shape[1] - mask)))
                log_q = torch.logaddexp(log_q.clamp_min(-1e4) + math.log1p(-self.alpha), uniform)
                if mask:
                    log_q = leave_out_own(log_q, first)
            return torch.where(known, divergence(self.divergence, target, log_q), 0)

        return in_blocks(block, len(own), len(everyone))

    def _columns(self, columns: Tensor | None) -> Tensor:
        assert columns is not None
        embedded = self.learned.embed(columns)
        return ranks.gather(embedded) if self.supervisory.columns == "pairs" else embedded

    @torch.no_grad()
    def _target(self, context: Context, first: int, count: int, mask: bool) -> tuple[Tensor, Tensor]:
        """Rows of p ``[count, columns]``, and which of them have a neighbour: bool ``[count]``."""
        p = self.supervisory(context, first, count, mask)
        known = p.sum(1) > 0
        uniform = torch.full_like(p, 1 / (p.shape[1] - mask))
        uniform = leave_out_own(uniform, first, value=0.0) if mask else uniform
        if self.alpha and self.debias == "supervisory":
            p = (1 - self.alpha) * p + self.alpha * uniform
        # Rows that do not count get some distribution all the same, so that nothing about them is infinite.
        return torch.where(known[:, None], p, uniform), known


def divergence(kind: Divergence, p: Tensor, log_q: Tensor) -> Tensor:
    """The divergence of each row of ``p`` and q; see :class:`Relation` for their names.

    Shape: ``p``, ``log_q`` ``[N, C] -> [N]``. Where ``log_q`` is -inf, ``p`` must be 0.
    """
    if kind == "inner":
        return -torch.logsumexp(p.log() + log_q, 1)
    finite = log_q.masked_fill(log_q == -torch.inf, 0)
    if kind in ("kl", "cross-entropy"):
        crossed = -(p * finite).sum(1)
        return crossed if kind == "cross-entropy" else crossed + torch.xlogy(p, p).sum(1)
    if kind == "hellinger":
        return 1 - (p.sqrt() * (log_q / 2).exp()).sum(1)
    q = log_q.exp()
    if kind == "l2":
        return (p - q).square().sum(1)
    if kind == "tv":
        return (p - q).abs().sum(1) / 2
    if kind == "reverse-kl":
        return (q * (finite - p.clamp_min(LEAST).log())).sum(1)
    middle = ((p + q) / 2).clamp_min(torch.finfo(q.dtype).tiny).log()
    return (torch.xlogy(p, p) - p * middle + q * (finite - middle)).sum(1) / 2
