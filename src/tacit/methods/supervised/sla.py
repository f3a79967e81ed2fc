"""SLA: the label and what was done to the image, predicted together."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.methods.base import Adaptation, embed
from tacit.objectives.labels import Distillation, JointLabels, Labels, aggregated, single
from tacit.registry import register
from tacit.views.base import View
from tacit.views.groups import Group, changes


@register(
    "sla",
    kind="adaptation",
    family="supervised",
    modalities=("image",),
    title="Self-supervised Label Augmentation via Input Transformations",
    year=2020,
    url="https://arxiv.org/abs/1910.05872",
    basis="code",
)
class SLA(Adaptation):
    """Classes are pairs of label and transformation; the scores of all transformed copies are aggregated, and a second
    head learns to give the aggregate from one copy.

    All copies of a batch are made from one random crop and go through the encoder in one call, M times the work of
    plain training. What predicts: ``distilled`` is the second head, on the image as it is; ``aggregated`` takes the
    mean score over all copies; ``single`` the joint head's score of the image as it is; ``ensemble`` the mean over
    copies of a head without joint labels.

    Args:
        encoder: gives ``[B, dim]``.
        transformations: the group: quarter turns (``rotation``, 4) or half turns (``rotation2``), orders of the
            colours (``colour``, 6, or the cyclic ``colour3``), or a product of both.
        mode: ``distilled``, the whole method; ``joint`` without the second head; and what the paper compares with:
            ``multi-task`` (label and transformation by two heads), ``augment`` (the label from every copy) and
            ``plain`` (no copies).
        temperature: of the distillation; the paper has 1.
        large_loss: sum the loss over the copies in place of their mean; the authors do so for many classes.
    """

    recipe: ClassVar[str] = "crop"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        transformations: Group = "rotation",
        mode: Literal["distilled", "joint", "multi-task", "augment", "plain"] = "distilled",
        temperature: float = 1.0,
        large_loss: bool = False,
    ) -> None:
        super().__init__(encoder)
        self.changes = changes(transformations)
        self.mode = mode
        self.objective = JointLabels(large_loss)
        self.labels = Labels()
        self.distil = Distillation(temperature)

    def labelled(self, classes: int) -> None:
        super().labelled(classes)
        count = len(self.changes)
        if self.mode in ("distilled", "joint"):
            self.joint = nn.Linear(self.dim, classes * count)
        if self.mode != "joint":
            self.label = nn.Linear(self.dim, classes)
        if self.mode == "multi-task":
            self.transformation = nn.Linear(self.dim, count)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        (view,), y = batch["views"], batch["y"]
        h = self._copies(view, 1 if self.mode == "plain" else len(self.changes))
        count = len(h)
        if self.mode in ("plain", "augment", "multi-task"):
            terms = {"label": self.labels(self.label(h), y.expand(count, -1))}
            if self.mode == "multi-task":
                made = torch.arange(count, device=y.device)[:, None].expand(-1, len(y))
                terms["transformation"] = self.labels(self.transformation(h), made)
            return terms
        joint = self.joint(h)
        terms = {"joint": self.objective(joint, y)}
        if self.mode == "distilled":
            scores = self.label(h[0])
            terms["label"] = self.labels(scores, y)
            terms["distillation"] = self.distil(scores, aggregated(joint))
        return terms

    def predict(self, view: View) -> dict[str, Tensor]:
        h = self._copies(view, len(self.changes))
        ways: dict[str, Tensor] = {}
        if self.mode == "distilled":
            ways["distilled"] = self.label(h[0])
        if self.mode in ("distilled", "joint"):
            joint = self.joint(h)
            ways |= {"aggregated": aggregated(joint), "single": single(joint[0], 0, len(h))}
        else:
            scores = self.label(h)
            ways |= {"single": scores[0], "ensemble": scores.mean(0)}
        return ways

    def _copies(self, view: View, count: int) -> Tensor:
        """Embeddings of the first transformed copies, ``[count, B, dim]``, the view itself first."""
        x = torch.cat([change(view["x"]) for change in self.changes[:count]])
        return embed(self.encoder, {"x": x}).unflatten(0, (count, -1))
