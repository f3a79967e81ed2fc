"""Differentiable sorting: who comes at which place, with a gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.objectives.base import check_positive


def soft_permutation(values: Tensor, steepness: float = 1.0) -> Tensor:
    """How likely each value takes each place in ascending order, by a relaxed odd-even sorting network.

    The network has n layers, which compare the places (0, 1), (2, 3), ... and (1, 2), (3, 4), ... in turn. Two values a
    (before) and b (after) stay in place with the share alpha = 1/2 + atan(steepness (b - a)) / pi and change places
    with the rest:

        a' = alpha a + (1 - alpha) b      b' = (1 - alpha) a + alpha b

    The same mixtures of the identity's columns are the result: rows and columns add up to 1.

    Args:
        values: ``[B, n]``, n >= 1.
        steepness: above 0; the larger, the nearer to sorting.

    Returns:
        ``[B, n, n]`` in [0, 1]: value i at place r, the smallest first.

    Source: Petersen et al. 2022, Monotonic Differentiable Sorting Networks, with the Cauchy relaxation.

    Raises:
        ValueError: for a steepness that is not positive, or values of another shape.
    """
    if values.ndim != 2 or values.shape[1] < 1:
        raise ValueError(f"values to sort have shape [batch, n], not {list(values.shape)}")
    check_positive(steepness=steepness)
    n = values.shape[1]
    # Values and places travel together: row 0 holds the values, the others the shares of each place's inputs.
    identity = torch.eye(n, dtype=values.dtype, device=values.device).expand(len(values), n, n)
    state = torch.cat((values[:, None], identity), 1)
    for layer in range(n):
        start = layer % 2
        end = start + (n - start) // 2 * 2
        pairs = state[:, :, start:end].unflatten(2, (-1, 2))
        first, second = pairs.unbind(3)
        alpha = 0.5 + torch.atan(steepness * (second[:, :1] - first[:, :1])) / torch.pi
        kept, moved = torch.lerp(second, first, alpha), torch.lerp(first, second, alpha)
        mixed = torch.stack((kept, moved), 3).flatten(2)
        state = torch.cat((state[:, :, :start], mixed, state[:, :, end:]), 2)
    return state[:, 1:]
