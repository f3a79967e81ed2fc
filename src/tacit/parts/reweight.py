"""A projection head with nothing to learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.registry import register


@register(
    "projection-head",
    kind="lab",
    family="heads",
    title="Investigating the Benefits of Projection Head for Representation Learning",
    year=2024,
    url="https://arxiv.org/abs/2403.11391",
    basis="reading",
)
class ReweightHead(nn.Module):
    """A fixed projection head that weights later dimensions less: what a learned head does to features, made plain.

        g(h) = kappa^(0 .. dim - 1) * h, scaled to unit length

    A joint-embedding method takes it as its ``projector``; the embedding before it is what is used afterwards. The
    paper finds that a learned head makes the weights of features more unequal the deeper the layer, so that what the
    loss needs little of is left in the layers before; this head leaves it there by construction.

    Args:
        dim: width of the embedding.
        kappa: the weight from one dimension to the next, in (0, 1]; 1 is no head. The formula is our reading of the
            paper's fixed head.

    Shape: ``[B, dim] -> [B, dim]``.

    Raises:
        ValueError: for a kappa outside (0, 1].
    """

    weight: Tensor

    def __init__(self, dim: int, kappa: float = 0.98) -> None:
        super().__init__()
        if not 0 < kappa <= 1:
            raise ValueError(f"kappa must be above 0 and at most 1, not {kappa}")
        self.register_buffer("weight", kappa ** torch.arange(dim, dtype=torch.float32))

    def forward(self, h: Tensor) -> Tensor:
        return functional.normalize(self.weight.to(h.dtype) * h, eps=1e-6)
