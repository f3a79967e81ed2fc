"""UniSiam: mutual information of views as alignment and uniformity apart, for few-shot learning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding
from tacit.objectives.infomax import InfoMax
from tacit.objectives.predictive import NegativeCosine
from tacit.parts.heads import Norm, mlp
from tacit.registry import register
from tacit.views.base import View


@register(
    "unisiam",
    kind="method",
    family="predictive",
    title="Self-Supervision Can Be a Good Few-Shot Learner",
    year=2022,
    url="https://arxiv.org/abs/2207.09176",
    basis="code",
)
class UniSiam(JointEmbedding):
    """A predictor meets the other view's stopped projection, while all projections spread over the sphere.

    With ``weight=0`` it is SimSiam. What it learns is tested by :func:`tacit.evaluation.few_shot.few_shot`. The
    paper's views also draw from RandAugment and flip upside down.

    Args:
        encoder: gives ``[B, dim]``.
        hidden: width of the projector ``dim -> hidden -> hidden -> hidden``, whose output is normalised, and of the
            predictor ``hidden -> hidden / 4 -> hidden``; 0: ``dim``, as the paper has it.
        weight: of uniformity.
        temperature: of uniformity; the high 2 makes the estimate's bias low.
        norm: normalisation in projector and predictor.
    """

    objective: InfoMax

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 0,
        weight: float = 0.1,
        temperature: float = 2.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        width = hidden or self.dim
        self.projector = mlp([self.dim, width, width, width], norm, last_norm=True)
        self.predictor = mlp([width, max(1, width // 4), width], norm)
        self.objective = InfoMax(weight, temperature)
        self.teacher: nn.Module | None = None

    def distil(self, teacher: nn.Module, out: int, hidden: int = 2048, norm: Norm = "batch") -> None:
        """Learn from a large network's projections too, as half of the loss; call it in ``__init__`` of a subclass.

        A head ``dim -> hidden -> hidden -> hidden -> hidden / 4 -> out`` on the embedding predicts them by cosine.

        Args:
            teacher: gives projections ``[B, out]`` of a view's ``x``; it is frozen and in evaluation mode for good.
            out: their width; the paper has 2048.
            hidden: width of the head.
            norm: normalisation in the head.

        Raises:
            OptionError: if there is a teacher already.
        """
        if self.teacher is not None:
            raise OptionError("unisiam has a teacher already")
        self.teacher = teacher.requires_grad_(False).eval()
        self.distiller = mlp([self.dim, hidden, hidden, hidden, max(1, hidden // 4), out], norm)
        self.cosine = NegativeCosine()

    def train(self, mode: bool = True) -> UniSiam:
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        views: tuple[View, ...] = tuple(batch["views"])
        embeddings = self.encode(*views)
        z1, z2 = self.projector(torch.cat(embeddings)).chunk(2)
        p1, p2 = self.predictor(torch.cat((z1, z2))).chunk(2)
        terms: dict[str, Tensor] = self.objective.terms(p1, p2, z1, z2)
        if self.teacher is None:
            return terms
        with torch.no_grad():
            target = torch.cat(self._through(views, self.teacher))
        distillation = self.cosine(self.distiller(torch.cat(embeddings)), target) / 2
        return {name: value / 2 for name, value in terms.items()} | {"distillation": distillation / 2}
