"""How good a run's encoder is with few labels, and how many labels it saves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.assessment.finetune import Start, Tuning, tuned
from tacit.assessment.halves import Half, halves, scored
from tacit.assessment.taps import EMBEDDING, tapped
from tacit.data import is_classes
from tacit.errors import DataError, OptionError
from tacit.evaluation.utility import utility
from tacit.run import Run

VALIDATION = 1_000
"""Most samples that choose the learning rate."""


def label_curve(
    run: Run,
    data: Any,
    test: Any = None,
    *,
    sizes: Sequence[int] | None = None,
    tuning: Tuning | None = None,
    validation: float = 0.2,
    test_fraction: float = 0.25,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Scores of fine-tuning, of training from scratch and of a linear probe at growing numbers of labels, and the
    utility of pretraining (:func:`tacit.evaluation.utility.utility`).

    A part of the training data chooses the learning rate of every single training, of either kind: scratch that is not
    tuned would flatter pretraining. The labels of a smaller size are among those of a larger one.

    Args:
        data, test: labelled data, as :func:`tacit.evaluate` takes it.
        sizes: numbers of labels, ascending; by default doublings of five a class, up to all.
        tuning: steps, batch size and rates.
        validation: share of the training data (at most 1,000 samples) that chooses the rate.
        seed: of the splits, of which samples have labels, of heads, order and views.

    Returns:
        ``sizes``; at each of them ``trained``, ``scratch`` and ``frozen`` (accuracy, R2 or mean average precision) and
        the ``rates`` taken; ``utility``, the ``bounds`` of it (``exact``, ``at least``, ``at most``), and ``pool``.

    Raises:
        DataError: for data without labels, or of one class.
        OptionError: for an empty list of sizes, one that does not ascend, a size below the number of classes or below
            4, or beyond the labels that there are.
    """
    train, held = halves(run, data, test, fraction=test_fraction, seed=seed, reading=reading)
    return of_labels(run, train, held, sizes, tuning or Tuning(), validation, seed)


def of_labels(
    run: Run,
    train: Half,
    test: Half,
    sizes: Sequence[int] | None = None,
    tuning: Tuning | None = None,
    validation: float = 0.2,
    seed: int = 0,
) -> dict[str, Any]:
    """:func:`label_curve` of data that is divided already."""
    tuning = tuning or Tuning()
    pool, valid, order = learning_parts(train, validation, seed)
    classes = len(pool.y.unique()) if is_classes(pool.y) else 1
    chosen = sizes_of(sizes, len(pool), classes)
    result: dict[str, Any] = {
        "sizes": chosen,
        "trained": [],
        "scratch": [],
        "frozen": [],
        "rates": [],
        "pool": len(pool),
    }
    starts: dict[str, Start] = {"trained": "trained", "scratch": "random"}
    with (
        tapped(run, run.encoder, pool, [EMBEDDING]) as features,
        tapped(run, run.encoder, test, [EMBEDDING]) as others,
    ):
        for n in chosen:
            part, rates = pool.some(order[:n]), {}
            for name, start in starts.items():
                best = tuned(run, start, part, valid, tuning, seed)
                result[name].append(best.score(best.predict(test), test.y))
                rates[name] = best.rate
            result["rates"].append(rates)
            rows = features[EMBEDDING][order[:n]]
            result["frozen"].append(scored(rows, part.y, others[EMBEDDING], test.y, seed)["value"])
    return with_utility(result)


def learning_parts(train: Half, validation: float, seed: int) -> tuple[Half, Half, np.ndarray]:
    """What a curve learns from: the samples whose labels grow in number, those that choose the rate of learning, and
    the order in which the former come (:func:`nested`).

    Raises:
        DataError: for fewer than 8 samples.
    """
    if len(train) < 8:
        raise DataError(f"a curve over labels needs at least 8 samples to learn from, not {len(train)}")
    pool, valid = train.divided(validation, seed)
    valid = valid.some(np.random.default_rng(seed).permutation(len(valid))[:VALIDATION])
    return pool, valid, nested(pool, seed)


def with_utility(curve: dict[str, Any]) -> dict[str, Any]:
    """A curve with the utility of pretraining by its ``sizes``, ``scratch`` and ``trained``, and the bounds of that."""
    saved = utility(curve["sizes"], curve["scratch"], curve["trained"])
    return curve | {"utility": saved.values.tolist(), "bounds": list(saved.bounds)}


def nested(half: Half, seed: int) -> np.ndarray:
    """An order of the samples of which every beginning has the classes in equal numbers, as far as they last."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(half))
    if not is_classes(half.y):
        return order
    labels = half.y.numpy()[order]
    turn = np.empty(len(order), dtype=np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return order[np.lexsort((random.random(len(order)), turn))]


def sizes_of(sizes: Sequence[int] | None, pool: int, classes: int = 1) -> list[int]:
    """Numbers of labels: those asked for, or doublings of five a class up to all of the ``pool``.

    Raises:
        OptionError: for an impossible one.
    """
    least = max(4, classes)
    if sizes is None:
        start = min(max(least, 5 * classes), pool)
        return sorted({*(start << step for step in range(32) if start << step < pool), pool})
    chosen = [int(size) for size in sizes]
    if not chosen:
        raise OptionError("sizes must hold at least one number of labels")
    if any(b <= a for a, b in itertools.pairwise(chosen)):
        raise OptionError(f"sizes must ascend, not {chosen}")
    if chosen[0] < least:
        raise OptionError(f"sizes must be at least {least}, one sample of each class and no fewer than 4: {chosen[0]}")
    if chosen[-1] > pool:
        raise OptionError(f"sizes go up to {chosen[-1]}, but there are {pool} labels to learn from")
    return chosen


__all__ = ["label_curve", "learning_parts", "nested", "of_labels", "sizes_of", "with_utility"]
