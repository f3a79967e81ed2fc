"""Objectives on signals over time: how alike two of them are in sign and size."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, check_positive, full_precision

EPS = 1e-6
"""Added to overlap and sum alike, so that two silent signals are alike."""


class SignalDice(Objective):
    """One minus the signal Dice similarity coefficient (SDSC): only what has the same sign overlaps.

        gate = sigmoid(a e_t r_t)   (soft),   or 1 where e_t r_t > 0 and else 0   (hard)
        SDSC = ( 2 sum_t gate min(|e_t|, |r_t|) + eps ) / ( sum_t (|e_t| + |r_t|) + eps )
        loss = 1 - mean over sequences of SDSC

    e is the target and r what was restored; time is the last axis. The hard gate has no gradient of its own. A soft one
    is half open for small products, so that SDSC of weak signals comes out too small: ``scaled`` divides a by the
    root mean squares of both sequences, taken as constants.

    Shape: ``prediction``, ``target`` ``[..., T] -> []``, in [0, 1]. Where some steps are not real, ``known`` (bool, of
        one shape with them or broadcast to it) says which are; a sequence without any counts as alike.

    Source: SDSC: A Structure-Aware Metric for Semantic Signal Representation Learning, 2025 (arXiv 2507.14516), in the
    last form of the official code: eps on both sides, no gate at zero, a mean over sequences.

    Args:
        alpha: a > 0. The paper's sweep recommends 10.
        gate: ``soft`` to train, ``hard`` to measure.
        scaled: see above.

    Raises:
        ValueError: for an unknown gate, an a that is not positive, unequal shapes, or whole numbers.
    """

    crosses: ClassVar[Crossing] = "local"

    def __init__(self, alpha: float = 10.0, gate: Literal["soft", "hard"] = "soft", scaled: bool = False) -> None:
        super().__init__()
        check_positive(alpha=alpha)
        if gate not in ("soft", "hard"):
            raise ValueError(f"gate must be soft or hard, not '{gate}'")
        self.alpha, self.gate, self.scaled = alpha, gate, scaled

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        r, e = pair(prediction, target, known)
        product = e * r
        if self.gate == "hard":
            gate = (product.detach() > 0).to(e.dtype)
        else:
            steepness: float | Tensor = self.alpha
            if self.scaled:
                count = e.shape[-1] if known is None else known.expand_as(e).sum(-1, keepdim=True).clamp_min(1)
                power = [(s.detach().square().sum(-1, keepdim=True) / count).sqrt() for s in (e, r)]
                steepness = self.alpha / (power[0] * power[1]).clamp_min(EPS)
            gate = torch.sigmoid(steepness * product)
        overlap = (gate * torch.minimum(e.abs(), r.abs())).sum(-1)
        return 1 - ((2 * overlap + EPS) / ((e.abs() + r.abs()).sum(-1) + EPS)).mean()


class NegativePearson(Objective):
    """One minus the correlation over time, averaged over sequences.

    Shape: as :class:`SignalDice`; in [0, 2]. A constant sequence counts as uncorrelated.

    Raises:
        ValueError: for unequal shapes or whole numbers.
    """

    crosses: ClassVar[Crossing] = "local"

    @full_precision
    def forward(self, prediction: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        r, e = (centred(s, known) for s in pair(prediction, target, known))
        scale = ((e.square().sum(-1) + EPS) * (r.square().sum(-1) + EPS)).sqrt()
        return 1 - ((e * r).sum(-1) / scale).mean()


def pair(prediction: Tensor, target: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """Both signals, zero where nothing is known.

    Raises:
        ValueError: for unequal shapes or whole numbers.
    """
    if prediction.shape != target.shape or prediction.ndim < 1:
        raise ValueError(
            "prediction and target must have one shape [..., time], not "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    if not prediction.is_floating_point() or not target.is_floating_point():
        raise ValueError(f"signals must be floating numbers, not {prediction.dtype} and {target.dtype}")
    if known is None:
        return prediction, target
    if known.dtype != torch.bool:
        raise ValueError(f"known must be bool, not {known.dtype}")
    return prediction.masked_fill(~known, 0), target.masked_fill(~known, 0)


def centred(signal: Tensor, known: Tensor | None) -> Tensor:
    """The signal without its mean over the known steps, zero elsewhere."""
    if known is None:
        return signal - signal.mean(-1, keepdim=True)
    count = known.expand_as(signal).sum(-1, keepdim=True).clamp_min(1)
    mean = signal.masked_fill(~known, 0).sum(-1, keepdim=True) / count
    return (signal - mean).masked_fill(~known, 0)
