"""SimCLR: a sample's two views against all other views of the batch."""

from __future__ import annotations

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.contrastive import NTXent
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "simclr",
    kind="method",
    family="contrastive",
    title="A Simple Framework for Contrastive Learning of Visual Representations",
    year=2020,
    url="https://arxiv.org/abs/2002.05709",
    basis="paper",
)
class SimCLR(JointEmbedding):
    """Two views, one projector, NT-Xent. Gradients flow through both views.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``. The paper has hidden = dim = 2048, out
            = 128.
        temperature: of NT-Xent; the paper has 0.5 for CIFAR-10 and 0.1 for ImageNet.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        temperature: float = 0.5,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = NTXent(temperature)
