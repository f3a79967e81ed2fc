"""Objectives that push the features of a batch apart, without positives."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import Crossing, Objective, check_positive, full_precision
from tacit.objectives.blocks import first_of, in_blocks, leave_out_own
from tacit.parts import ranks
from tacit.parts.statistics import centre

Dispersion = Literal["l2", "cosine", "hinge", "covariance"]


class DispersiveLoss(Objective):
    """The repulsive half of a contrastive loss, on features of any shape.

    Each sample's features are flattened to D numbers, z_i. Over the N samples of all ranks, with t the temperature
    and delta_ij = |z_i - z_j|^2 / D,

        l2:          log 1/N^2 sum_ij exp(-delta_ij / t)
        cosine:      log 1/N^2 sum_ij exp(cos(z_i, z_j) / t)
        hinge:       1/(N (N-1)) sum_{i != j} max(0, margin - delta_ij)^2
        covariance:  sum_{d != e} Cov(z)_de^2

    Pairs of a sample with itself are counted in the first two, where they shift the value by a bound that does not
    depend on the features' directions. Gradients flow into both members of a pair.

    Shape: ``z`` ``[B, ...] -> []``. Memory O(B D); of ``covariance`` O(B^2 + B D).

    Source: Wang & He 2025, Diffuse and Disperse: Image Generation with Representation Regularization, table 1. There
    the statistics are those of one device's 16 to 32 samples; here they are those of the whole batch.

    Args:
        kind: which of the four.
        temperature: t > 0 of the first two; the paper has 0.5 (its PyTorch code 1).
        margin: of ``hinge``.

    Raises:
        ValueError: for fewer than two samples, features that are scalars, an unknown kind, or a temperature that is
            not positive.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, kind: Dispersion = "l2", temperature: float = 0.5, margin: float = 1.0) -> None:
        super().__init__()
        if kind not in ("l2", "cosine", "hinge", "covariance"):
            raise ValueError(f"kind must be l2, cosine, hinge or covariance, not {kind!r}")
        check_positive(temperature=temperature)
        self.kind = kind
        self.temperature = temperature
        self.margin = margin

    @full_precision
    def forward(self, z: Tensor) -> Tensor:
        samples = len(z) * ranks.world()[1] if z.ndim else 0
        if z.ndim < 2:
            raise ValueError(f"features must be of shape [batch, ...], not {tuple(z.shape)}")
        if samples < 2:
            raise ValueError(f"a batch must hold at least 2 samples to compare, not {samples}")
        # Distances and covariances do not change when all are shifted, and are more precise near the origin.
        z = functional.normalize(z.flatten(1), eps=1e-6) if self.kind == "cosine" else centre(z.flatten(1))
        everyone = ranks.gather(z)
        if self.kind == "covariance":
            return self._covariance(z, everyone)
        row = self._hinge if self.kind == "hinge" else self._repulsion
        first = first_of(len(z))
        rows = in_blocks(lambda part: row(z[part], everyone, first + part.start), len(z), samples, 1)
        if self.kind == "hinge":
            return rows.mean() / (samples - 1)
        return ranks.gather(rows).logsumexp(0) - 2 * math.log(samples)

    def _repulsion(self, rows: Tensor, everyone: Tensor, first: int) -> Tensor:
        score = rows @ everyone.T if self.kind == "cosine" else -_apart(rows, everyone)
        return (score / self.temperature).logsumexp(1)

    def _hinge(self, rows: Tensor, everyone: Tensor, first: int) -> Tensor:
        near = functional.relu(self.margin - _apart(rows, everyone)).square()
        return leave_out_own(near, first, value=0.0).sum(1)

    @staticmethod
    def _covariance(z: Tensor, everyone: Tensor) -> Tensor:
        # |Z^T Z|^2 = |Z Z^T|^2, and features may be far more than samples.
        scale = (len(everyone) - 1) ** 2
        variances = ranks.total(z.square().sum(0))
        return (ranks.total((z @ everyone.T).square().sum()) - variances.square().sum()) / scale


def _apart(rows: Tensor, everyone: Tensor) -> Tensor:
    """Squared distances divided by the width: ``[n, D], [N, D] -> [n, N]``."""
    square = rows.square().sum(1)[:, None] + everyone.square().sum(1)
    return (square - 2 * (rows @ everyone.T)).clamp_min(0) / rows.shape[1]
