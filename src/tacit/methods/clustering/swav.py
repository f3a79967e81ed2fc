"""SwAV: predict a view's cluster from another view, with clusters that are used equally."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding
from tacit.objectives.clustering import SwappedPrediction
from tacit.parts.heads import Norm, mlp
from tacit.parts.prototypes import Prototypes
from tacit.parts.sinkhorn import sinkhorn
from tacit.registry import register


@register(
    "swav",
    kind="method",
    family="clustering",
    title="Unsupervised Learning of Visual Features by Contrasting Cluster Assignments",
    year=2020,
    url="https://arxiv.org/abs/2006.09882",
    basis="paper",
)
class SwAV(JointEmbedding):
    """Two large views and several smaller ones; the large ones' shares of prototypes, balanced over the batch by
    optimal transport, are what every other view must predict.

    The balance is over the batch of all ranks alone: there is no queue of earlier batches, so that a batch should hold
    more samples than there are prototypes.

    Args:
        encoder: gives ``[B, dim]``.
        prototypes: how many, K. The paper has 3000 for ImageNet.
        hidden, out: widths of the projector ``dim -> hidden -> out``. The paper has 2048 and 128.
        temperature: of the prediction.
        epsilon: weight of the entropy; the larger, the softer the shares.
        iterations: of the balancing.
        coded: how many views, from the first on, are predicted; the paper has the 2 large ones.
        norm: normalisation in the projector.

    Raises:
        OptionError: for an impossible option, or, while training, fewer than two views.
    """

    recipe: ClassVar[str] = "multi-crop"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        prototypes: int = 128,
        hidden: int = 512,
        out: int = 128,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        coded: int = 2,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if not epsilon > 0 or iterations < 1 or coded < 1:
            raise OptionError(
                "swav needs a positive epsilon, at least 1 iteration and at least 1 coded view, not "
                f"{epsilon}, {iterations} and {coded}"
            )
        self.epsilon, self.iterations, self.coded = epsilon, iterations, coded
        self.projector = mlp([self.dim, hidden, out], norm)
        self.prototypes = Prototypes(out, prototypes)
        self.objective = SwappedPrediction(temperature)

    def compare(self, *projections: Tensor) -> Tensor:
        if len(projections) < 2:
            raise OptionError(f"swav needs at least 2 views of each sample, not {len(projections)}")
        scores = torch.stack([self.prototypes(z) for z in projections])
        codes = [sinkhorn(view / self.epsilon, self.iterations) for view in scores.detach()[: self.coded]]
        return self.objective(scores, torch.stack(codes))

    @property
    def in_chunks(self) -> bool:
        return False  # the prototypes learn too
