"""How good predicted boxes are: average precision as PASCAL VOC and as COCO count it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tacit.errors import DataError
from tacit.evaluation.svm import precision_curve

Boxes = Sequence[Any] | np.ndarray
OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Intersections over union that COCO takes the mean over: 0.5, 0.55, ..., 0.95."""
FIGURES = ("ap_50", "ap_50_voc07", "ap_coco")
CHUNK = 2**20
"""Most pairs of predicted and true boxes that are compared together."""


def detection_figures(predicted: Boxes, truth: Boxes) -> dict[str, Any]:
    """Average precision of boxes that were found in images.

    Boxes have continuous corners x0 < x1, y0 < y1 in any unit. Predicted ones are taken from the highest score on.

    As VOC counts, one is right if its intersection over union with the box of its class that it overlaps most is at
    least 0.5 and nothing before it found that box; a second one on the same box is wrong. As COCO counts, it is given
    the box that it overlaps most among those that are still free, and figures are means over the ten limits of
    :data:`OVERLAPS`. What falls on a difficult box is neither right nor wrong, and a difficult box need not be found.
    Equal scores share the last of their ranks. However many boxes are predicted, all are taken.

    Args:
        predicted: of each of the N images an array ``[n, 6]`` of class, x0, y0, x1, y1, score; or ``[N, K, 6]`` with
            empty places of class -1.
        truth: likewise class, x0, y0, x1, y1, and 1 in a sixth column, if there is one, for a difficult box.

    Returns:
        ``map_50``: area under the envelope of precision over recall (VOC from 2010 on: all points); ``map_50_voc07``:
        mean of that envelope at the recalls 0, 0.1, ..., 1 (VOC until 2009); ``map_coco``: at 101 recalls, mean over
        the limits. All are means over the classes with a true box that is not difficult. ``classes``, {class: {ap_50,
        ap_50_voc07, ap_coco, boxes}}, with the number of such boxes.

    Raises:
        DataError: for arrays of other shapes, of different numbers of images, with boxes turned inside out or numbers
            that are not finite, or where no box counts.
    """
    guess, real = _padded(predicted, "predicted"), _padded(truth, "true")
    if len(guess) != len(real):
        raise DataError(f"there are predicted boxes of {len(guess)} images, and true ones of {len(real)}")
    counts = (real[..., 0] >= 0) & (real[..., 5] == 0)
    classes, boxes = np.unique(real[..., 0][counts], return_counts=True)
    if not len(classes):
        raise DataError("no image has a true box that is not difficult")
    score = np.where(guess[..., 0] >= 0, guess[..., 5], -np.inf)
    order = np.argsort(-score, axis=1, kind="stable")
    guess = np.take_along_axis(guess, order[..., None], 1)
    step = max(1, CHUNK // max(1, guess.shape[1] * real.shape[1]))
    parts = [_outcomes(guess[i : i + step], real[i : i + step]) for i in range(0, len(guess), step)]
    outcome = np.concatenate(parts, 1) if parts else np.empty((1 + len(OVERLAPS), *guess.shape[:2]), np.int8)
    rows = {
        int(label): _of_class(guess[mine := guess[..., 0] == label][:, 5], outcome[:, mine], int(count))
        for label, count in zip(classes, boxes, strict=True)
    }
    means = {f"m{name}": float(np.mean([row[name] for row in rows.values()])) for name in FIGURES}
    return means | {"classes": rows}


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x0, y0, x1, y1, ``[..., D, 4]`` and ``[..., G, 4]``: ``[..., D, G]``; 0 for two
    without area."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    sides = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(min=0)
    shared = sides.prod(-1)
    area = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b)]
    either = area[0] + area[1] - shared
    return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)


def _padded(images: Boxes, what: str) -> np.ndarray:
    """Boxes of all images, float64 ``[N, K, 6]``, empty places of class -1."""
    rows = []
    for place, image in enumerate(images):
        row = np.asarray(image, dtype=np.float64)
        row = row.reshape(0, 6) if not row.size else row
        widths = (6,) if what == "predicted" else (5, 6)
        if row.ndim != 2 or row.shape[1] not in widths:
            wanted = " or ".join(f"[n, {width}]" for width in widths)
            raise DataError(f"{what} boxes of image {place} must be {wanted}, not {list(row.shape)}")
        row = row[~(row[:, 0] < 0)]
        if not np.isfinite(row).all() or (row[:, 0] != row[:, 0].round()).any():
            raise DataError(f"{what} boxes of image {place} must be finite numbers, and their classes whole ones")
        if (row[:, 1:3] > row[:, 3:5]).any() or (what == "true" and (row[:, 1:3] == row[:, 3:5]).any()):
            raise DataError(f"{what} boxes of image {place} must have x0 < x1 and y0 < y1")
        rows.append(row)
    found = np.full((len(rows), max(map(len, rows), default=0), 6), -1.0)
    for place, row in enumerate(rows):
        found[place, : len(row), : row.shape[1]] = row
        found[place, : len(row), row.shape[1] :] = 0
    return found


def _outcomes(guess: np.ndarray, real: np.ndarray) -> np.ndarray:
    """What becomes of each predicted box, sorted by score in its image: 1 right, 0 wrong, -1 neither. int8
    ``[1 + limits, n, D]``: by VOC's rule, then by COCO's at each limit."""
    n, most, boxes = len(guess), guess.shape[1], real.shape[1]
    found = np.zeros((1 + len(OVERLAPS), n, most), np.int8)
    if not boxes or not most:
        return found
    same = (guess[:, :, None, 0] == real[:, None, :, 0]) & (real[:, None, :, 0] >= 0)
    share = np.where(same, overlaps(guess[..., 1:5], real[..., 1:5]), -1.0)
    hard = real[..., 5] != 0
    met, best = share.max(2) >= OVERLAPS[0], share.argmax(2)
    spared = met & np.take_along_axis(hard, best, 1)
    claims = (best[..., None] == np.arange(boxes)) & (met & ~spared)[..., None]
    first = claims & (claims.cumsum(1) == 1)
    found[0] = np.where(spared, -1, first.any(2))
    limits, free = np.array(OVERLAPS)[:, None, None], np.broadcast_to(~hard, (len(OVERLAPS), n, boxes)).copy()
    for place in range(most):  # in order of score, all images and limits together
        near = share[:, place] >= limits
        open_ = near & free
        taken = np.where(open_, share[:, place], -1.0).argmax(2)
        right = open_.any(2)
        found[1:, :, place] = np.where(right, 1, -(near & hard).any(2).astype(np.int8))
        free &= ~((np.arange(boxes) == taken[..., None]) & right[..., None])
    return found


def _of_class(score: np.ndarray, outcome: np.ndarray, boxes: int) -> dict[str, float]:
    """Figures of one class with so many true boxes, from scores ``[n]`` and outcomes ``[1 + limits, n]``."""
    curves = [_envelope(score, row) for row in outcome]
    right, precision = curves[0]
    area = float((np.diff(right, prepend=0) * precision).sum() / boxes)
    coco = float(np.mean([_sampled(*curve, boxes, 100) for curve in curves[1:]]))
    return {"ap_50": area, "ap_50_voc07": _sampled(right, precision, boxes, 10), "ap_coco": coco, "boxes": boxes}


def _envelope(score: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right ones so far, and the best precision there or later, at each score that occurs."""
    known = outcome >= 0
    if not known.any():
        return np.zeros(0, np.int64), np.zeros(0)
    right, precision = precision_curve(score[known], outcome[known] == 1)
    return right, np.maximum.accumulate(precision[::-1])[::-1]


def _sampled(right: np.ndarray, precision: np.ndarray, boxes: int, steps: int) -> float:
    """Mean of the envelope at the recalls 0, 1 / steps, ..., 1, which are compared as whole numbers."""
    place = np.searchsorted(right * steps, np.arange(steps + 1) * boxes)
    return float(np.append(precision, 0.0)[place].mean())


__all__ = ["FIGURES", "OVERLAPS", "detection_figures", "overlaps"]
