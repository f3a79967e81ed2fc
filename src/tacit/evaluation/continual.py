"""How much a sequence of tasks taught, and how much of the earlier ones was lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tacit.errors import DataError


@dataclass(frozen=True)
class Continual:
    """Result of :func:`average_accuracy_and_forgetting`.

    Attributes:
        average: accuracy after the last task, mean over tasks.
        forgetting: of every task but the last, ``[T-1]``: the best accuracy it had before the last task was
            learned, less the accuracy after it. Negative where later tasks helped.
    """

    average: float
    forgetting: NDArray[np.float64]

    @property
    def mean_forgetting(self) -> float:
        """Mean of :attr:`forgetting`; 0 for a single task."""
        return float(self.forgetting.mean()) if len(self.forgetting) else 0.0


def average_accuracy_and_forgetting(matrix: ArrayLike) -> Continual:
    """Average accuracy ``mean_i a[T, i]`` and forgetting ``max_{t<T} a[t, i] - a[T, i]`` (arXiv:2503.02844).

    Args:
        matrix: ``[T, T]``; ``a[t, i]`` is the accuracy on task i after learning task t. NaN where it was not
            measured: allowed above the diagonal only.

    Raises:
        DataError: for another shape, or a NaN on or below the diagonal.
    """
    a = np.asarray(matrix, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not len(a):
        raise DataError(f"accuracies must be a square matrix, tasks learned by tasks tested, not {list(a.shape)}")
    missing = np.argwhere(np.isnan(a) & (np.tri(len(a)) > 0))
    if len(missing):
        after, task = missing[0]
        raise DataError(f"the accuracy on task {task} after learning task {after} is missing")
    best = np.nanmax(a[:-1, :-1], axis=0) if len(a) > 1 else np.empty(0)
    return Continual(float(a[-1].mean()), best - a[-1, :-1])
