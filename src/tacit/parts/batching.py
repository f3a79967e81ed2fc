"""Batches composed by what is known of the samples."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.parts.draws import mix


def spread_groups(order: Tensor, groups: Tensor, batch: int) -> Tensor:
    """Reorder an epoch so that every run of ``batch`` samples holds as few of one group as can be.

    Each batch takes one sample of each of the groups that have most left, and a second one only where fewer groups
    than ``batch`` have any. So batches are without repetition as long as the largest groups allow. Inside a group the
    given order decides, and the batches are shuffled, so that those with repetitions are not always the last.

    Args:
        order: a permutation, int64 ``[N]``; all randomness comes from it.
        groups: the group of each sample, int64 ``[N]``, 0 or more.
        batch: samples a batch.

    Returns:
        the same samples in another order; those past the last whole batch come last.
    """
    generator = torch.Generator().manual_seed(mix(*order[:8].tolist()))
    groups = groups.cpu()[order]
    members = order[groups.argsort(stable=True)]
    left = torch.bincount(groups)
    start = left.cumsum(0) - left
    batches = []
    for _ in range(len(order) // batch):
        taken: list[Tensor] = []
        need = batch
        while need:
            several = left > 0
            count = min(need, int(several.sum()))
            chance = left + torch.rand(len(left), generator=generator)  # ties in a new order each time
            found = torch.where(several, chance, -1.0).topk(count).indices
            left[found] -= 1
            taken.append(start[found] + left[found])
            need -= count
        batches.append(members[torch.cat(taken)])
    rest = torch.cat([members[s : s + n] for s, n in zip(start.tolist(), left.tolist(), strict=True)])
    shuffled = torch.randperm(len(batches), generator=generator).tolist()
    return torch.cat([*(batches[i] for i in shuffled), rest])
