"""Points spread over a cloud, and the points around them."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def farthest_points(places: Tensor, real: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Points that are far from each other: first the one farthest from the middle, then ever the one that is farthest
    from all before it. The order of the points does not matter, save for equally far ones.

    Args:
        places: ``[B, N, 3]``.
        real: bool ``[B, N]``, which are no padding; at least one of each sample.
        count: how many are wanted, M.

    Returns:
        int64 ``[B, M]``, and bool ``[B, M]``, which of these are real: in a cloud of fewer points, not all.

    Source: Eldar et al. 1997, The Farthest Point Strategy for Progressive Image Sampling; as in Qi et al. 2017,
    PointNet++, section 3.2, but for the first point, which is random there.
    """
    count = min(count, places.shape[1])
    sizes = real.sum(1)
    middle = (places * real[..., None]).double().sum(1, keepdim=True) / sizes[:, None, None]
    flat = places.transpose(1, 2).float().contiguous()
    rows = torch.arange(len(places), device=places.device)
    away = (flat - middle.transpose(1, 2).float()).square().sum(1).masked_fill(~real, -1)
    chosen = away.new_empty(len(places), count, dtype=torch.long)
    nearest = torch.full_like(away, torch.inf).masked_fill(~real, -1)
    for i in range(count):
        at = (away if i == 0 else nearest).argmax(1)
        chosen[:, i] = at
        distance = (flat - flat[rows, :, at][..., None]).square().sum(1)
        nearest = torch.minimum(nearest, distance)
    return chosen, torch.arange(count, device=places.device) < sizes[:, None]


@torch.no_grad()
def nearest_points(centres: Tensor, places: Tensor, real: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The points nearest to some centres.

    Args:
        centres: ``[B, M, 3]``.
        places: ``[B, N, 3]``.
        real: bool ``[B, N]``, which are no padding.
        count: how many for each centre, K; at most N.

    Returns:
        int64 ``[B, M, K]``, the nearest first, and bool ``[B, M, K]``, which of these are real.
    """
    distance = torch.cdist(centres.float(), places.float(), compute_mode="donot_use_mm_for_euclid_dist")
    found = distance.masked_fill(~real[:, None], torch.inf).topk(min(count, places.shape[1]), 2, largest=False)
    return found.indices, found.values.isfinite()


def at(rows: Tensor, index: Tensor) -> Tensor:
    """Rows ``[B, N, C]`` at ``index`` (int64 ``[B, ...]``): ``[B, ..., C]``."""
    flat = rows.gather(1, index.flatten(1)[..., None].expand(-1, -1, rows.shape[2]))
    return flat.unflatten(1, index.shape[1:])
