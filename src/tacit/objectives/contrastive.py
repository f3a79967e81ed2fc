"""Objectives that tell a sample's other view from all other samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tacit.objectives import blocks
from tacit.objectives.base import Crossing, Objective, check_pairs, check_positive, full_precision
from tacit.objectives.blocks import leave_out_own
from tacit.parts import ranks


class NTXent(Objective):
    """Normalised temperature-scaled cross entropy.

    With u the 2B projections of both views scaled to unit length, p(i) the other view of i, and t the
    temperature,

        loss = 1/2B sum_i [ log sum_{j != i} exp(u_i . u_j / t)  -  u_i . u_p(i) / t ]

    over the samples of all ranks. Memory grows linearly with B: a large batch's similarities are computed in
    blocks, and once more in the backward pass.

    Shape: ``z1``, ``z2`` ``[B, D] -> []``; sample i of one is the other view of sample i of the other.

    Source: Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, eq. 1.

    Args:
        temperature: t > 0.

    Raises:
        ValueError: for a temperature that is not positive, unequal shapes, or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        check_pairs(z1, z2)
        u = unit_views((z1, z2), self.temperature)
        return log_sum_exp_others(u.flatten(0, 1)).mean() - (u[:, 0] * u[:, 1]).sum(1).mean()


def unit_views(projections: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """Projections of V views on the sphere of radius t^-1/2, so that an inner product is a cosine over t.

    Shape: V times ``[B, D] -> [B, V, D]``: flattened, the views of a sample are V rows that follow each other.
    """
    units = torch.stack([functional.normalize(z, eps=1e-6) for z in projections], 1)
    return units * temperature**-0.5


def log_sum_exp_others(u: Tensor, group: int = 1) -> Tensor:
    """``log sum_j exp(u_i . u_j)`` of this rank's rows i against the rows j of all ranks, i's own group left out.

    Every ``group`` rows that follow each other belong together: with 1 only the row itself is left out, with V all
    views of its sample.

    Shape: ``[N, D] -> [N]``. Needs O(N) memory for large N.
    """
    if len(u) ** 2 * ranks.world()[1] > blocks.BLOCK:
        return _LogSumExpOthers.apply(u, group)
    return _similarities(u, ranks.gather(u), 0, group).logsumexp(1)


def _similarities(rows: Tensor, everyone: Tensor, start: int, group: int) -> Tensor:
    """Inner products of this rank's rows from ``start`` on with everyone's; -inf with their own group."""
    rank, size = ranks.world()
    return leave_out_own(rows @ everyone.T, start + rank * len(everyone) // size, group)


class _LogSumExpOthers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, group: int) -> Tensor:
        everyone = ranks.gather(u)
        step = max(1, blocks.BLOCK // len(everyone))
        value = u.new_empty(len(u))
        for start in range(0, len(u), step):
            rows = slice(start, start + step)
            value[rows] = _similarities(u[rows], everyone, start, group).logsumexp(1)
        ctx.save_for_backward(u, everyone, value)
        ctx.group = group
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        u, everyone, value = ctx.saved_tensors
        # Similarities are symmetric, so a row's part in the other rows' sums is read off its own
        # similarities.
        values, grads = ranks.gather(value), ranks.gather(grad.contiguous())
        step = max(1, blocks.BLOCK // len(everyone))
        result = torch.empty_like(u)
        with torch.autocast(u.device.type, enabled=False):
            for start in range(0, len(u), step):
                rows = slice(start, start + step)
                found = _similarities(u[rows], everyone, start, ctx.group)
                weight = (found - value[rows, None]).exp_().mul_(grad[rows, None])
                weight += found.sub_(values).exp_().mul_(grads)
                torch.mm(weight, everyone, out=result[rows])
        return result, None
