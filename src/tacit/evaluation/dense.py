"""Probes of single tokens: frames, patches, points, voxels, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.errors import DataError
from tacit.evaluation.arrays import Rows, as_labels
from tacit.evaluation.probe import linear_probe


@dataclass(frozen=True)
class DenseProbe:
    """Outcome of a probe of tokens.

    Attributes:
        accuracy: share of the test tokens classified correctly.
        iou: intersection over union of each class, ``[C]``: true positives over all that are or were taken to be of the
            class; NaN for one that is neither.
        classes: their labels, sorted: ``[C]``.
        l2: the regularisation used.
    """

    accuracy: float
    iou: np.ndarray
    classes: np.ndarray
    l2: float

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur."""
        return float(np.nanmean(self.iou))


def dense_probe(
    train: Any, labels: Any, test: Any, test_labels: Any, *, ignore: int | None = -1, seed: int = 0
) -> DenseProbe:
    """A linear probe of tokens, each a sample of its own: :func:`linear_probe` and intersection over union.

    Train and test tokens must be of different samples; what lies in one picture or recording is not independent.

    Args:
        train: tokens ``[N, D]``, such as ``run.tokens(data).x``.
        labels: ``[N]``.
        test: ``[Q, D]``.
        test_labels: ``[Q]``.
        ignore: label of tokens that are left out; None for none.
        seed: of the part that chooses the regularisation.

    Raises:
        DataError: for empty or non-finite input, one class only, or sizes that do not match.
    """
    parts: list[tuple[Rows, np.ndarray]] = []
    for data, given, what in ((train, labels, "training tokens"), (test, test_labels, "test tokens")):
        rows = Rows.of(data, what)
        codes = as_labels(given, rows.n, f"labels of {what}")
        kept = np.ones(rows.n, bool) if ignore is None else codes != ignore
        if not kept.any():
            raise DataError(f"all {what} have the label {ignore}, which is left out")
        parts.append((rows if kept.all() else Rows(rows.take(np.flatnonzero(kept)), what), codes[kept]))
    (known, names), (asked, truth) = parts
    probe = linear_probe(known, names, asked, truth, seed=seed)
    classes = np.union1d(probe.classes, truth)
    there, taken = (values[:, None] == classes for values in (truth, probe.predictions))
    both, either = (there & taken).sum(0), (there | taken).sum(0)
    iou = np.where(either > 0, both / np.maximum(either, 1), np.nan)
    return DenseProbe(probe.accuracy, iou, classes, probe.l2)


def labels_at(labels: Tensor, sample: Tensor, position: Tensor) -> Tensor:
    """Labels of tokens from maps of labels, by the cell that the middle of a token lies in.

    Args:
        labels: one map a sample, ``[N, *grid]``: ``[N, T]``, ``[N, H, W]`` or ``[N, D, H, W]``.
        sample: which map each token belongs to, int64 ``[T]``.
        position: where it lies there, in [0, 1], one column an axis of the grid in its order: ``[T, k]``.

    Returns:
        ``[T]``, of the labels' dtype.

    Raises:
        DataError: if positions and grid have different numbers of axes, or a position lies outside [0, 1].
    """
    grid = labels.shape[1:]
    if position.ndim != 2 or position.shape[1] != len(grid) or len(position) != len(sample):
        raise DataError(
            f"maps of {len(grid)} axes need one position [{len(grid)}] a token, not {list(position.shape)} for "
            f"{len(sample)} tokens"
        )
    if len(position) and not bool(((position >= 0) & (position <= 1)).all()):
        raise DataError("positions of tokens must lie in [0, 1]")
    sides = torch.tensor(grid)
    cell = (position * sides).long().clamp(min=torch.zeros_like(sides), max=sides - 1)
    place = (sample, *cell.unbind(1))
    return labels[place]


__all__ = ["DenseProbe", "dense_probe", "labels_at"]
