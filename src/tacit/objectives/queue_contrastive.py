"""Objectives that tell a sample's key from other keys: those of a queue, or those of the batch."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision
from tacit.objectives.blocks import first_of, in_blocks, leave_out_own
from tacit.parts import ranks

Weighting = Literal["normal", "hard", "ahcl", "ascl"]


def _check_queue(query: Tensor, queue: Tensor) -> None:
    if queue.ndim != 2 or queue.shape[1] != query.shape[1] or len(queue) < 2:
        raise ValueError(
            f"a queue for queries of width {query.shape[1]} has shape [2 or more, width], not {list(queue.shape)}"
        )


class QueueContrast(Objective):
    """Cross entropy of a query's similarities to its key and to a queue with a target over both.

    With u the weights of the queue's rows (none: all zero, which is MoCo), q and k at unit length,

        l = [q . k, q . Q_1, ..., q . Q_N] / t      y = [1, u_1, ..., u_N] / (1 + sum_j u_j)
        loss = -1/B sum_i sum_m y_im log softmax(l_i)_m

    Gradients flow into the query alone: key and queue are constants.

    Shape: ``query``, ``key`` ``[B, D]``; ``queue`` ``[N, D]``, unit rows; ``weights`` ``[B, N]`` in [0, 1]; ``-> []``.

    Source: He et al. 2020, Momentum Contrast, eq. 1; Feng & Patras 2022, Adaptive Soft Contrastive Learning, section
    III, for the weights.

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
    def forward(self, query: Tensor, key: Tensor, queue: Tensor, weights: Tensor | None = None) -> Tensor:
        check_pairs(query, key)
        _check_queue(query, queue)
        q, k = functional.normalize(query, eps=1e-6), functional.normalize(key.detach(), eps=1e-6)
        own = (q * k).sum(1, keepdim=True) / self.temperature
        logits = torch.cat((own, q @ queue.detach().to(q.dtype).T / self.temperature), 1)
        if weights is None:
            return (logits.logsumexp(1) - logits[:, 0]).mean()
        if weights.shape != (len(q), len(queue)):
            raise ValueError(f"weights must have shape {[len(q), len(queue)]}, not {list(weights.shape)}")
        weights = weights.detach().to(q.dtype)
        aim = (logits[:, 0] + (weights * logits[:, 1:]).sum(1)) / (1 + weights.sum(1))
        return (logits.logsumexp(1) - aim).mean()


class BatchContrast(Objective):
    """Cross entropy of row i's similarities to the columns of all samples with its own column as the target.

        loss = -1/B sum_i log [ exp(r_i . c_i / t) / sum_j exp(r_i . c_j / t) ]

    over the samples of all ranks, rows and columns at unit length. Gradients flow into both. Memory grows linearly
    with B.

    Shape: ``rows``, ``columns`` ``[B, D] -> []``.

    Source: Chen et al. 2021, An Empirical Study of Training Self-Supervised Vision Transformers, algorithm 1; Dwibedi
    et al. 2021, With a Little Help from My Friends, eq. 3.

    Args:
        temperature: t > 0.

    Raises:
        ValueError: for a temperature that is not positive, unequal shapes, or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        check_pairs(rows, columns)
        r, c = functional.normalize(rows, eps=1e-6) / self.temperature, functional.normalize(columns, eps=1e-6)
        everyone = ranks.gather(c)
        sums = in_blocks(lambda part: (r[part] @ everyone.T).logsumexp(1), len(r), len(everyone), 1)
        return sums.mean() - (r * c).sum(1).mean()


def neighbour_weights(
    similarity: Tensor, usable: Tensor, kind: Weighting, neighbours: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """How much each candidate counts as a positive of its sample, and how certain that is.

        s = softmax(similarity / T)     c = 1 - H(s) / log N      u_j = min(1, n c s_j)    (``ascl``)

    over the N usable candidates; ``hard``: u = 1 on the n most similar, ``ahcl``: u = c on them, ``normal``: u = 0.
    With fewer than two usable candidates c is 0. No gradient.

    Args:
        similarity: cosines ``[B, N]``.
        usable: which may count, bool ``[N]`` or ``[B, N]``.
        kind: which rule.
        neighbours: n, the number of neighbours expected.
        temperature: T.

    Returns:
        u ``[B, N]`` in [0, 1] and c ``[B]`` in [0, 1], float32 at least.

    Source: Feng & Patras 2022, Adaptive Soft Contrastive Learning, section III.
    """
    with torch.no_grad(), torch.autocast(similarity.device.type, enabled=False):
        similarity = similarity.double() if similarity.dtype == torch.float64 else similarity.float()
        usable = usable.expand_as(similarity)
        count = usable.sum(1)
        hidden = similarity.masked_fill(~usable, -torch.inf)
        s = (hidden / temperature).softmax(1).nan_to_num(0.0)  # rows without a usable candidate
        certain = 1 - torch.special.entr(s).sum(1) / count.clamp_min(2).to(s.dtype).log()
        certain = torch.where(count > 1, certain.clamp(0, 1), 0.0)
        if kind == "ascl":
            return (neighbours * certain[:, None] * s).clamp_max(1), certain
        if kind == "normal":
            return torch.zeros_like(s), certain
        nearest = hidden.topk(min(neighbours, s.shape[1])).indices
        value = certain[:, None] if kind == "ahcl" else torch.ones_like(certain)[:, None]
        chosen = torch.zeros_like(s).scatter(1, nearest, value.expand_as(nearest))
        return chosen.masked_fill(~usable, 0), certain


def check_weighting(kind: str, neighbours: int, temperature: float) -> None:
    """Check the arguments of :func:`neighbour_weights`.

    Raises:
        ValueError: for an unknown kind, fewer than one neighbour, or a temperature that is not positive.
    """
    if kind not in get_args(Weighting):
        raise ValueError(f"weighting must be one of {', '.join(get_args(Weighting))}, not {kind!r}")
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, not {neighbours}")
    check_positive(temperature=temperature)


class SoftCosine(Objective):
    """Squared distance of a prediction to a weighted set of the batch's targets.

        y_ij = (1 if i = j else u_ij) / (1 + sum_{j != i} u_ij)      loss = 1/B sum_i (2 - 2 sum_j y_ij p_i . k_j)

    over the samples of all ranks, with u from :func:`neighbour_weights` of k_i . k_j. Gradients flow into the
    prediction alone. At ``normal`` it is BYOL's loss.

    Shape: ``prediction``, ``target`` ``[B, D] -> []``, in [0, 4].

    Source: Feng & Patras 2022, Adaptive Soft Contrastive Learning, the BYOL form.

    Args:
        kind, neighbours, temperature: of :func:`neighbour_weights`.

    Raises:
        ValueError: for a bad argument, unequal shapes, or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, kind: Weighting = "ascl", neighbours: int = 1, temperature: float = 0.05) -> None:
        super().__init__()
        check_weighting(kind, neighbours, temperature)
        self.kind, self.neighbours, self.temperature = kind, neighbours, temperature

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        check_pairs(prediction, target)
        p, k = functional.normalize(prediction, eps=1e-6), functional.normalize(target.detach(), eps=1e-6)
        everyone, first = ranks.gather(k), first_of(len(k))

        def aim(part: slice) -> Tensor:
            similarity = k[part] @ everyone.T
            others = leave_out_own(torch.ones_like(similarity, dtype=torch.bool), first + part.start, value=False)
            weights, _ = neighbour_weights(similarity, others, self.kind, self.neighbours, self.temperature)
            return (k[part] + weights @ everyone) / (1 + weights.sum(1, keepdim=True))

        return 2 - 2 * (p * in_blocks(aim, len(k), len(everyone))).sum(1).mean()


class SymmetricContrast(Objective):
    """Contrast for plasticity and for stability, both against negatives of the present and of the earlier model.

    With z the 2B projections of both views, f those of the earlier model, p the predictions of f from z, all at unit
    length, and p(i) the other view of i:

        plasticity = 1/2B sum_i [ log sum_{j != i} (exp(z_i . z_j / t) + exp(z_i . f_j / t)) - z_i . z_p(i) / t ]
        stability  = 1/2B sum_i [ log sum_{j != i} (exp(p_i . f_j / d) + exp(p_i . z_j / d)) - p_i . f_i / d ]

    over the samples of all ranks; ``terms`` names both. Gradients flow into z and p everywhere, into f nowhere.

    Shape: six times ``[B, D] -> []``: projections of both views, their predictions, the earlier model's projections.

    Source: Cha et al. 2023, the SimCLR form of Sy-CON, as in the authors' code, which leaves a row's own column out of
    both sums.

    Args:
        temperature, distillation: t and d > 0.

    Raises:
        ValueError: for a temperature that is not positive, unequal shapes, or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, temperature: float = 0.2, distillation: float = 0.2) -> None:
        super().__init__()
        check_positive(temperature=temperature, distillation=distillation)
        self.temperature, self.distillation = temperature, distillation

    def forward(self, z1: Tensor, z2: Tensor, p1: Tensor, p2: Tensor, f1: Tensor, f2: Tensor) -> Tensor:
        return torch.stack(list(self.terms(z1, z2, p1, p2, f1, f2).values())).sum()

    @full_precision
    def terms(self, z1: Tensor, z2: Tensor, p1: Tensor, p2: Tensor, f1: Tensor, f2: Tensor) -> dict[str, Tensor]:
        """Named scalars that add up to the value."""
        check_pairs(z1, z2, p1, p2, f1, f2)
        z, p, f = (
            functional.normalize(torch.stack(pair, 1).flatten(0, 1), eps=1e-6)
            for pair in ((z1, z2), (p1, p2), (f1.detach(), f2.detach()))
        )
        all_z, all_f = ranks.gather(z), ranks.gather(f)
        first = first_of(len(z))
        other = z.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)

        def log_sum(rows: Tensor, temperature: float) -> Tensor:
            def block(part: slice) -> Tensor:
                found = (leave_out_own(rows[part] @ x.T / temperature, first + part.start) for x in (all_z, all_f))
                return torch.cat(list(found), 1).logsumexp(1)

            return in_blocks(block, len(rows), 2 * len(all_z))

        t, d = self.temperature, self.distillation
        return {
            "plasticity": (log_sum(z, t) - (z * other).sum(1) / t).mean(),
            "stability": (log_sum(p, d) - (p * f).sum(1) / d).mean(),
        }
