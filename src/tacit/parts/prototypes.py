"""Prototypes: directions in the space of projections that samples are compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Prototypes(nn.Module):
    """Cosines of projections and learned directions.

    Both are scaled to unit length here, in float32 at least, whatever autocast says. The length of a prototype thus
    never matters; papers that scale the weights back to unit length at each step compute the same values.

    Args:
        dim: width of the projections, D.
        count: number of prototypes, K.

    Shape: ``[B, D] -> [B, K]``, in [-1, 1].

    Raises:
        ValueError: for a width or number below 1.
    """

    def __init__(self, dim: int, count: int) -> None:
        super().__init__()
        if dim < 1 or count < 1:
            raise ValueError(f"prototypes need a positive width and number, not {dim} and {count}")
        self.weight = nn.Parameter(functional.normalize(torch.randn(count, dim)))

    def forward(self, z: Tensor, frozen: Tensor | None = None) -> Tensor:
        """Cosines; where ``frozen`` (bool ``[]``) is true, the prototypes get no gradient."""
        with torch.autocast(z.device.type, enabled=False):
            z = z.to(self.weight.dtype)
            # a gradient of zeros, as one process of several must not wait for one that another does not have
            weight = self.weight if frozen is None else torch.where(frozen, self.weight.detach(), self.weight)
            return functional.normalize(z, eps=1e-6) @ functional.normalize(weight, eps=1e-6).T
