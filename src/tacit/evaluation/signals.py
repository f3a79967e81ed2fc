"""How well signals over time are restored."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import DataError
from tacit.registry import register

EPS = 1e-6


@register(
    "signal-dice",
    kind="metric",
    family="restoration",
    modalities=("series", "audio"),
    title="SDSC: A Structure-Aware Metric for Semantic Signal Representation Learning",
    year=2025,
    url="https://arxiv.org/abs/2507.14516",
)
def signal_dice(target: Any, restored: Any, *, axis: int) -> float:
    """Signal Dice similarity coefficient, averaged over sequences: twice what overlaps with the same sign, as a share
    of both signals' size. 1: equal; 0: nowhere of one sign.

    It knows no offset: signals must swing around zero.

    Args:
        target, restored: arrays of one shape of floating numbers, numpy or torch.
        axis: that of time; it must be named, since with another one the value means something else.

    Raises:
        DataError: for unequal shapes, whole numbers, or values that are not finite.

    Warns:
        UserWarning: if the target lies farther from zero than it swings, so that its sign says little.
    """
    e, r = _signals(target, restored, axis)
    if abs(e.mean()) > e.std() > 0:
        warnings.warn(
            f"the target has mean {e.mean():.3g} and standard deviation {e.std():.3g}; take the mean off, or its sign "
            "says little",
            stacklevel=2,
        )
    overlap = np.where(e * r > 0, np.minimum(abs(e), abs(r)), 0).sum(1)
    return float(((2 * overlap + EPS) / ((abs(e) + abs(r)).sum(1) + EPS)).mean())


def pearson(target: Any, restored: Any, *, axis: int) -> float:
    """Correlation along ``axis``, averaged over sequences; a constant one counts as 0. See :func:`signal_dice`."""
    e, r = (s - s.mean(1, keepdims=True) for s in _signals(target, restored, axis))
    scale = np.sqrt((e * e).sum(1) * (r * r).sum(1))
    return float(np.where(scale > 0, (e * r).sum(1) / np.where(scale > 0, scale, 1), 0).mean())


def si_snr(target: Any, restored: Any, *, axis: int) -> float:
    """Signal-to-noise ratio in decibels whatever the scale, averaged over sequences.

    Both signals lose their mean; what of the restored one lies along the target is signal, the rest noise.

    Source: Le Roux et al. 2019, SDR - half-baked or well done?, eq. 5. Arguments and errors: see :func:`signal_dice`.
    """
    e, r = (s - s.mean(1, keepdims=True) for s in _signals(target, restored, axis))
    along = ((e * r).sum(1, keepdims=True) / np.maximum((e * e).sum(1, keepdims=True), EPS)) * e
    ratio = ((along**2).sum(1) + EPS) / (((r - along) ** 2).sum(1) + EPS)
    return float(10 * np.log10(ratio).mean())


def _signals(target: Any, restored: Any, axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as ``[sequences, time]``."""
    arrays = [_array(signal) for signal in (target, restored)]
    for name, array in zip(("target", "restored"), arrays, strict=True):
        if not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"{name} must hold floating numbers, not {array.dtype}")
        if not np.isfinite(array).all():
            raise DataError(f"{name} has values that are NaN or infinite")
    if arrays[0].shape != arrays[1].shape or not arrays[0].size:
        shapes = " and ".join(str(list(array.shape)) for array in arrays)
        raise DataError(f"target and restored must have one shape with something in it, not {shapes}")
    if not -arrays[0].ndim <= axis < arrays[0].ndim:
        raise DataError(f"axis {axis} is not one of the {arrays[0].ndim} of the signals")
    flat = [np.moveaxis(array.astype(np.float64), axis, -1).reshape(-1, array.shape[axis]) for array in arrays]
    return flat[0], flat[1]


def _array(signal: Any) -> NDArray[Any]:
    if not isinstance(signal, torch.Tensor):
        return np.asarray(signal)
    signal = signal.detach().cpu()
    return (signal.float() if signal.dtype == torch.bfloat16 else signal).numpy()


__all__ = ["pearson", "si_snr", "signal_dice"]
