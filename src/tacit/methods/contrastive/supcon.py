"""SupCon: all samples of the anchor's class are positives."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import DataError
from tacit.methods.base import JointEmbedding
from tacit.objectives.supcon import Anchors, Form
from tacit.objectives.supcon import SupCon as Objective
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "supcon",
    kind="method",
    family="contrastive",
    title="Supervised Contrastive Learning",
    year=2020,
    url="https://arxiv.org/abs/2004.11362",
    basis="code",
)
class SupCon(JointEmbedding):
    """Two views, one projector, and the labels: views of one class together, of different classes apart.

    It learns from labels. The paper's second stage is a linear classifier on the frozen encoder, which
    ``tacit evaluate`` trains.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``. The paper has hidden = dim = 2048, out = 128.
        temperature: of the cosines; the paper has 0.1.
        form: the sum over positives outside (``out``) or inside (``in``) the logarithm; the paper found ``out`` better.
        anchors: whether rows of ``all`` views are anchors or of the first ``one`` only.
        base_temperature: scales the loss by temperature / base_temperature, for optimisers that feel it; the code has
            0.07. None leaves the loss as it is.
        norm: normalisation in the projector; the paper has none.

    Raises:
        DataError: from :meth:`loss`, if the data has no labels.
    """

    uses_labels: ClassVar[bool] = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        temperature: float = 0.1,
        form: Form = "out",
        anchors: Anchors = "all",
        base_temperature: float | None = None,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = Objective(temperature, form, anchors, base_temperature)

    def loss(self, batch: Batch) -> Tensor:
        if "y" not in batch:
            raise DataError("supcon learns from labels, and the data has none; without labels it would be simclr")
        return self.objective(*self.project(*batch["views"]), labels=batch["y"])
