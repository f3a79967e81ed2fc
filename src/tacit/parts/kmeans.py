"""k-means on embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 16384
"""Rows whose distances to all centres are held at a time."""


@torch.no_grad()
def kmeans(x: Tensor, clusters: int, generator: torch.Generator, rounds: int = 25) -> Tensor:
    """Which of ``clusters`` clusters each row belongs to: ``[N, D] -> int64 [N]``.

    Centres start far apart (k-means++) and move until no row changes its cluster, at most ``rounds`` times; one that
    loses all rows moves to the row farthest from its centre. Rows that are all alike share one cluster.

    Args:
        x: the rows, on any device.
        clusters: at least 1 and at most N.
        generator: source of randomness, on the CPU.
        rounds: most rounds.

    Raises:
        ValueError: for fewer clusters than 1 or more than rows.
    """
    if not 1 <= clusters <= len(x):
        raise ValueError(f"clusters must lie between 1 and the number of rows, {len(x)}, not {clusters}")
    x = x.float()
    centres = _spread(x, clusters, generator)
    label = torch.full((len(x),), -1, device=x.device)
    for _ in range(rounds):
        distance, found = _nearest(x, centres)
        if torch.equal(found, label):
            break
        label = found
        count = torch.bincount(label, minlength=clusters)
        sums = torch.zeros_like(centres).index_add_(0, label, x)
        centres = torch.where(count[:, None] > 0, sums / count.clamp_min(1)[:, None], centres)
        empty = (count == 0).nonzero()[:, 0]
        if len(empty) and bool(distance.max() > 0):
            far = distance.topk(min(len(empty), len(x))).indices
            centres[empty[: len(far)]] = x[far]
    return label


def _spread(x: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """Centres drawn one after the other with a chance that grows with the squared distance to the nearest so far."""
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    distance = (x - x[chosen[0]]).square().sum(1)
    for _ in range(clusters - 1):
        chance = distance.double().cpu()
        if not bool(chance.sum() > 0):
            chance = torch.ones_like(chance)
        # By inversion: torch.multinomial has a limit on the number of categories.
        at = torch.searchsorted(chance.cumsum(0), torch.rand(1, generator=generator).double() * chance.sum())
        chosen.append(min(int(at), len(x) - 1))
        distance = torch.minimum(distance, (x - x[chosen[-1]]).square().sum(1))
    return x[chosen].clone()


def _nearest(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    parts = [torch.cdist(rows, centres).min(1) for rows in x.split(ROWS)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])
