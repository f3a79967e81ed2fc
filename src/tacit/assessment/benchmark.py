"""A benchmark of several tasks with little supervision on frozen features."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tacit.assessment.halves import Half, halves, scored
from tacit.assessment.heads import Head, precision
from tacit.assessment.spaces import spaces
from tacit.assessment.taps import EMBEDDING, LIMIT, tapped
from tacit.console import Bar
from tacit.data import Batch, task_of
from tacit.errors import OptionError, unknown
from tacit.evaluation.ridge import SCORES
from tacit.evaluation.sgd_probe import NORMED, Recipe
from tacit.evaluation.svm import COSTS, one_against_rest, svm_probe
from tacit.files import write_json
from tacit.registry import register
from tacit.run import Run
from tacit.views.base import View

SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)
LOW_SHOT_COSTS = tuple(float(f"1e{power}") for power in range(-5, 3))
"""Costs to choose from where there are few samples: decades, as folds are small and runs many."""
RAW = "raw"
Probe = Literal["svm", "sgd"]
PROBES = ("svm", "sgd")


@register(
    "fair-benchmark",
    kind="benchmark",
    family="probe",
    title="Scaling and Benchmarking Self-Supervised Visual Representation Learning",
    year=2019,
    url="https://arxiv.org/abs/1905.01235",
    basis="code",
)
def benchmark(
    run: Run | str | Path,
    data: Any,
    test: Any = None,
    *,
    names: Sequence[str] | None = None,
    taps: Sequence[str] | None = None,
    limit: int = LIMIT,
    probe: Probe = "svm",
    recipe: Recipe = NORMED,
    crops: int = 0,
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    shots: Sequence[int] | None = None,
    samples: int = 5,
    test_fraction: float = 0.25,
    seed: int = 0,
    quiet: bool = True,
    reading: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Linear classifiers on frozen layers, with all and with few labels, over several tasks.

    Each data set is a task. Features of each tap are pooled to at most ``limit`` numbers and scaled to unit length;
    one linear SVM a class is trained, its cost chosen by cross-validation on training samples alone
    (:func:`tacit.evaluation.svm.svm_probe`). The tap with the best cross-validated score is the one that counts, and
    that low-shot samples are taken of. Labels that are numbers are predicted by ridge regression (R2) with all labels.
    Of several classes at once some may be unknown ("difficult"): labels ``[N, C]`` of 1, 0 and -1, where -1 neither
    trains nor counts for that class.

    The probe ``sgd`` is the benchmark's other one: batch norm without scale and shift and a linear layer, trained by
    SGD (:data:`tacit.evaluation.sgd_probe.NORMED`); the tap is chosen on a fifth of the training samples, the last fit
    is on all of them, and of classes accuracy is told. The paper crops and alters each sample anew at each step; here a
    number of such views are drawn once. Low-shot samples have support vector machines either way, as in the paper.

    Args:
        run: the run or its folder.
        data: a list of labelled data sets, each as :func:`tacit.evaluate` takes it.
        test: a list of as many to test on; by default a stratified part of each data set.
        names: of the tasks; by default of the files or folders, else ``task 1`` and so on.
        taps: names of layers, and ``embedding``; by default those of :func:`tacit.assessment.taps.layers_of`.
        limit: most numbers of a tap for a sample.
        probe: ``svm`` or ``sgd``.
        recipe, crops: how ``sgd`` trains, and of how many random views of each sample; by default of the samples as
            they are.
        costs, folds: of the cross-validation.
        shots: positives a class in low-shot samples; a class has C - 1 times as many negatives, C being the number of
            classes. By default those of 1, 2, 4, 8, 16, 32, 64 and 96 that the smallest class has.
        samples: independent low-shot samples of each size.
        seed: of splits, folds and samples.
        quiet: show no progress.

    Returns:
        ``tasks``, {name: {``n_train``, ``n_test``, ``classes``, ``metric``, ``taps``: {representation: {tap:
        {value, validation, width}}}, ``best``: {representation: {tap, value}}, ``low_shot``: {representation: {k:
        {mean, std, min, max}}}}}, and ``aggregate``, {representation: mean of the best taps over the tasks}, for
        ``raw``, ``random`` and ``trained``; ``warnings``. Values are mean average precision (all points, envelope), or
        what ``metric`` says.
        Also stored in the run folder as ``benchmark.json``.

    Raises:
        DataError: for data without labels, or of one class.
        OptionError: for no tasks, another number of test sets or names, an unknown probe, or an impossible number of
            shots.
    """
    if probe not in PROBES:
        raise unknown("probe", probe, PROBES)
    if crops < 0 or (crops and probe != "sgd"):
        raise OptionError(f"crops are from 0 and for the probe sgd, not {crops} for {probe}")
    run = run if isinstance(run, Run) else Run(run)
    if not isinstance(data, (list, tuple)) or not len(data):
        raise OptionError("a benchmark needs a list of at least one labelled data set")
    tests = [None] * len(data) if test is None else list(test)
    tasks = [_name(one, place) for place, one in enumerate(data)] if names is None else list(names)
    if len(tests) != len(data) or len(tasks) != len(data):
        raise OptionError(f"there are {len(data)} data sets, {len(tests)} test sets and {len(tasks)} names")
    if len(set(tasks)) < len(tasks):
        tasks = [f"{name} ({place})" for place, name in enumerate(tasks, 1)]
    if samples < 1 or (shots is not None and (not len(shots) or min(shots) < 1)):
        raise OptionError("shots and samples must be at least 1")
    head = Head(recipe, crops, seed) if probe == "sgd" else None
    result: dict[str, Any] = {"tasks": {}, "aggregate": {}, "warnings": []}
    with Bar("benchmark", total=3 * len(data), quiet=quiet) as bar:
        for place, (name, one, other) in enumerate(zip(tasks, data, tests, strict=True)):
            train, held = halves(run, one, other, fraction=test_fraction, seed=seed, reading=reading)
            task = _Task(run, train, held, costs, folds, shots, samples, seed, head)
            for step, kind in enumerate((RAW, "random", "trained")):
                task.measure(kind, taps, limit)
                bar.at(3 * place + step + 1)
            result["tasks"][name] = task.result
            result["warnings"] += [f"{name}: {note}" for note in task.notes]
    for kind in (RAW, "random", "trained"):
        values = [task["best"][kind]["value"] for task in result["tasks"].values()]
        result["aggregate"][kind] = float(np.mean(values))
    write_json(run.folder / "benchmark.json", result)
    return result


class _Task:
    """One data set, and what was measured of it."""

    def __init__(
        self,
        run: Run,
        train: Half,
        test: Half,
        costs: Sequence[float],
        folds: int,
        shots: Sequence[int] | None,
        samples: int,
        seed: int,
        head: Head | None,
    ) -> None:
        self.head = head
        self.run, self.train, self.test, self.costs, self.folds = run, train, test, costs, folds
        self.samples, self.seed = samples, seed
        kind = task_of(train.y, unknown=True)
        self.numbers, self.single = kind == "numbers", kind == "classes"
        self.notes: list[str] = []
        self.result: dict[str, Any] = {
            "n_train": len(train),
            "n_test": len(test),
            "metric": "accuracy" if head and self.single else SCORES["numbers" if self.numbers else "several"],
            "taps": {},
            "best": {},
            "low_shot": {},
        }
        self.shots: list[int] = []
        if self.numbers:
            return
        self.targets, names = one_against_rest(train.y, len(train))
        known = names if kind == "classes" else None
        self.truth, _ = one_against_rest(test.y, len(test), known)
        strange = int((~np.isin(test.y.numpy(), names)).sum()) if known is not None else 0
        if strange:
            self.notes.append(f"{strange} test samples are of classes without a training sample")
        self.result["classes"] = len(names)
        self.shots = self._shots(shots, int((self.targets == 1).sum(0).min()))

    def _shots(self, asked: Sequence[int] | None, smallest: int) -> list[int]:
        """Sizes of low-shot samples: the smallest class must have as many, or the paper's that it has."""
        if asked is None:
            return [k for k in SHOTS if k <= smallest]
        if max(asked) > smallest:
            raise OptionError(f"{max(asked)} shots need as many samples of each class, and the smallest has {smallest}")
        return sorted(set(asked))

    def measure(self, kind: str, taps: Sequence[str] | None, limit: int) -> None:
        shown = [] if self.head is None or self.numbers else self.head.shown(self.run)
        if kind == RAW:
            drawn = [_raw(self.run, self.train, view) for view in shown]
            learn = {RAW: np.concatenate(drawn)} if drawn else None
            self._taps(kind, {RAW: _raw(self.run, self.train)}, {RAW: _raw(self.run, self.test)}, learn)
            return
        network = self.run.encoder if kind == "trained" else self.run.random_encoder()
        with (
            tapped(self.run, network, self.train, taps, limit) as features,
            tapped(self.run, network, self.test, list(features), limit) as others,
        ):
            if not shown:
                self._taps(kind, features, others)
                return
            with tapped(self.run, network, self.train, list(features), limit, shown=shown) as learn:
                self._taps(kind, features, others, learn)

    def _taps(
        self,
        kind: str,
        features: Mapping[str, np.ndarray],
        others: Mapping[str, np.ndarray],
        learn: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for tap, x in features.items():
            if self.numbers:
                found = scored(x, self.train.y, others[tap], self.test.y, self.seed)
                rows[tap] = {"value": found["value"], "validation": None, "width": x.shape[1]}
                continue
            if self.head is not None:
                views = x if learn is None else learn[tap]
                rows[tap] = self.head.figures(views, x, self.targets, others[tap], self.truth, self.single)
                continue
            svm = svm_probe(x, self.targets, others[tap], costs=self.costs, folds=self.folds, seed=self.seed)
            self._leave_out(svm.left_out)
            rows[tap] = {
                "value": self._value(svm.scores),
                "validation": None if np.isnan(svm.validation).all() else float(np.nanmean(svm.validation)),
                "width": x.shape[1],
            }
        # Without a cross-validation there is nothing but convention to go by: what the encoder gives in the end.
        validated = [tap for tap, row in rows.items() if row["validation"] is not None]
        last = EMBEDDING if EMBEDDING in rows else list(rows)[-1]
        best = max(validated, key=lambda tap: rows[tap]["validation"]) if validated else last
        self.result["taps"][kind] = rows
        self.result["best"][kind] = {"tap": best, "value": rows[best]["value"]}
        if not self.numbers:
            self.result["low_shot"][kind] = {k: self._low_shot(features[best], others[best], k) for k in self.shots}

    def _low_shot(self, x: np.ndarray, other: np.ndarray, k: int) -> dict[str, float]:
        values = []
        for sample in range(self.samples):
            used = low_shot(self.targets, k, np.random.default_rng([self.seed, k, sample]))
            at = used.any(1)
            svm = svm_probe(
                x[at], self.targets[at], other, costs=LOW_SHOT_COSTS, folds=self.folds, used=used[at], seed=sample
            )
            values.append(self._value(svm.scores))
        found = np.array(values)
        return {"mean": found.mean(), "std": found.std(), "min": found.min(), "max": found.max()}

    def _value(self, scores: np.ndarray) -> float:
        able = np.isfinite(scores).all(0)
        return precision(scores[:, able], self.truth[:, able])

    def _leave_out(self, classes: Sequence[int]) -> None:
        note = f"classes without a positive or a negative training sample are left out: {', '.join(map(str, classes))}"
        if classes and note not in self.notes:
            self.notes.append(note)


def low_shot(targets: np.ndarray, k: int, random: np.random.Generator) -> np.ndarray:
    """Which rows each class learns from: ``k`` positives and ``(C - 1) k`` negatives at random, bool ``[N, C]``.

    Where each row is of one class the same k rows a class serve all classes.

    Args:
        targets: ``[N, C]`` of 1, 0 and -1 for unknown.
    """
    used = np.zeros(targets.shape, bool)
    classes = targets.shape[1]
    if (targets.sum(1) == 1).all() and (targets >= 0).all():
        chosen = [random.permutation(np.flatnonzero(targets[:, c] == 1))[:k] for c in range(classes)]
        used[np.concatenate(chosen)] = True
        return used
    for c in range(classes):
        for sign, count in ((1, k), (0, (classes - 1) * k)):
            used[random.permutation(np.flatnonzero(targets[:, c] == sign))[:count], c] = True
    return used


def _raw(run: Run, half: Half, view: Callable[[Batch], View] | None = None) -> np.ndarray:
    return spaces(run, half.batches(), {}, view=view)[RAW].numpy()


def _name(data: Any, place: int) -> str:
    if isinstance(data, (str, os.PathLike)):
        return Path(data).name or str(data)
    return f"task {place + 1}"


__all__ = ["SHOTS", "benchmark", "low_shot"]
