"""Mixed Barlow Twins: Barlow Twins, with mixtures of samples as a guard against over-fitting."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from tacit.data import Batch
from tacit.methods.base import JointEmbedding
from tacit.objectives.redundancy import MixedBarlowTwins as Objective
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.registry import register
from tacit.views.mixing import Mixture


@register(
    "mixed-barlow-twins",
    kind="method",
    family="redundancy",
    title="Guarding Barlow Twins Against Overfitting with Mixed Samples",
    year=2023,
    url="https://arxiv.org/abs/2312.02151",
    basis="code",
)
class MixedBarlowTwins(JointEmbedding):
    """Two views, and a mixture of the first with a shuffled second, which goes through the network by itself.

    The third pass costs half as much again as Barlow Twins.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector; ``dim -> hidden -> out``, as the paper has for small images with
            512 and 1024.
        lambda_: weight of redundancy reduction; the paper has 1/128 for CIFAR at out = 1024.
        mix_scale: weight of the mixing term in units of ``lambda_``; the paper has 4 for CIFAR, 1 for
            ImageNet. At 0 the method is Barlow Twins at a higher price.
        scale: factor on the loss, for optimisers that feel it (SGD, LARS).
        norm: normalisation in the projector.
    """

    recipe: ClassVar[str] = "asymmetric-pair"
    objective: Objective

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 1024,
        lambda_: float = 0.0078125,
        mix_scale: float = 4.0,
        scale: float = 1.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm, last_bias=False)
        self.objective = Objective(lambda_, mix_scale, scale)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        first, second = batch["views"]
        mixture = Mixture.draw(len(first["x"]), Draws(device=first["x"].device))
        z1, z2 = self.project(first, second)
        # A pass of its own: batch norm must not average over clean and mixed samples.
        (zm,) = self.project(mixture.view(first, second))
        return self.objective.terms(z1, z2, zm, mixture.weight, mixture.partner)
