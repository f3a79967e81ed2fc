"""DIET: every sample is a class of its own."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.clustering import ClassCrossEntropy
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.registry import register


@register(
    "diet",
    kind="method",
    family="clustering",
    title="Occam's Razor for Self Supervised Learning: What is Sufficient to Learn Good Representations?",
    year=2024,
    url="https://arxiv.org/abs/2406.10743",
    basis="reading",
)
class DIET(Method):
    """One view, no projector: a linear classifier on the embedding tells which of the N samples it is of.

    The classifier has N x dim weights, which decay like all others; only the encoder is used afterwards. A sample is
    its own only positive and comes once an epoch, so that many epochs are needed.

    Args:
        encoder: gives ``[B, dim]``.
        smoothing: share of the target that is spread evenly over all samples; the paper has 0.8.
        temperature: where given, embedding and weights are scaled to unit length and their cosines divided by it; by
            default neither is, as in the paper.
        others: where given, only the batch's samples and this many others, drawn anew at each step, take part, so that
            the cost of a step does not grow with N.

    Raises:
        OptionError: for a temperature that is not positive, or a negative number of others.
    """

    recipe: ClassVar[str] = "single"
    classifier: nn.Linear

    def __init__(
        self,
        encoder: nn.Module,
        *,
        smoothing: float = 0.8,
        temperature: float | None = None,
        others: int | None = None,
    ) -> None:
        super().__init__(encoder)
        if temperature is not None and not temperature > 0:
            raise OptionError(f"temperature must be positive, not {temperature}")
        if others is not None and others < 0:
            raise OptionError(f"others must be a number of samples, at least 0, not {others}")
        self.temperature, self.others = temperature, others
        self.objective = ClassCrossEntropy(smoothing)

    def sized(self, count: int) -> None:
        self.classifier = nn.Linear(self.dim, count, bias=False)

    def loss(self, batch: Batch) -> Tensor:
        (embedding,) = self.encode(*batch["views"])
        weight, label = self.classifier.weight, batch["index"]
        if self.others is not None:
            classes, label = self._some(label, self.others)
            weight = weight[classes]
        if self.temperature is None:
            return self.objective(functional.linear(embedding, weight), label)
        cosine = functional.linear(functional.normalize(embedding, eps=1e-6), functional.normalize(weight, eps=1e-6))
        return self.objective(cosine / self.temperature, label)

    def _some(self, index: Tensor, others: int) -> tuple[Tensor, Tensor]:
        """Classes that take part, those of the batch (of all ranks) first, and each sample's place among them."""
        inside = ranks.gather(index).unique()
        order = Draws(device=index.device).permutation(self.classifier.out_features)
        outside = order[~torch.isin(order, inside)][:others]
        return torch.cat((inside, outside)), torch.searchsorted(inside, index)
