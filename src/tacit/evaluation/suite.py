"""One evaluation of several representations of the same samples, as ``tacit evaluate`` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tacit.errors import DataError, OptionError, unknown
from tacit.evaluation.arrays import Rows, as_labels
from tacit.evaluation.bootstrap import bootstrap_interval
from tacit.evaluation.knn import knn_predict
from tacit.evaluation.probe import linear_probe
from tacit.evaluation.rankme import spectrum
from tacit.evaluation.retrieval import recalls, retrieval
from tacit.evaluation.ridge import as_targets, mean_average_precision, r2, ridge_probe
from tacit.evaluation.splits import split
from tacit.evaluation.verification import verification_error

__all__ = ["METRICS", "Task", "evaluate", "shared_rows", "split"]

Task = Literal["classes", "numbers", "several"]
METRICS = ("knn", "linear", "retrieval", "verification")
"""What can be asked for where each sample has one class; the first two are the default."""
PAIRED = 5_000
"""Most test samples whose pairs are compared."""


def evaluate(
    train_sets: Mapping[str, Any],
    test_sets: Mapping[str, Any] | None = None,
    y_train: Any = None,
    y_test: Any = None,
    *,
    k: int = 20,
    temperature: float = 0.07,
    seed: int = 0,
    task: Task = "classes",
    metrics: Sequence[str] = METRICS[:2],
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
        metrics: of :data:`METRICS`, for the task ``classes``.

    Returns:
        Plain data that JSON can hold. Always: ``rankme`` {name: value}, ``spectrum`` {name: {stable_rank,
        participation_ratio, top10_share, hard_rank, dim, ...}} (not of what is all zero: its rank is 0), ``n_train``,
        ``n_test`` (0 without a test set) and ``warnings``, a list of sentences.
        With labels also: ``knn`` and ``linear`` {name: {accuracy, low, high}}, shares from 0 to 1 with 95 % bootstrap
        intervals over the test samples (``linear`` also ``l2``); ``classes``, how many there are in training; and
        ``k`` as used. ``retrieval`` {name: {value, low, high, recall@1, recall@5, recall@10}}: mean average precision
        of finding training samples of a test sample's class; ``verification`` {name: {value}}: equal error rate of
        telling pairs of test samples of one class from others.
        For the other tasks, in their place: ``score`` {name: {value, low, high, l2}} of a linear probe by ridge
        regression, ``metric``, what the value is (``R2`` or ``mean average precision``), and ``targets``, how many
        there are.

    Raises:
        DataError: for empty or non-finite sets, sets of unequal length, or labels that do not fit or are of one class.
        OptionError: for an unknown metric, or one that needs classes where there are none.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
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
    if "raw" in train and "raw" in test and train["raw"].dim == test["raw"].dim:
        shared = shared_rows(train["raw"], test["raw"])
        if shared:
            notes.append(f"{shared} of {n_test} test samples are exact copies of training samples")
    if y_train is None:
        return result

    if not test or y_test is None:
        raise DataError("labels need a test set with labels too; divide one data set with split()")
    if set(train) != set(test):
        raise DataError(f"train and test must hold the same names, not {sorted(train)} and {sorted(test)}")
    if task != "classes":
        if set(metrics) - set(METRICS[:2]):
            raise OptionError(f"metric {metrics[-1]} needs one class a sample; these labels are {task}")
        return result | _regressed(train, test, y_train, y_test, seed, task)
    labels, truth = as_labels(y_train, n_train, "training labels"), as_labels(y_test, n_test, "test labels")
    notes += _classes_apart(labels, truth)
    if "verification" in metrics and n_test > PAIRED:
        notes.append(f"verification compares the first {PAIRED} of {n_test} test samples")
    if k > n_train:
        notes.append(f"k lowered from {k} to {n_train}, the number of training samples")
        k = n_train
    result.update({metric: {} for metric in metrics}, classes=len(np.unique(labels)), k=k)
    for name, rows in train.items():
        if "knn" in metrics:
            vote = knn_predict(rows, labels, test[name], k, temperature)
            result["knn"][name] = _score(vote.predictions == truth, seed)
        if "linear" in metrics:
            probe = linear_probe(rows, labels, test[name], truth, seed=seed)
            result["linear"][name] = {**_score(probe.predictions == truth, seed), "l2": probe.l2}
        if "retrieval" in metrics:
            ranked = retrieval(test[name], truth, rows, labels)
            precision = ranked.average_precision[~np.isnan(ranked.average_precision)]
            low, high = bootstrap_interval(precision, seed=seed)
            value = ranked.mean_average_precision
            result["retrieval"][name] = {"value": value, "low": low, "high": high, **recalls(ranked)}
        if "verification" in metrics:
            some = slice(PAIRED)
            result["verification"][name] = {"value": verification_error(test[name].take(some), truth[some])}
    return result


def _regressed(
    train: dict[str, Rows], test: dict[str, Rows], y_train: Any, y_test: Any, seed: int, task: Task
) -> dict[str, Any]:
    n_test = _length(test)
    truth = as_targets(y_test, n_test, "test targets")
    targets = as_targets(y_train, _length(train), "training targets")
    if targets.shape[1] != truth.shape[1]:
        raise DataError(f"training data has {targets.shape[1]} targets a sample, and test data {truth.shape[1]}")
    several = task == "several"
    draws = 200 if several else 1000
    random = np.random.default_rng(seed)
    scores: dict[str, dict[str, float]] = {}
    for name, rows in train.items():
        found = ridge_probe(rows, targets, test[name], seed=seed)

        def value(counts: np.ndarray | None, predictions: np.ndarray = found.predictions) -> np.ndarray:
            if several:
                return mean_average_precision(predictions, truth > 0.5, counts)
            return r2(predictions, truth, counts)

        resampled = [
            value(random.multinomial(n_test, np.full(n_test, 1 / n_test), size=50)) for _ in range(draws // 50)
        ]
        low, high = np.quantile(np.concatenate(resampled), [0.025, 0.975])
        scores[name] = {"value": float(value(None)[0]), "low": float(low), "high": float(high), "l2": found.l2}
    metric = "mean average precision" if several else "R2"
    return {"score": scores, "metric": metric, "targets": targets.shape[1]}


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


def _score(correct: np.ndarray, seed: int) -> dict[str, float]:
    low, high = bootstrap_interval(correct, seed=seed)
    return {"accuracy": float(correct.mean()), "low": low, "high": high}
