"""Objectives that tell a sample's other view from all other samples."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision
from tacit.parts import ranks

BLOCK = 2**24
"""Similarities (64 MiB of float32) that are held at a time. All of them, where there are no more, are kept
for the backward pass; else they are computed block by block, and again in the backward pass."""


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
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, not {temperature}")
        self.temperature = temperature

    @full_precision
    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        check_pairs(z1, z2)
        # Both factors of a similarity carry the square root of 1/t.
        u1, u2 = (functional.normalize(z, eps=1e-6) * self.temperature**-0.5 for z in (z1, z2))
        return log_sum_exp_others(torch.stack((u1, u2), 1).flatten(0, 1)).mean() - (u1 * u2).sum(1).mean()


def log_sum_exp_others(u: Tensor) -> Tensor:
    """``log sum_{j != i} exp(u_i . u_j)`` of this rank's rows i against the rows j of all ranks.

    Shape: ``[N, D] -> [N]``. Needs O(N) memory for large N.
    """
    if len(u) ** 2 * ranks.world()[1] > BLOCK:
        return _LogSumExpOthers.apply(u)
    return _similarities(u, ranks.gather(u), 0).logsumexp(1)


def _similarities(rows: Tensor, everyone: Tensor, start: int) -> Tensor:
    """Inner products of this rank's rows from ``start`` on with everyone's; -inf with themselves."""
    found = rows @ everyone.T
    found.diagonal(start + ranks.world()[0] * len(everyone) // ranks.world()[1]).fill_(-torch.inf)
    return found


class _LogSumExpOthers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        everyone = ranks.gather(u)
        step = max(1, BLOCK // len(everyone))
        value = u.new_empty(len(u))
        for start in range(0, len(u), step):
            rows = slice(start, start + step)
            value[rows] = _similarities(u[rows], everyone, start).logsumexp(1)
        ctx.save_for_backward(u, everyone, value)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        u, everyone, value = ctx.saved_tensors
        # Similarities are symmetric, so a row's part in the other rows' sums is read off its own
        # similarities.
        values, grads = ranks.gather(value), ranks.gather(grad.contiguous())
        step = max(1, BLOCK // len(everyone))
        result = torch.empty_like(u)
        with torch.autocast(u.device.type, enabled=False):
            for start in range(0, len(u), step):
                rows = slice(start, start + step)
                found = _similarities(u[rows], everyone, start)
                weight = (found - value[rows, None]).exp_().mul_(grad[rows, None])
                weight += found.sub_(values).exp_().mul_(grads)
                torch.mm(weight, everyone, out=result[rows])
        return result
