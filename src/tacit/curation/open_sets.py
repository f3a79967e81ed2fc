"""SimCore: the part of a large open set that is nearest to a small target set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.curation.selection import Keep, Selection, unit, unit_rows, wanted
from tacit.errors import DataError, OptionError
from tacit.evaluation.arrays import Rows, full_precision
from tacit.parts.kmeans import kmeans
from tacit.registry import register

PIECE = 16384
TIMES = 50
"""Most samples, in multiples of the target set, that the automatic stop may take."""
PASSES = 100
"""Passes over the open set that training on a coreset is worth."""
IMAGENET = 1_281_167
"""Images of the paper's open set."""


@register(
    "simcore",
    kind="curation",
    family="coresets",
    title="Coreset Sampling From Open-Set for Fine-Grained Self-Supervised Learning",
    year=2023,
    url="https://arxiv.org/abs/2303.11101",
    basis="code",
)
def simcore(
    embeddings: Any,
    target: Any,
    keep: Keep | None = None,
    *,
    clusters: int = 100,
    stop: float = 0.95,
    patience: int = 20,
    epochs: int | None = None,
    passes: float = PASSES,
    seed: int = 0,
) -> Selection:
    """SimCore (Kim et al. 2023): the samples of an open set that cover the centres of a target set best.

    The target's rows (unit length) are summed up by k-means centres, brought back to unit length. In each round every
    centre takes its most similar sample that no earlier round took. Without ``keep`` it stops by itself: after
    ``patience`` rounds the mean similarity of that round times ``stop`` becomes the threshold, and the first later
    round below it is thrown away.

    Args:
        embeddings: ``[U, D]`` of the open set, from an encoder trained on the target set or any other.
        target: ``[X, D]`` by the same encoder.
        keep: the share or number of the open set to take; None for the automatic stop, at most 50 times the target.
        clusters: centres; the target's rows themselves where there are no more of them.
        stop: share of the similarity at which to stop, in (0, 1].
        patience: rounds before the threshold is set; a large number of centres needs few.
        epochs: the most that one would train for on the selection; given, ``facts`` has as ``epochs`` how many of them
            to take, by :func:`coreset_epochs` with the open set as the whole.
        passes: over the open set that such a training is worth in images seen.
        seed: of k-means and of the choice among the last round's picks.

    Returns:
        a selection whose score is the cosine to the nearest centre and whose ``group`` is that centre. ``facts``:
        rounds, clusters, similarity (of each round), threshold (None while not set), stopped (``similarity``,
        ``budget`` or ``empty``).

    Raises:
        DataError: for rows that are not finite or all zero, sets of different width, or an open set smaller than the
            number of centres.
        OptionError: for ``keep``, ``stop``, ``clusters``, ``patience``, ``epochs`` or ``passes`` out of range.
    """
    rows, goal = Rows.of(embeddings, "embeddings"), unit(target, "target embeddings")
    if goal.shape[1] != rows.dim:
        raise DataError(
            f"the open set has {rows.dim} dimensions and the target {goal.shape[1]}; use one encoder for both"
        )
    if not 0 < stop <= 1:
        raise OptionError(f"stop must lie in (0, 1], not {stop}")
    for name, number in (("clusters", clusters), ("patience", patience)):
        if number < 1:
            raise OptionError(f"{name} must be at least 1, not {number}")
    if epochs is not None:
        coreset_epochs(rows.n, epochs, rows.n, passes)  # what is out of range is said before the work
    centres = _centres(goal, clusters, seed)
    if rows.n < len(centres):
        raise DataError(f"the open set has {rows.n} samples, fewer than the {len(centres)} centres; lower clusters")
    budget = min(TIMES * len(goal), rows.n) if keep is None else wanted(keep, rows.n)
    with full_precision():
        best, group, near, cosine = _nearest(rows, centres, budget)
    kept, similarity, threshold, why = _rounds(near, cosine, rows.n, budget, keep is None, stop, patience, seed)
    notes: list[str] = []
    if keep is None and threshold is None:
        notes.append(
            f"the automatic stop never armed: {len(similarity)} rounds are no more than the patience of {patience}; "
            "lower it, or raise clusters"
        )
    facts: dict[str, Any] = {
        "rounds": len(similarity),
        "clusters": len(centres),
        "similarity": similarity,
        "threshold": threshold,
        "stopped": why,
    }
    if epochs is not None:
        count = int(kept.sum())
        facts["epochs"] = coreset_epochs(count, epochs, rows.n, passes)
        notes.append(
            f"train on the {count} chosen samples for {facts['epochs']} epochs: no more than {epochs}, and no more "
            f"images seen than in {passes:g} passes over the open set of {rows.n}"
        )
    return Selection(kept, best, "cosine to the nearest centre of the target", group, "centre", facts, notes)


def coreset_epochs(count: int, most: int, whole: int = IMAGENET, passes: float = PASSES) -> int:
    """Epochs for training on a coreset, so that a large one costs no more than the whole would: the paper's code takes
    ``min(most, passes / (count / whole))``, rounded down here, and at least one.

    Args:
        count: samples of the coreset.
        most: epochs that are enough for a small one.
        whole: samples of the open set.
        passes: over the whole, whose number of samples seen is the bound.

    Raises:
        OptionError: for numbers that are not above 0, or a coreset larger than the whole.
    """
    for name, number in (("epochs", most), ("passes", passes), ("count", count)):
        if not 0 < number < math.inf:
            raise OptionError(f"{name} must be above 0, not {number}")
    if count > whole:
        raise OptionError(f"a coreset of {count} samples is larger than the whole of {whole}")
    return max(1, min(most, math.floor(passes * whole / count)))


def _centres(goal: Tensor, clusters: int, seed: int) -> Tensor:
    if clusters >= len(goal):
        return goal
    label = kmeans(goal, clusters, torch.Generator().manual_seed(seed), 300)
    means = torch.stack([goal[label == c].mean(0) for c in label.unique()])
    return means / torch.linalg.vector_norm(means, dim=1, keepdim=True).clamp_min(1e-12)


def _nearest(rows: Rows, centres: Tensor, budget: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each sample the best centre; of each centre its ``budget + 1`` best samples, of which earlier rounds can have
    taken no more than ``budget``."""
    take = unit_rows(rows, rows.name)
    depth = min(budget + 1, rows.n)
    value = torch.full((len(centres), 0), 0.0)
    index = torch.zeros((len(centres), 0), dtype=torch.int64)
    best, group = [], []
    for start in range(0, rows.n, PIECE):
        cosine = centres @ take(slice(start, min(start + PIECE, rows.n))).T
        high, which = cosine.max(0)
        best.append(high)
        group.append(which)
        here = torch.arange(start, start + cosine.shape[1]).expand(len(centres), -1)
        value, index = torch.cat([value, cosine], 1), torch.cat([index, here], 1)
        if value.shape[1] > depth:
            value, place = value.topk(depth, dim=1, sorted=False)
            index = index.gather(1, place)
    index, place = index.sort(dim=1)  # equally near ones in order of position
    value, then = value.gather(1, place).sort(dim=1, descending=True, stable=True)
    return torch.cat(best).numpy(), torch.cat(group).numpy(), index.gather(1, then).numpy(), value.numpy()


def _rounds(
    near: np.ndarray, value: np.ndarray, count: int, budget: int, automatic: bool, stop: float, patience: int, seed: int
) -> tuple[np.ndarray, list[float], float | None, str]:
    random = np.random.default_rng(seed)
    taken = np.zeros(count, bool)
    at = np.zeros(len(near), np.int64)
    similarity: list[float] = []
    threshold: float | None = None
    while taken.sum() < budget:
        picks, values = [], []
        for centre in range(len(near)):
            while at[centre] < near.shape[1] and taken[near[centre, at[centre]]]:
                at[centre] += 1
            if at[centre] < near.shape[1]:
                picks.append(near[centre, at[centre]])
                values.append(value[centre, at[centre]])
        if not picks:
            return taken, similarity, threshold, "empty"
        mean = float(np.mean(values))
        if automatic and threshold is not None and mean < threshold:
            return taken, similarity, threshold, "similarity"
        similarity.append(mean)
        if automatic and len(similarity) == patience:
            threshold = stop * mean
        new = np.unique(picks)
        left = budget - int(taken.sum())
        taken[new if len(new) <= left else random.choice(new, left, replace=False)] = True
    return taken, similarity, threshold, "empty" if taken.all() else "budget"
