"""What is measured of each encoder: the same samples, the same split and the same probes for all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tacit.assessment.spaces import spaces
from tacit.data import Source, task_of
from tacit.errors import DataError
from tacit.evaluation.geometry import uniformity
from tacit.evaluation.knn import NEIGHBOURS, knn_predict
from tacit.evaluation.probe import linear_probe
from tacit.evaluation.rankme import spectrum
from tacit.evaluation.ridge import SCORES, as_targets, ridge_probe, score
from tacit.evaluation.splits import split
from tacit.run import Run

Row = dict[str, Any]
"""``rankme`` and ``uniformity``; with classes ``linear`` and ``knn`` (accuracies, shares) and under ``correct`` for
each of them one character a test sample, ``1`` where it was right; with other labels ``score``. Of a trained encoder
``loss``, the mean of the last that were logged."""

STRENGTHS = (1e-5, 1e-3, 1e-1)
"""Of the linear probe's regularisation, of which it chooses: every second one of ``tacit evaluate``, as fitting probes
is most of what a comparison does besides training."""
PAIRED = 4096
"""Most samples whose pairs uniformity looks at."""


@dataclass(frozen=True)
class Bench:
    """The samples that all encoders are measured on.

    Attributes:
        source: where they are from.
        index: which of its samples, int64 ``[n]``.
        train, test: positions in ``index`` to fit probes on and to test them on; None without labels.
        labels: of the samples at ``index``, or None.
        task: what the labels ask for, see :func:`tacit.data.task_of`.
        notes: sentences on what could not be measured.
    """

    source: Source
    index: Tensor
    train: np.ndarray | None
    test: np.ndarray | None
    labels: np.ndarray | None
    task: str
    notes: tuple[str, ...]

    @property
    def leading(self) -> str:
        """The measure that ranks: ``linear``, ``score``, or without labels ``rankme``."""
        return "rankme" if self.labels is None else "linear" if self.task == "classes" else "score"

    def about(self) -> dict[str, Any]:
        """Plain facts for the result."""
        facts: dict[str, Any] = {"samples": len(self.index), "of": len(self.source), "leading": self.leading}
        if self.labels is not None and self.train is not None and self.test is not None:
            facts |= {"task": self.task, "n_train": len(self.train), "n_test": len(self.test)}
            if self.task == "classes":
                facts["classes"] = len(np.unique(self.labels))
            else:
                facts["metric"] = SCORES[self.task]
        return facts


def bench(source: Source, samples: int) -> Bench:
    """Choose at most ``samples`` samples and divide them, always in the same way."""
    count = len(source)
    chosen = torch.arange(count)
    if samples < count:
        chosen = torch.from_numpy(np.sort(np.random.default_rng(0).choice(count, samples, replace=False)))
    task = task_of(source.labels)
    if source.labels is None:
        return Bench(source, chosen, None, None, None, task, ())
    labels = source.labels[chosen].cpu().numpy()
    if task == "classes" and len(np.unique(labels)) < 2:
        return Bench(source, chosen, None, None, None, task, ("all samples are of one class, so nothing is probed",))
    try:
        groups = None if source.groups is None else source.groups[chosen]
        train, test = split(labels if task == "classes" else len(labels), seed=0, groups=groups)
    except DataError as error:
        return Bench(source, chosen, None, None, None, task, (f"nothing is probed: {error}",))
    return Bench(source, chosen, train, test, labels, task, ())


def measure(found: Bench, networks: Mapping[str, nn.Module], run: Run, raw: bool = False) -> dict[str, Row]:
    """Measures of some encoders, in one pass over the samples.

    Args:
        networks: encoders for this run's evaluation view, by name.
        raw: measure the samples without an encoder too, as ``raw``.
    """
    rows = spaces(run, found.source.batches(256, found.index), networks, raw=raw)
    return {name: _row(found, x) for name, x in rows.items()}


def _row(found: Bench, rows: Tensor) -> Row:
    row: Row = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that k is lowered or the rank bounded is the same for all, and told once
        try:
            row["rankme"] = float(spectrum(rows).rankme)
            row["uniformity"] = float(uniformity(rows[_even(len(rows), PAIRED)]))
        except DataError:  # nothing but zeros, or one point: a collapse to show, not a reason to stop
            row = {"rankme": row.get("rankme", 0.0), "uniformity": 0.0}
        if found.train is None or found.test is None or found.labels is None:
            return row
        train, test = rows[found.train], rows[found.test]
        y, truth = found.labels[found.train], found.labels[found.test]
        if found.task != "classes":
            return row | {"score": _score(train, y, test, truth, found.task)}
        predicted = {
            "linear": linear_probe(train, y, test, truth, STRENGTHS).predictions,
            "knn": knn_predict(train, y, test, k=min(NEIGHBOURS, len(train))).predictions,
        }
    row["correct"] = {}
    for name, answers in predicted.items():
        right = answers == truth
        row[name] = float(right.mean())
        row["correct"][name] = "".join("01"[int(hit)] for hit in right)
    return row


def _even(count: int, most: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, most)).long()


def _score(train: Tensor, y: np.ndarray, test: Tensor, truth: np.ndarray, task: str) -> float:
    targets, wanted = as_targets(y, len(train)), as_targets(truth, len(test))
    predictions = ridge_probe(train, targets, test).predictions
    return float(score(predictions, wanted, task)[0])
