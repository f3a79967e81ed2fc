"""Objectives that ask which unit of a known set a token is: a cluster, or a patch among those of its own sample."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.objectives.base import Crossing, Objective, check_positive, full_precision
from tacit.parts import ranks


class HiddenUnits(Objective):
    """Cross-entropy of clusters at hidden tokens, and, with less weight, at those that are seen.

        loss = (a sum_{t hidden} CE_t + (1 - a) sum_{t seen} CE_t) / (a |hidden| + (1 - a) |seen|)
        CE_t = -log softmax_c(cos(o_t, e_c) / temperature) at c = label_t

    Shape: ``projection`` ``[B, N, D]``; ``codes`` ``[K, D]``; ``labels`` int64 ``[B, N]``; ``hidden`` bool ``[B, N]``;
        ``valid`` bool ``[B, N]`` or None ``-> []``. Zero where nothing counts.

    Source: Hsu et al. 2021, HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden
    Units, sections II-B and II-D; the denominator makes it a mean.

    Args:
        alpha: a, in [0, 1].
        temperature: above 0.

    Raises:
        ValueError: for a parameter out of range, or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, alpha: float = 1.0, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
        self.alpha, self.temperature = alpha, temperature

    @full_precision
    def forward(
        self, projection: Tensor, codes: Tensor, labels: Tensor, hidden: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        if (
            labels.shape != projection.shape[:2]
            or hidden.shape != labels.shape
            or projection.shape[2] != codes.shape[1]
        ):
            raise ValueError(
                f"projection [B, N, D], codes [K, D], labels and hidden [B, N] do not fit: {list(projection.shape)}, "
                f"{list(codes.shape)}, {list(labels.shape)} and {list(hidden.shape)}"
            )
        scores = F.normalize(projection, dim=2) @ F.normalize(codes, dim=1).T / self.temperature
        error = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        weight = torch.where(hidden, error.new_tensor(self.alpha), error.new_tensor(1 - self.alpha))
        if valid is not None:
            weight = weight * valid
        # The value is averaged over ranks, so each divides by the mean weight per rank.
        total = ranks.total(weight.sum()) / ranks.world()[1]
        return (weight * error).sum() / total.clamp_min(1e-6)


class PatchMatching(Objective):
    """InfoNCE among the hidden patches of one sample: which of them is it that a prediction is of?

        S_ij = <x_i, c_j>,   loss = -mean_i log softmax_j(S_ij)_i

    with patches x and predictions c, neither normalised nor divided by a temperature. A sample whose hidden patches are
    all alike (silence) has nothing to tell apart and does not count, nor does one with fewer than two.

    Shape: ``prediction``, ``target`` ``[B, K, P]``; ``real`` bool ``[B, K]`` or None: which there are
        ``-> []``. Zero where no sample counts.

    Source: Gong et al. 2022, SSAST: Self-Supervised Audio Spectrogram Transformer, equation 1.

    Args:
        axis: over what the softmax runs: ``targets`` as in the paper, for each prediction, or ``predictions`` as in the
            authors' code, for each target.

    Raises:
        ValueError: for shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, axis: Literal["targets", "predictions"] = "targets") -> None:
        super().__init__()
        if axis not in ("targets", "predictions"):
            raise ValueError(f"axis must be targets or predictions, not '{axis}'")
        self.axis = axis

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor, real: Tensor | None = None) -> Tensor:
        scores, counted = self._scores(prediction, target, real)
        own = torch.diagonal(scores.log_softmax(2), dim1=1, dim2=2)
        # The value is averaged over ranks, so each divides by the mean number of patches per rank.
        total = ranks.total(counted.sum()).clamp_min(1) / ranks.world()[1]
        return -torch.where(counted, own, 0).sum() / total

    @torch.no_grad()
    def accuracy(self, prediction: Tensor, target: Tensor, real: Tensor | None = None) -> Tensor:
        """Share of the hidden patches that are picked among those of their sample."""
        scores, counted = self._scores(prediction.float(), target.float(), real)
        right = scores.argmax(2) == torch.arange(scores.shape[1], device=scores.device)
        return (right & counted).sum() / counted.sum().clamp_min(1)

    def _scores(self, prediction: Tensor, target: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
        if prediction.shape != target.shape or prediction.ndim != 3:
            raise ValueError(
                "prediction and target must have one shape [batch, patches, numbers], not "
                f"{list(prediction.shape)} and {list(target.shape)}"
            )
        if real is None:
            real = torch.ones(target.shape[:2], dtype=torch.bool, device=target.device)
        number = real.sum(1, keepdim=True)
        mean = (target * real[..., None]).sum(1, keepdim=True) / number.clamp_min(1)[..., None]
        apart = ((target - mean).square().mean(2) * real).sum(1, keepdim=True) / number.clamp_min(1)
        scores = prediction @ target.transpose(1, 2)
        if self.axis == "predictions":
            scores = scores.transpose(1, 2)
        # rows of what is not real keep their own score, so that no softmax is over nothing
        itself = torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(~(real[:, None] | itself), -torch.inf)
        return scores, real & (apart > 1e-6) & (number > 1)


class ChosenError(Objective):
    """Mean error over chosen numbers of a target, absolute or squared.

        loss = 1/|M| sum_{m in M} |prediction_m - target_m|^power

    Shape: ``prediction``, ``target`` ``[B, N, P]``, ``chosen`` bool ``[B, N, P]`` ``-> []``. Zero where none is chosen.

    Source: Liu et al. 2021, TERA: Self-Supervised Learning of Transformer Encoder Representation for Speech, section
    III, with power 1.

    Args:
        power: 1 or 2.

    Raises:
        ValueError: for another power, or shapes that do not fit.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, power: int = 1) -> None:
        super().__init__()
        if power not in (1, 2):
            raise ValueError(f"power must be 1 or 2, not {power}")
        self.power = power

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor, chosen: Tensor) -> Tensor:
        if prediction.shape != target.shape or chosen.shape != target.shape or chosen.dtype != torch.bool:
            raise ValueError(
                "prediction, target and bool chosen must have one shape, not "
                f"{list(prediction.shape)}, {list(target.shape)} and {list(chosen.shape)}"
            )
        off = prediction - target
        error = off.abs() if self.power == 1 else off.square()
        total = ranks.total(chosen.sum()).clamp_min(1) / ranks.world()[1]
        return torch.where(chosen, error, 0).sum() / total
