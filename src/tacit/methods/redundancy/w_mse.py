"""W-MSE: views alike after whitening the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.whitening import WhitenedMSE
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "w-mse",
    kind="method",
    family="redundancy",
    title="Whitening for Self-Supervised Representation Learning",
    year=2020,
    url="https://arxiv.org/abs/2007.06346",
    basis="code",
)
class WMSE(JointEmbedding):
    """Two views or more (``views.count=4``), whitened in random sub-batches, then their distance. No negatives.

    A step costs one Cholesky factor of ``out x out`` for each view of each sub-batch.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``. The paper has hidden = 1024, and out = 64 for
            CIFAR, 128 for larger images.
        size: samples of a sub-batch, which the paper has at 2 ``out``; see
            :class:`tacit.objectives.whitening.WhitenedMSE`.
        permutations: how often a step cuts the batch into sub-batches; the paper has 1, or 4 where ``out`` is 128.
        eps: how far a covariance is moved towards the identity. The paper has 0, which dead dimensions and
            sub-batches of ``out`` samples or fewer make impossible.
        normalise: distance of unit vectors; else the squared distance.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 64,
        size: int = 128,
        permutations: int = 1,
        eps: float = 1e-4,
        normalise: bool = True,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if permutations < 1:
            raise ValueError(f"permutations must be at least 1, not {permutations}")
        self.projector = mlp([self.dim, hidden, out], norm, last_bias=False)  # whitening would take a bias away
        self.objective = WhitenedMSE(size, eps, normalise)
        self.permutations = permutations

    def compare(self, *projections: Tensor) -> Tensor:
        draws = Draws(device=projections[0].device)
        samples = len(projections[0]) * ranks.world()[1]
        orders = torch.stack([draws.permutation(samples) for _ in range(self.permutations)])
        return self.objective(*projections, orders=orders)
