"""Mixtures of samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.views.base import View


@dataclass(frozen=True)
class Mixture:
    """How a batch is mixed with itself: one weight and one permutation, the same on all ranks.

    Attributes:
        weight: share of the sample itself, in [0, 1): ``[]``.
        partner: which sample of all ranks each is mixed with, int64 ``[R*B]``.
    """

    weight: Tensor
    partner: Tensor

    @classmethod
    def draw(cls, batch: int, draws: Draws) -> Mixture:
        """A uniform weight, that is Beta(1, 1), and a random permutation for ``batch`` samples a rank.

        Source: Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization, section 2, with alpha = 1.
        """
        return cls(draws.shared(1)[0], draws.permutation(batch * ranks.world()[1]))

    def of(self, first: Tensor, second: Tensor) -> Tensor:
        """``weight * first + (1 - weight) * second[partner]``, this rank's rows: ``[B, ...] -> [B, ...]``."""
        others = ranks.gather(second)[ranks.local(self.partner)]
        return torch.lerp(others, first, self.weight.to(first.dtype))

    def view(self, first: View, second: View) -> View:
        """The mixture of two views of one shape; a mixture is as long as the longer of the two samples."""
        mixed: View = {"x": self.of(first["x"], second["x"])}
        if "length" in first:
            others = ranks.gather(second["length"])[ranks.local(self.partner)]
            mixed["length"] = torch.maximum(first["length"], others)
        return mixed
