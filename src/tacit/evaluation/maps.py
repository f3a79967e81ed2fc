"""How good predicted maps are: classes, depth and surface normals of each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tacit.errors import DataError

ANGLES = (11.25, 22.5, 30.0)
"""Degrees within which a normal is right."""


def class_figures(predicted: Any, truth: Any, ignore: int = -1) -> dict[str, float]:
    """Of maps of classes, whole numbers ``[N, H, W]``: ``accuracy``, the share of pixels that are right, and ``iou``,
    the mean over the classes that occur of intersection over union.

    Args:
        ignore: a true class whose pixels are left out.

    Raises:
        DataError: for maps of different shapes, or without a pixel.
    """
    guess, real = _pair(predicted, truth)
    known = real != ignore
    if not known.any():
        raise DataError("no pixel of the maps has a true class")
    guess, real = guess[known], real[known]
    classes, codes = np.unique(np.concatenate([guess, real]), return_inverse=True)
    guess, real = codes[: len(guess)], codes[len(guess) :]
    both = np.bincount(real[guess == real], minlength=len(classes))
    either = np.bincount(real, minlength=len(classes)) + np.bincount(guess, minlength=len(classes)) - both
    return {"accuracy": float((guess == real).mean()), "iou": float((both / either).mean())}


def depth_figures(predicted: Any, truth: Any) -> dict[str, float]:
    """Of maps of depth, ``[N, H, W]``: ``within_1.25`` and ``within_1.1``, the share of pixels where the larger of
    prediction and truth is less than so many times the smaller; ``rmse``; ``error``, the mean absolute one.

    Pixels whose true depth is not above 0 were not measured and do not count; a prediction that is not above 0 is
    wrong.

    Raises:
        DataError: for maps of different shapes, without a measured pixel, or predictions that are not finite.
    """
    guess, real = (values.astype(np.float64) for values in _pair(predicted, truth))
    known = real > 0
    if not known.any():
        raise DataError("no pixel of the maps has a true depth above 0")
    guess, real = guess[known], real[known]
    if not np.isfinite(guess).all():
        raise DataError("predicted depths must be finite, but some are NaN or infinite")
    low, high = np.minimum(guess, real), np.maximum(guess, real)
    off = guess - real
    return {
        "within_1.25": float((high < 1.25 * low).mean()),
        "within_1.1": float((high < 1.1 * low).mean()),
        "rmse": float(np.sqrt((off**2).mean())),
        "error": float(np.abs(off).mean()),
    }


def normal_figures(predicted: Any, truth: Any) -> dict[str, float]:
    """Of maps of normals, ``[N, 3, H, W]`` of any length: ``mean`` and ``median`` angle to the true ones in degrees,
    and ``within_11.25``, ``within_22.5`` and ``within_30``, the share of pixels within so many degrees.

    Pixels whose true normal is zero were not measured and do not count; a prediction of length zero is off by 90
    degrees.

    Raises:
        DataError: for maps of different shapes or without three components, without a measured pixel, or predictions
            that are not finite.
    """
    guess, real = (np.asarray(values, dtype=np.float64) for values in (predicted, truth))
    if guess.shape != real.shape or guess.ndim != 4 or guess.shape[1] != 3:
        raise DataError(f"maps of normals are [N, 3, H, W], not {list(guess.shape)} and {list(real.shape)}")
    if not np.isfinite(guess).all():
        raise DataError("predicted normals must be finite, but some are NaN or infinite")
    lengths = [np.linalg.norm(values, axis=1) for values in (guess, real)]
    known = lengths[1] > 0
    if not known.any():
        raise DataError("no pixel of the maps has a true normal")
    product = (guess * real).sum(1)[known]
    length = (lengths[0] * lengths[1])[known]
    cosine = np.divide(product, length, out=np.zeros_like(product), where=length > 0)
    angle = np.degrees(np.arccos(cosine.clip(-1, 1)))
    shares = {f"within_{limit:g}": float((angle < limit).mean()) for limit in ANGLES}
    return {"mean": float(angle.mean()), "median": float(np.median(angle)), **shares}


def _pair(predicted: Any, truth: Any) -> tuple[np.ndarray, np.ndarray]:
    guess, real = np.asarray(predicted), np.asarray(truth)
    if guess.shape != real.shape:
        raise DataError(f"predicted and true maps must have one shape, not {list(guess.shape)} and {list(real.shape)}")
    return guess.ravel(), real.ravel()


__all__ = ["class_figures", "depth_figures", "normal_figures"]
