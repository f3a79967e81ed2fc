"""Objectives on places: what lies at the same place, or looks alike, in two views of a sample."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, full_precision, total_of
from tacit.parts import ranks
from tacit.parts.statistics import centre


class LocalVICReg(Objective):
    """Variance, invariance and covariance of matched tokens.

    Each token of one view is matched with the token of the other that is nearest, once by place and once by the
    projections themselves; the ``matches`` nearest pairs of each sample count, in the order of the first one's place.
    For the pairs (a, b), ``[B, M, D]``, with S_m(a) the unbiased covariance over the batch of all ranks at pair m,

        V(a, b) = invariance * mean (a - b)^2
                + variance   * 1/2 sum_{c in a, b} mean_md max(0, 1 - sqrt(S_m(c)_dd + 1e-4))
                + covariance * 1/2 sum_{c in a, b} mean_m 1/D sum_{d != e} S_m(c)_de^2

    and the loss is the sum over both ways to match of 1/2 [V(view 1 to 2) + V(view 2 to 1)].

    Shape: ``maps1``, ``maps2`` ``[B, N, D]``; ``place1``, ``place2`` ``[B, N, k]``, in the coordinates that both views
    come from; ``-> []``. Memory O(B N^2 + M D^2).

    Source: Bardes et al. 2022, VICRegL: Self-Supervised Learning of Local Visual Features, eq. 1 to 3, with the means
    of the official code.

    Args:
        matches: pairs that count; all tokens where there are fewer.
        invariance, variance, covariance: weights of the three terms.

    Raises:
        ValueError: for shapes that do not fit, fewer than one match, or fewer than two samples.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(
        self, matches: int = 20, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
    ) -> None:
        super().__init__()
        if matches < 1:
            raise ValueError(f"matches must be at least 1, not {matches}")
        self.matches = matches
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance

    def forward(self, maps1: Tensor, maps2: Tensor, place1: Tensor, place2: Tensor) -> Tensor:
        return total_of(self.terms(maps1, maps2, place1, place2))

    @full_precision
    def terms(self, maps1: Tensor, maps2: Tensor, place1: Tensor, place2: Tensor) -> dict[str, Tensor]:
        """The loss as ``invariance``, ``variance`` and ``covariance``."""
        if maps1.ndim != 3 or maps1.shape[::2] != maps2.shape[::2] or place1.shape[:2] != maps1.shape[:2]:
            raise ValueError(
                "maps must be [batch, tokens, width] and places [batch, tokens, coordinates], not "
                f"{tuple(maps1.shape)}, {tuple(maps2.shape)} and {tuple(place1.shape)}"
            )
        if len(maps1) * ranks.world()[1] < 2:
            raise ValueError(f"a batch must hold at least 2 samples to compare, not {len(maps1)}")
        parts = []
        for here, there, mine, other in ((place1, place2, maps1, maps2), (place2, place1, maps2, maps1)):
            for near, far in ((here, there), (mine, other)):
                parts.append(self._pairs(*matched(mine, other, near, far, self.matches)))
        return {name: torch.stack([part[name] for part in parts]).sum() / 2 for name in parts[0]}

    def _pairs(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        samples, (_, matches, width) = len(a) * ranks.world()[1], a.shape
        spread, shared = [], []
        for c in (a, b):
            c = centre(c.flatten(1)).unflatten(1, (matches, width))
            variance = ranks.total(c.square().sum(0)) / (samples - 1)
            spread.append(functional.relu(1 - torch.sqrt(variance + 1e-4)).mean())
            moment = ranks.total(torch.einsum("bmd,bme->mde", c, c)) / (samples - 1)
            apart = 1 - torch.eye(width, dtype=c.dtype, device=c.device)
            shared.append((moment * apart).square().sum() / (matches * width))
        return {
            "invariance": self.invariance * functional.mse_loss(a, b),
            "variance": self.variance / 2 * torch.stack(spread).sum(),
            "covariance": self.covariance / 2 * torch.stack(shared).sum(),
        }


def matched(mine: Tensor, other: Tensor, near: Tensor, far: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` tokens of ``mine`` that have the nearest partner, in their order, and those partners.

    Distances are those of ``near`` to ``far``; no gradient flows through the choice.

    Shape: ``mine``, ``other`` ``[B, N, D]``, ``near``, ``far`` ``[B, N, k] -> [B, M, D]`` twice, M = min(count, N).
    """
    with torch.no_grad():
        distance, partner = torch.cdist(near, far).min(2)
        chosen = distance.topk(min(count, distance.shape[1]), 1, largest=False).indices.sort(1).values
        partner = partner.gather(1, chosen)
    width = mine.shape[2]
    return tuple(m.gather(1, at[..., None].expand(-1, -1, width)) for m, at in ((mine, chosen), (other, partner)))  # type: ignore[return-value]
