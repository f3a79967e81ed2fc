"""CARE: contrastive learning in which a change of the input acts as a rotation of the embeddings."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding
from tacit.objectives.contrastive import NTXent
from tacit.objectives.rotation import GramMatching
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "care",
    kind="method",
    family="contrastive",
    title="Structuring Representation Geometry with Rotationally Equivariant Contrastive Learning",
    year=2024,
    url="https://arxiv.org/abs/2306.13924",
    basis="code",
)
class CARE(JointEmbedding):
    """SimCLR on two ordinary views, and on two views that change all samples of a chunk alike, equal angles before and
    after.

    The four views take twice SimCLR's time. Gradients flow through all of them. The chunk's size is an option of the
    views, ``views.chunk``, 16 by default. The rotation that belongs to a change can be found for a trained encoder by
    :func:`tacit.evaluation.procrustes.rotation`.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``, the paper's.
        temperature: of NT-Xent; the paper has 0.5 for CIFAR-10 and 0.2 for ImageNet-100.
        weight: of the equivariance. The paper has 0.03 for CIFAR-10 and 0.01 for STL-10, with chunks of 16 and more;
            the term grows with the chunk.
        norm: normalisation in the projector.

    Raises:
        OptionError: for views of which the last two are not shared.
    """

    recipe: ClassVar[str] = "pair-and-shared"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        temperature: float = 0.5,
        weight: float = 0.03,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = NTXent(temperature)
        self.weight = weight

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        views = batch["views"]
        if len(views) != 4 or "chunk" not in views[2]:
            raise OptionError("care needs two ordinary and two shared views, as the recipe pair-and-shared makes them")
        z1, z2, shared1, shared2 = self.project(*views)
        angles = GramMatching(views[2]["chunk"])
        return {"contrast": self.objective(z1, z2), "equivariance": self.weight * angles(shared1, shared2)}
