"""Which samples are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from tacit.errors import DataError, OptionError


def split(labels: Any, fraction: float = 0.25, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Divide samples in two at random, class by class where labels are given.

    Args:
        labels: ``[N]`` labels of any type, or the number N of samples without labels.
        fraction: share of the second part, between 0 and 1. A class of two or more samples has at least one in
            each part; the only sample of a class stays in the first.
        seed: the same seed gives the same parts.

    Returns:
        Positions of the first and of the second part, int64, each ascending.

    Raises:
        OptionError: if the fraction is not between 0 and 1.
        DataError: if there are fewer than two samples.
    """
    if not 0 < fraction < 1:
        raise OptionError(f"fraction must be between 0 and 1, not {fraction}")
    if isinstance(labels, Tensor):
        labels = labels.cpu().numpy()
    array = np.zeros(labels, dtype=np.int64) if isinstance(labels, (int, np.integer)) else np.asarray(labels)
    if array.ndim != 1 or len(array) < 2:
        raise DataError(f"a split needs at least 2 samples in one list, not shape {list(array.shape)}")
    shuffled = np.random.default_rng(seed).permutation(len(array))
    _, codes, counts = np.unique(array[shuffled], return_inverse=True, return_counts=True)
    wanted = np.minimum(np.maximum(1, np.rint(fraction * counts).astype(np.int64)), counts - 1)
    by_class = np.argsort(codes, kind="stable")
    place = np.empty(len(array), dtype=np.int64)  # of each shuffled sample inside its class
    place[by_class] = np.arange(len(array)) - np.repeat(np.cumsum(counts) - counts, counts)
    second = place < wanted[codes]
    return np.sort(shuffled[~second]), np.sort(shuffled[second])
