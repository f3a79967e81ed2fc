"""Which samples are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from tacit.errors import DataError, OptionError

TRIES = 100
"""Ways to divide groups of which the one nearest to the wanted shares of all classes is taken."""


def split(labels: Any, fraction: float = 0.25, seed: int = 0, groups: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Divide samples in two at random, class by class where labels are given.

    Args:
        labels: ``[N]`` labels of any type, or the number N of samples without labels.
        fraction: share of the second part, between 0 and 1. A class of two or more samples has at least one in
            each part; the only sample of a class stays in the first.
        seed: the same seed gives the same parts.
        groups: ``[N]``, what samples have in common (speaker, patient, device); all samples of a group are in the same
            part. The parts are then as near to the fraction, in every class, as a hundred tries come.

    Returns:
        Positions of the first and of the second part, int64, each ascending.

    Raises:
        OptionError: if the fraction is not between 0 and 1.
        DataError: if there are fewer than two samples, or fewer than two groups.
    """
    if not 0 < fraction < 1:
        raise OptionError(f"fraction must be between 0 and 1, not {fraction}")
    if isinstance(labels, Tensor):
        labels = labels.cpu().numpy()
    array = np.zeros(labels, dtype=np.int64) if isinstance(labels, (int, np.integer)) else np.asarray(labels)
    if array.ndim != 1 or len(array) < 2:
        raise DataError(f"a split needs at least 2 samples in one list, not shape {list(array.shape)}")
    if groups is not None:
        return _by_group(array, groups, fraction, seed)
    shuffled = np.random.default_rng(seed).permutation(len(array))
    _, codes, counts = np.unique(array[shuffled], return_inverse=True, return_counts=True)
    wanted = np.minimum(np.maximum(1, np.rint(fraction * counts).astype(np.int64)), counts - 1)
    by_class = np.argsort(codes, kind="stable")
    place = np.empty(len(array), dtype=np.int64)  # of each shuffled sample inside its class
    place[by_class] = np.arange(len(array)) - np.repeat(np.cumsum(counts) - counts, counts)
    second = place < wanted[codes]
    return np.sort(shuffled[~second]), np.sort(shuffled[second])


def _by_group(labels: np.ndarray, groups: Any, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    members = groups.cpu().numpy() if isinstance(groups, Tensor) else np.asarray(groups)
    if members.shape != labels.shape:
        raise DataError(f"groups must be one a sample, {len(labels)}, not of shape {list(members.shape)}")
    _, codes = np.unique(members, return_inverse=True)
    count = int(codes.max()) + 1
    if count < 2:
        raise DataError("all samples are of one group, so no part of them can be held out; give other data to test on")
    _, classes = np.unique(labels, return_inverse=True)
    table = np.zeros((count, int(classes.max()) + 1))
    np.add.at(table, (codes, classes), 1)
    wanted = fraction * table.sum(0)
    random = np.random.default_rng(seed)
    best, held = np.inf, np.zeros(count, bool)
    for _ in range(TRIES):
        order = random.permutation(count)
        sizes = table[order].sum(1).cumsum()
        take = int(np.clip(np.abs(sizes - fraction * len(labels)).argmin() + 1, 1, count - 1))
        off = float(np.abs(table[order[:take]].sum(0) - wanted).sum())
        if off < best:
            best, held = off, np.isin(np.arange(count), order[:take])
    return np.flatnonzero(~held[codes]), np.flatnonzero(held[codes])
