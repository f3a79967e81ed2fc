"""What crosses processes, in one place.

Losses that look at the whole batch must see the samples of all ranks. The two functions here are
differentiable and, with gradients averaged over ranks as data-parallel training does, give R ranks with B/R
samples each the loss and gradients of one rank with B samples. Without an initialised process group they
return their input.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> tuple[int, int]:
    """``(rank, number of ranks)`` of this process; ``(0, 1)`` outside a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rank, size = world()
        ctx.rows = (rank * len(x), (rank + 1) * len(x))
        parts = [torch.empty_like(x) for _ in range(size)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad[slice(*ctx.rows)]


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad


def gather(x: Tensor) -> Tensor:
    """Rows of all ranks: ``[B, ...] -> [R*B, ...]`` in order of rank; every rank must hold as many rows."""
    return x if world()[1] == 1 else _Gather.apply(x)


def total(x: Tensor) -> Tensor:
    """Sum of a statistic over ranks, same shape on each."""
    return x if world()[1] == 1 else _Total.apply(x)


def local(x: Tensor) -> Tensor:
    """This rank's rows of a tensor that holds those of all ranks: ``[R*B, ...] -> [B, ...]``."""
    rank, size = world()
    rows = len(x) // size
    return x[rank * rows : (rank + 1) * rows]
