"""Linear support vector machines on frozen features, one a class, with the cost chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError, OptionError
from tacit.evaluation.arrays import Rows, as_labels, class_codes, full_precision

COSTS = tuple(sorted({float(f"1e{power}") for power in range(-7, 3)} | {0.5**power for power in range(4, 20)}))
"""Decades from 1e-7 to 100, and halvings from 1/16 to 1/524288."""
POSITIVE = 2.0
"""Weight of a positive sample beside a negative one."""
PLAIN_COST = 1.0
"""Cost of a class with too few positives to choose it."""


@dataclass(frozen=True)
class SVM:
    """Outcome of support vector machines, one a class.

    Attributes:
        scores: signed distances of the test rows, times the weights' length: float32 ``[Q, C]``.
        costs: of each class, ``[C]``; NaN for a class that was left out.
        validation: average precision that chose the cost, ``[C]``; NaN where there was no choice.
        folds: parts of the cross-validation, int ``[C]``; 0 where there was none.
        left_out: classes without a positive or without a negative sample to train on.
    """

    scores: np.ndarray
    costs: np.ndarray
    validation: np.ndarray
    folds: np.ndarray
    left_out: tuple[int, ...]


def one_against_rest(labels: Any, n: int, classes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels as targets of one classifier a class: ``(int8 [N, C] of 1, 0 and -1 for unknown, names of classes [C])``.

    Args:
        labels: classes ``[N]``, booleans ``[N, C]``, or integers ``[N, C]`` of 1, 0 and -1.
        n: N.
        classes: those to use, for labels ``[N]``; by default those that occur, at least two.

    Raises:
        DataError: for other labels, or only one class.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.ndim == 1:
        names = as_labels(array, n)
        found = class_codes(names)[0] if classes is None else classes
        return (names[:, None] == found).astype(np.int8), found
    if array.ndim != 2 or len(array) != n or array.dtype.kind not in "bi" or not np.isin(array, (-1, 0, 1)).all():
        raise DataError(f"labels of several classes must be [{n}, classes] of true and false, or of 1, 0 and -1")
    return array.astype(np.int8), np.arange(array.shape[1])


def precision_curve(value: np.ndarray, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hits, and the precision, among all that score at least so much: at each score that occurs, highest first.

    Args:
        value: scores ``[n]``.
        hit: which are right, bool ``[n]``.
    """
    order = np.argsort(-value, kind="stable")
    value, hit = value[order], hit[order]
    ends = np.append(np.flatnonzero(np.diff(value)), len(value) - 1)
    right = hit.cumsum()[ends]
    return right, right / (ends + 1)


def average_precision(scores: np.ndarray, targets: np.ndarray, envelope: bool = True) -> np.ndarray:
    """Area under the curve of precision over recall, of each class.

    Args:
        scores: ``[Q, C]``, larger for what is more likely; equal ones share the last of their ranks.
        targets: ``[Q, C]`` of 1, 0 and -1, which is left out.
        envelope: take at each recall the best precision at that recall or beyond, as VOC does from 2010 on (all
            points); else the precision there, as scikit-learn does.

    Returns:
        float64 ``[C]``; NaN for a class without a positive.
    """
    found = np.full(targets.shape[1], np.nan)
    for column in range(targets.shape[1]):
        known = targets[:, column] >= 0
        value, hit = scores[known, column], targets[known, column] == 1
        if not hit.any():
            continue
        right, precision = precision_curve(value, hit)
        if envelope:
            precision = np.maximum.accumulate(precision[::-1])[::-1]
        found[column] = (np.diff(right, prepend=0) * precision).sum() / right[-1]
    return found


def svm_probe(
    train: Any,
    targets: np.ndarray,
    test: Any,
    *,
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    used: np.ndarray | None = None,
    seed: int = 0,
) -> SVM:
    """One linear support vector machine a class, on features of unit length.

    Each minimises ``|w|^2 / 2 + b^2 / 2 + cost * sum_i s_i max(0, 1 - t_i (w x_i + b))^2`` with s = 2 for positives:
    scikit-learn's ``LinearSVC`` with the squared hinge and ``class_weight={1: 2, -1: 1}``. All classes are solved
    together by L-BFGS. The cost of a class is that with the best average precision (:func:`average_precision`) in
    cross-validation on the training rows alone; a class with fewer positives (or negatives) than folds has as many
    folds as it has of them, and with only one the cost 1.

    Args:
        train: ``[N, D]``.
        targets: ``[N, C]`` of 1, 0 and -1 for unknown, which is ignored; see :func:`one_against_rest`.
        test: ``[Q, D]``.
        costs: to choose from, above 0.
        folds: parts of the cross-validation, at least 2.
        used: bool ``[N, C]``, which rows each class may learn from; by default all.
        seed: of the division into folds.

    Raises:
        DataError: for sizes that do not match, non-finite features, or no class that can be trained.
        OptionError: for an impossible option.
    """
    rows, others = Rows.of(train, "training features"), Rows.of(test, "test features")
    if rows.dim != others.dim:
        raise DataError(f"{rows.name} have {rows.dim} dimensions, but {others.name} have {others.dim}")
    if targets.ndim != 2 or len(targets) != rows.n:
        raise DataError(f"targets must be [{rows.n}, classes], not of shape {list(targets.shape)}")
    if not costs or min(costs) <= 0:
        raise OptionError(f"costs must be above 0, not {list(costs)}")
    if folds < 2:
        raise OptionError(f"folds must be at least 2, not {folds}")
    known = (targets >= 0) if used is None else (targets >= 0) & used
    positives, negatives = ((known & (targets == sign)).sum(0) for sign in (1, 0))
    able = np.flatnonzero((positives > 0) & (negatives > 0))
    if not len(able):
        raise DataError("no class has both a positive and a negative training sample")
    sign = torch.from_numpy(np.where(targets[:, able] == 1, 1.0, -1.0).astype(np.float32))
    weight = torch.from_numpy(known[:, able] * np.where(targets[:, able] == 1, POSITIVE, 1.0)).float()
    with full_precision():
        x, basis = _features(rows)
        sign, weight = sign.to(x.device), weight.to(x.device)
        parts, count = _parts(targets[:, able], known[:, able], folds, seed)
        validation = np.full((len(costs), len(able)), np.nan)
        ascending = sorted(costs)
        if len(ascending) > 1 and (count > 0).any():
            held = [torch.from_numpy(parts == fold).to(x.device) for fold in range(folds)]
            starts: list[Tensor | None] = [None] * folds
            for place, cost in enumerate(ascending):
                values = []
                for fold in range(folds):
                    found = _fit(x, sign, weight * ~held[fold], np.full(len(able), cost), starts[fold], 100)
                    starts[fold] = found
                    seen = np.where(parts == fold, targets[:, able], -1)
                    values.append(average_precision((x @ found).cpu().numpy(), seen))
                validation[place] = _mean(np.array(values), np.arange(folds)[:, None] < count)
        chosen, best = _chosen(np.array(ascending), validation)
        weights = _fit(x.double(), sign.double(), weight.double(), chosen, None, 1000).to(x)
        rest = [(_unit(piece, basis) @ weights).cpu() for _, piece in others.pieces(max(1, 2**24 // rows.dim))]
    scores = np.full((others.n, targets.shape[1]), -np.inf, np.float32)
    scores[:, able] = torch.cat(rest).numpy()
    return SVM(
        scores,
        _spread(chosen, able, targets.shape[1]),
        _spread(best, able, targets.shape[1]),
        np.nan_to_num(_spread(count, able, targets.shape[1])).astype(int),
        tuple(np.setdiff1d(np.arange(targets.shape[1]), able).tolist()),
    )


def _unit(piece: Tensor, basis: Tensor | None) -> Tensor:
    """Rows over their length (plus 1e-5), on the basis if there is one, with a last column of 1 for the bias."""
    piece = piece / (torch.linalg.vector_norm(piece, dim=1, keepdim=True) + 1e-5)
    return F.pad(piece if basis is None else piece @ basis, (0, 1), value=1.0)


def _features(rows: Rows) -> tuple[Tensor, Tensor | None]:
    """Training features, and with more columns than rows a basis of their span: weights lie in it, and less work."""
    basis = None
    if rows.dim > rows.n:
        whole = rows.take(slice(None))
        whole = whole / (torch.linalg.vector_norm(whole, dim=1, keepdim=True) + 1e-5)
        basis = torch.linalg.qr(whole.T).Q
    return torch.cat([_unit(piece, basis) for _, piece in rows.pieces(max(1, 2**24 // rows.dim))]), basis


def _parts(targets: np.ndarray, known: np.ndarray, folds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The fold of each row for each class (-1: never held out), positives and negatives dealt apart; and how many
    folds each class has, 0 for one that cannot be divided."""
    random = np.random.default_rng(seed)
    parts = np.full(targets.shape, -1)
    count = np.zeros(targets.shape[1], int)
    order = random.permutation(len(targets))
    for column in range(targets.shape[1]):
        groups = [order[(known[:, column] & (targets[:, column] == sign))[order]] for sign in (1, 0)]
        least = min(map(len, groups))
        if least < 2:
            continue
        count[column] = min(folds, least)
        for group in groups:
            parts[group, column] = np.arange(len(group)) % count[column]
    return parts, count


def _mean(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    return np.where(real, values, 0).sum(0) / np.where(real.any(0), real.sum(0), np.nan)


def _chosen(costs: np.ndarray, validation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best cost of each class (of equal ones the smallest) with its average precision."""
    if len(costs) == 1:
        return np.full(validation.shape[1], costs[0]), validation[0]
    none = np.isnan(validation).all(0)
    place = np.where(np.isnan(validation), -np.inf, validation).argmax(0)
    best = validation[place, np.arange(len(place))]
    return np.where(none, PLAIN_COST, costs[place]), np.where(none, np.nan, best)


def _fit(x: Tensor, sign: Tensor, weight: Tensor, costs: np.ndarray, start: Tensor | None, steps: int) -> Tensor:
    """Weights ``[D, C]`` of all classes, the bias among them."""
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    shape = (x.shape[1], sign.shape[1])
    scale = 1 / (1 + costs * weight.sum(0).double().cpu().numpy())  # so that no class outweighs the others
    share = torch.from_numpy(scale).to(x)
    force = torch.from_numpy(costs * scale).to(x)

    def loss_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = torch.from_numpy(flat).view(shape).to(x)
        short = (1 - sign * (x @ w)).clamp_min_(0)
        pull = weight * short
        loss = (share * w.square().sum(0) / 2 + force * (pull * short).sum(0)).double().sum()
        slope = share * w - 2 * force * (x.T @ (sign * pull))
        return float(loss), slope.double().cpu().numpy().ravel()

    begin = np.zeros(shape) if start is None else start.double().cpu().numpy()
    options = {"maxiter": steps, "maxcor": 20, "gtol": 1e-7, "ftol": 1e-9 if x.dtype == torch.float32 else 1e-13}
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss_and_slope, begin.ravel(), jac=True, method="L-BFGS-B", options=options).x
    return torch.from_numpy(found).view(shape).to(x)


def _spread(values: np.ndarray, where: np.ndarray, count: int) -> np.ndarray:
    found = np.full(count, np.nan)
    found[where] = values
    return found


__all__ = ["COSTS", "SVM", "average_precision", "one_against_rest", "precision_curve", "svm_probe"]
