"""One evaluation of several representations of the same samples, as ``tacit evaluate`` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tacit.errors import DataError, unknown
from tacit.evaluation.arrays import Rows, as_labels
from tacit.evaluation.knn import NEIGHBOURS, TEMPERATURE
from tacit.evaluation.measures import DEFAULT, MEASURES, PAIRED, Sets, Task, fits
from tacit.evaluation.rankme import spectrum
from tacit.evaluation.ridge import SCORES, as_targets
from tacit.evaluation.splits import split

__all__ = ["MEASURES", "Task", "evaluate", "shared_rows", "split"]


def evaluate(
    train_sets: Mapping[str, Any],
    test_sets: Mapping[str, Any] | None = None,
    y_train: Any = None,
    y_test: Any = None,
    *,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
    seed: int = 0,
    task: Task = "classes",
    metrics: Sequence[str] = DEFAULT,
    groups: tuple[Any, Any] | None = None,
) -> dict[str, Any]:
    """k-NN, linear probe and label-free ranks of named representations of the same samples.

    Args:
        train_sets: e.g. ``{"raw": [N, P], "random": [N, D], "trained": [N, D]}``, row i of each the same sample.
        test_sets: the same names for the held-out samples; not needed without labels.
        y_train, y_test: ``[N]`` and ``[Q]`` labels. Without ``y_train`` there are only the label-free figures, of
            the training samples. For other tasks ``[N]`` or ``[N, k]``.
        k, temperature: of the k-NN vote.
        seed: of the probe's validation part and of the bootstrap.
        task: ``classes``: one a sample; ``numbers`` to predict; ``several``: any number of classes at once, booleans.
        metrics: names of :data:`tacit.evaluation.measures.MEASURES`. For the tasks ``numbers`` and ``several``,
            ``score`` takes the place of ``knn`` and ``linear``.
        groups: what samples of both parts have in common (speaker, patient, device), ``[N]`` and ``[Q]``; warned of
            where test samples share one with training samples.

    Returns:
        Plain data that JSON can hold. Always: ``rankme`` {name: value}, ``spectrum`` {name: {stable_rank,
        participation_ratio, top10_share, hard_rank, dim, ...}} (not of what is all zero: its rank is 0), ``n_train``,
        ``n_test`` (0 without a test set) and ``warnings``, a list of sentences.
        For each metric {name: {value, low, high, ...}}, without an interval where there is none, and None in place of
        a label-free figure that cannot be had, with the reason among the warnings.
        With labels also: ``knn`` and ``linear`` {name: {accuracy, low, high}}, shares from 0 to 1 with 95 % bootstrap
        intervals over the test samples (``linear`` also ``l2``); ``classes``, how many there are in training; and
        ``k`` as used. ``retrieval`` {name: {value, low, high, recall@1, recall@5, recall@10}}: mean average precision
        of finding training samples of a test sample's class; ``verification`` {name: {value}}: equal error rate of
        telling pairs of test samples of one class from others.
        For the other tasks: ``score`` {name: {value, low, high, l2}} of a linear probe by ridge
        regression, ``metric``, what the value is (``R2`` or ``mean average precision``), and ``targets``, how many
        there are.

    Raises:
        DataError: for empty or non-finite sets, sets of unequal length, or labels that do not fit or are of one class.
        OptionError: for an unknown metric, or one that needs another kind of labels.
    """
    for metric in metrics:
        if metric not in MEASURES:
            raise unknown("metric", metric, MEASURES)
    train = _named(train_sets, "train")
    test = _named(test_sets, "test") if test_sets else {}
    n_train, n_test = _length(train), _length(test) if test else 0
    notes: list[str] = []
    if n_train < 2:
        raise DataError(f"an evaluation needs at least 2 training samples, not {n_train}")
    result: dict[str, Any] = {"rankme": {}, "spectrum": {}, "n_train": n_train, "n_test": n_test, "warnings": notes}
    for name, rows in train.items():
        try:
            found = spectrum(rows)
        except DataError as error:  # nothing but zeros: a collapse to report, not a reason to stop
            result["rankme"][name] = 0.0
            notes.append(str(error))
            continue
        result["rankme"][name] = found.rankme
        result["spectrum"][name] = found.as_dict()
        notes += [f"{name}: {note}" for note in found.warnings]
        if _constant(rows):
            notes.append(f"{name}: all samples have the same embedding; it has collapsed")
    first = "raw" if "raw" in train else next(iter(train))
    if first in test and train[first].dim == test[first].dim:
        shared = shared_rows(train[first], test[first])
        if shared:
            notes.append(f"{shared} of {n_test} test samples are exact copies of training samples")
    if groups is not None and test:
        for part, n in zip(groups, (n_train, n_test), strict=True):
            if len(part) != n:
                raise DataError(f"groups must be one a sample, but there are {n} samples and {len(part)} groups")
        notes += leaks(*groups)
    sets: dict[str, Sets] = {}
    if y_train is None:
        chosen = [metric for metric in metrics if not MEASURES[metric].tasks]
        asked = [metric for metric in metrics if metric not in (*chosen, *DEFAULT)]
        notes += [f"there are no labels, without which {metric} cannot be measured" for metric in asked]
        for name, rows in train.items():
            sets[name] = Sets(rows, None, test.get(name), None, task, k, temperature, seed, PAIRED)
        return result | _measured(sets, chosen, notes)

    if not test or y_test is None:
        raise DataError("labels need a test set with labels too; divide one data set with split()")
    if set(train) != set(test):
        raise DataError(f"train and test must hold the same names, not {sorted(train)} and {sorted(test)}")
    chosen = _fitting(metrics, task)
    if task == "classes":
        labels, truth = as_labels(y_train, n_train, "training labels"), as_labels(y_test, n_test, "test labels")
        if (labels.dtype.kind == "U") != (truth.dtype.kind == "U"):
            raise DataError("training and test labels must be of one kind, but one are text and the other numbers")
        notes += _classes_apart(labels, truth)
        if k > n_train:
            notes.append(f"k lowered from {k} to {n_train}, the number of training samples")
            k = n_train
        result.update(classes=len(np.unique(labels)), k=k)
    else:
        labels, truth = as_targets(y_train, n_train, "training targets"), as_targets(y_test, n_test, "test targets")
        if chosen and labels.shape[1] != truth.shape[1]:  # places for boxes, say, may differ in number
            raise DataError(f"training data has {labels.shape[1]} targets a sample, and test data {truth.shape[1]}")
        result.update(metric=SCORES[task], targets=labels.shape[1])
    for name, rows in train.items():
        sets[name] = Sets(rows, labels, test[name], truth, task, k, temperature, seed, PAIRED)
    return result | _measured(sets, chosen, notes)


def _fitting(metrics: Sequence[str], task: Task) -> list[str]:
    """The metrics to take, ``score`` in place of what is for classes alone and was not asked for on purpose."""
    if task != "classes":
        metrics = list(dict.fromkeys("score" if metric in DEFAULT else metric for metric in metrics))
    for metric in metrics:
        fits(metric, MEASURES[metric].tasks, task)
    return list(metrics)


def _measured(sets: Mapping[str, Sets], metrics: Sequence[str], notes: list[str]) -> dict[str, Any]:
    """{metric: {name: figures}}; what the measures have to say is added to ``notes``, each sentence once."""
    result: dict[str, Any] = {metric: {} for metric in metrics}
    for metric in metrics:
        measure = MEASURES[metric]
        for name, given in sets.items():
            try:
                found = measure.run(given)
            except DataError as error:
                if measure.tasks:
                    raise
                found = {"notes": [f"{name}: no {metric}: {error}"]}  # of a collapse there is a report, not a stop
            notes += [note for note in found.pop("notes", []) if note not in notes]
            result[metric][name] = found or None
    return result


def _constant(rows: Rows) -> bool:
    first = rows.take(slice(0, 1))
    return all(bool((piece == first).all()) for _, piece in rows.pieces(max(1, 2**20 // rows.dim)))


def leaks(train: Any, test: Any) -> list[str]:
    """A warning if test samples (groups ``[Q]``) are of groups that training samples (``[N]``) are of too."""
    learned, asked = as_labels(train, len(train), "training groups"), as_labels(test, len(test), "test groups")
    leaked, n_test = int(np.isin(asked, learned).sum()), len(asked)
    if not leaked:
        return []
    return [f"{leaked} of {n_test} test samples are of a group that training samples are of too: figures may flatter"]


def shared_rows(train: Any, test: Any) -> int:
    """How many test rows equal some training row exactly; found by hashing, confirmed by comparison."""
    bank, queries = Rows.of(train, "training samples"), Rows.of(test, "test samples")
    known = np.concatenate(list(_hashes(bank)))
    hashes = np.concatenate(list(_hashes(queries)))
    known, where = np.unique(known, return_index=True)
    place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    hits = np.flatnonzero(known[place] == hashes)
    step = max(1, 2**22 // bank.dim)
    return sum(
        int((queries.take(part).cpu() == bank.take(where[place[part]]).cpu()).all(1).sum())
        for part in (hits[i : i + step] for i in range(0, len(hits), step))
    )


def _hashes(rows: Rows) -> Iterator[np.ndarray]:
    """One 64-bit number a row: a random linear form of its float32 bits, modulo 2^64."""
    factors = np.random.default_rng(0x5EED).integers(1, 2**63, size=rows.dim, dtype=np.uint64) * 2 + 1
    for _, piece in rows.pieces(max(1, 2**20 // rows.dim)):
        words = (piece.cpu().numpy() + np.float32(0)).view(np.uint32).astype(np.uint64)  # + 0 turns -0 into 0
        yield (words * factors).sum(1, dtype=np.uint64)


def _named(sets: Mapping[str, Any], part: str) -> dict[str, Rows]:
    if not sets:
        raise DataError(f"there is no {part} set to evaluate")
    return {name: Rows(data, f"'{name}' ({part})").check() for name, data in sets.items()}


def _length(sets: dict[str, Rows]) -> int:
    lengths = {rows.name: rows.n for rows in sets.values()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise DataError(f"all representations must be of the same samples, but their numbers differ: {listed}")
    return next(iter(lengths.values()))


def _classes_apart(labels: np.ndarray, truth: np.ndarray) -> list[str]:
    notes = []
    for here, there, without in ((truth, labels, "training"), (labels, truth, "test")):
        missing = np.setdiff1d(here, there)
        if len(missing):
            listed = ", ".join(str(name) for name in missing[:5]) + (", ..." if len(missing) > 5 else "")
            notes.append(f"{len(missing)} class(es) without a {without} sample: {listed}")
    return notes
