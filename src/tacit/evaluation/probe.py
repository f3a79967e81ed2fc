"""The linear probe: how well a linear classifier on frozen embeddings does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError, OptionError
from tacit.evaluation import arrays
from tacit.evaluation.arrays import Rows, as_labels, class_codes, full_precision
from tacit.evaluation.splits import split
from tacit.evaluation.standard import Standard

GRID = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
EXACT = 2**20
"""Numbers up to which a fit is in float64: float32 rounds the loss where it is flat, and the fit ends early."""
TOLERANCE, FINAL = 1e-4, 1e-5
"""Largest slopes at which fits end, see :func:`_fit`: those that choose the regularisation, and the last one."""
FLAT = {torch.float64: 1e-12, torch.float32: 1e-8}
"""Least relative gain of a step: float32 does not tell less apart, and the search along each line would be long."""
CURVED = 1024
"""Most dimensions whose covariance is used to shorten the way to the minimum."""
SELECTION = 100_000
"""Most training samples that take part in choosing the regularisation; the final fit uses all."""


@dataclass(frozen=True)
class Probe:
    """Outcome of a linear probe.

    Attributes:
        accuracy: share of the test rows classified correctly, 0 to 1.
        predictions: ``[Q]``, labels.
        l2: the regularisation used.
        validation_accuracy: accuracy on the validation part that chose it; None where there was no choice.
        classes: the labels that occur in training, sorted: ``[C]``.
        logits: float32 ``[Q, C]``, before the softmax; None unless they were asked for.
    """

    accuracy: float
    predictions: np.ndarray
    l2: float
    validation_accuracy: float | None
    classes: np.ndarray
    logits: np.ndarray | None = None


@dataclass(frozen=True)
class Classifier:
    """A linear classifier of embeddings, as :func:`fitted_probe` gives it.

    Attributes:
        l2, validation_accuracy, classes: see :class:`Probe`.
        name, dim: of what it was fitted to.
        standard: what brings rows to the scale that the weights are for.
        weights: ``[D + 1, C]``, the last row is the bias.
    """

    l2: float
    validation_accuracy: float | None
    classes: np.ndarray
    name: str
    dim: int
    standard: Standard
    weights: Tensor

    def logits(self, embeddings: Any) -> Iterator[Tensor]:
        """Of rows ``[R, D]``, before the softmax, some rows at a time: float32 ``[r, C]``."""
        rows = Rows.of(embeddings, "further embeddings")
        _same_width(self.name, self.dim, rows)
        for _, piece in rows.pieces(self.standard.rows):
            with full_precision():
                found = _logits(self.standard(piece), self.weights)
            yield found

    def classify(self, embeddings: Any) -> np.ndarray:
        """The labels of rows ``[R, D]``: ``[R]``."""
        return self.classes[torch.cat([part.argmax(1).cpu() for part in self.logits(embeddings)]).numpy()]


def linear_probe(
    train: Any,
    labels: Any,
    test: Any,
    test_labels: Any,
    grid: Sequence[float] = GRID,
    validation: float = 0.2,
    seed: int = 0,
    max_steps: int = 1000,
    keep_logits: bool = False,
) -> Probe:
    """Accuracy of :func:`fitted_probe` on other samples.

    Args:
        train, labels, grid, validation, seed, max_steps: see there.
        test: ``[Q, D]``.
        test_labels: ``[Q]``; a label that does not occur in training counts as an error.
        keep_logits: give them too.

    Raises:
        DataError: for empty or non-finite input, one class only, or sizes that do not match.
        OptionError: for an impossible option.
    """
    rows, others = Rows.of(train, "training embeddings"), Rows.of(test, "test embeddings")
    _same_width(rows.name, rows.dim, others)
    truth = as_labels(test_labels, others.n, "test labels")
    fitted = fitted_probe(rows, labels, grid, validation, seed, max_steps)
    kept, found = [], []
    for logits in fitted.logits(others):
        found.append(logits.argmax(1).cpu())
        if keep_logits:
            kept.append(logits.cpu())
    predictions = fitted.classes[torch.cat(found).numpy()]
    accuracy = float((predictions == truth).mean())
    logits_of_all = torch.cat(kept).numpy() if keep_logits else None
    return Probe(accuracy, predictions, fitted.l2, fitted.validation_accuracy, fitted.classes, logits_of_all)


def fitted_probe(
    train: Any,
    labels: Any,
    grid: Sequence[float] = GRID,
    validation: float = 0.2,
    seed: int = 0,
    max_steps: int = 1000,
) -> Classifier:
    """Multinomial logistic regression on standardised embeddings, by L-BFGS over all samples at once.

    Minimises mean cross-entropy + l2 / 2 * |W|^2, the bias unpenalised: scikit-learn's ``LogisticRegression`` on
    the same standardised input with C = 1 / (N * l2). The l2 is the value of the grid with the best accuracy (then
    loss) on a stratified part of the training set; the final fit is on all of it. Memory stays bounded: matrices
    beyond 1 GiB are read in pieces at each step.

    Args:
        train: ``[N, D]``, numpy (or memmap) or torch; the work is done on its device.
        labels: ``[N]`` integers or text, at least two different ones.
        grid: values of l2, above 0; a single one is used without a choice.
        validation: share of the training set that chooses.
        seed: of that part.
        max_steps: L-BFGS iterations for each fit.

    Raises:
        DataError: for empty or non-finite input, one class only, or labels that are not one a sample.
        OptionError: for an impossible option.
    """
    rows = Rows.of(train, "training embeddings")
    classes, codes = class_codes(as_labels(labels, rows.n, "training labels"), "training labels")
    if not grid or min(grid) <= 0:
        raise OptionError(f"grid must hold values above 0, not {list(grid)}")
    with full_precision():
        standard = Standard(rows)
        everything = _Part(rows, codes, np.arange(rows.n), standard)
        choice = _choose(everything, len(classes), sorted(grid, reverse=True), validation, seed, max_steps)
        weights = _fit(everything, len(classes), choice.l2, max_steps, choice.weights, FINAL)
    return Classifier(choice.l2, choice.accuracy, classes, rows.name, rows.dim, standard, weights)


def _same_width(name: str, dim: int, others: Rows) -> None:
    if dim != others.dim:
        raise DataError(f"{name} have {dim} dimensions, but {others.name} have {others.dim}")


class _Part:
    """Standardised training rows at some positions with their classes, held in memory if they fit."""

    def __init__(self, rows: Rows, codes: np.ndarray, index: np.ndarray, standard: Standard) -> None:
        self.source, self.codes, self.index, self.standard = rows, codes, index, standard
        self.dtype = torch.float64 if len(index) * rows.dim <= EXACT else torch.float32
        self.held: list[tuple[Tensor, Tensor]] | None = None
        if len(index) * rows.dim <= arrays.MEMORY:
            self.held = list(self.pieces())

    def pieces(self) -> Iterator[tuple[Tensor, Tensor]]:
        """``(x [n, D], class [n] int64)`` over all of it; ``x`` is float64 where that costs little, else float32."""
        if self.held is not None:
            yield from self.held
            return
        for start in range(0, len(self.index), self.standard.rows):
            where = self.index[start : start + self.standard.rows]
            target = torch.from_numpy(self.codes[where]).to(self.standard.mean.device)
            yield self.standard(self.source.take(where)).to(self.dtype), target

    def at(self, index: np.ndarray) -> _Part:
        """Some of its rows, by position in it."""
        return _Part(self.source, self.codes, self.index[index], self.standard)


@dataclass(frozen=True)
class _Choice:
    l2: float
    accuracy: float | None
    weights: Tensor | None


def _choose(
    part: _Part, classes: int, values: Sequence[float], validation: float, seed: int, max_steps: int
) -> _Choice:
    pool = np.arange(len(part.index))
    if len(pool) > SELECTION:
        pool = np.sort(np.random.default_rng(seed).choice(len(pool), SELECTION, replace=False))
    fitted, held_out = split(part.codes[part.index[pool]], validation, seed)
    if len(values) == 1 or not len(held_out):  # no class has a sample to spare
        return _Choice(values[len(values) // 2], None, None)
    train, valid = part.at(pool[fitted]), part.at(pool[held_out])
    best, best_loss, weights = _Choice(values[0], -1.0, None), float("inf"), None
    for l2 in values:  # from strong to weak, each from where the last one ended
        weights = _fit(train, classes, l2, max_steps, weights, TOLERANCE)
        right, loss = 0, 0.0
        for x, target in valid.pieces():
            logits = _logits(x, weights)
            right += int((logits.argmax(1) == target).sum())
            loss += float(F.cross_entropy(logits, target, reduction="sum"))
        accuracy = right / len(held_out)
        if best.accuracy is None or (accuracy, -loss) > (best.accuracy, -best_loss):
            best, best_loss = _Choice(l2, accuracy, weights), loss
    return best


def _logits(x: Tensor, weights: Tensor) -> Tensor:
    weights = weights.to(x.dtype)
    return torch.addmm(weights[-1], x, weights[:-1])


def _fit(part: _Part, classes: int, l2: float, max_steps: int, start: Tensor | None, tolerance: float = 1e-6) -> Tensor:
    """Weights ``[D + 1, C]`` (the last row is the bias) where no slope of the penalised loss exceeds the tolerance.

    The slope is that by coordinates in which the loss is about equally curved in all directions: the way to the minimum
    is several times shorter there than by the weights themselves, whose dimensions go together.
    """
    # SciPy's optimiser, as scikit-learn uses it: torch's own takes seconds to import what it does not need here.
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    first, _ = next(part.pieces())
    wide, n = first.shape[1], len(part.index)
    size = wide * classes

    share = (1 - 1 / classes) / classes  # p (1 - p), the curvature of the cross-entropy where it starts
    straight = _straightened(first, share, l2)
    shift = share**0.5

    def weights_at(flat: Tensor) -> tuple[Tensor, Tensor]:
        """Weights ``[C, D]`` and biases ``[C, 1]`` as they are applied."""
        return (flat[:size].view(classes, wide) @ straight).to(first), (flat[size:, None] / shift).to(first)

    def loss_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        # By hand, because the slope of each piece is added up before the next one is read. Classes come first
        # ([C, D], [C, n]): with few of them the products are several times faster than the other way round.
        weights, bias = weights_at(torch.from_numpy(flat).to(straight))
        slope, lift = torch.zeros_like(weights), torch.zeros_like(bias)
        loss = torch.zeros((), dtype=torch.float64, device=first.device)
        for x, target in part.pieces():
            log = F.log_softmax(torch.addmm(bias, weights, x.T), 0)
            loss -= log.gather(0, target[None]).double().sum()
            excess = log.exp_()
            excess.scatter_add_(0, target[None], torch.full_like(excess[:1], -1.0))
            slope.addmm_(excess, x)
            lift += excess.sum(1, keepdim=True)
        slope = slope / n + l2 * weights
        penalty = l2 / 2 * weights.double().square().sum()
        by_weights, by_bias = slope.double() @ straight.T, lift[:, 0].double() / (n * shift)
        return float(loss / n + penalty), torch.cat([by_weights.flatten(), by_bias]).cpu().numpy()

    begin = np.zeros(size + classes)
    if start is not None:
        there = torch.linalg.solve(straight.T, start[:-1].double()).T
        begin = torch.cat([there.flatten(), start[-1].double() * shift]).cpu().numpy()
    options = {"maxiter": max_steps, "maxcor": 20, "maxls": 30, "gtol": tolerance, "ftol": FLAT[part.dtype]}
    with threadpool_limits(1, user_api="blas"):  # SciPy's own threads would spin on the cores that torch computes on
        found = minimize(loss_and_slope, begin, jac=True, method="L-BFGS-B", options=options).x
    weights, bias = weights_at(torch.from_numpy(found).to(straight))
    return torch.cat([weights.T, bias.T])


def _straightened(x: Tensor, share: float, l2: float) -> Tensor:
    """What turns coordinates in which the loss is about equally curved into weights: float64 ``[D, D]``.

    The loss of each class is curved by about share * covariance + l2; with the Cholesky factor L of this, it is the
    inverse of L. Some rows tell the covariance well enough, as only the length of the way depends on it.
    """
    wide = x.shape[1]
    if wide > CURVED:
        return torch.eye(wide, dtype=torch.float64, device=x.device)
    some = x[:: max(1, len(x) // (2 * wide))].double()
    curved = some.T @ some * (share / len(some))
    curved.diagonal().add_(l2 + 1e-9)  # however small l2 is, there is a factor
    factor = torch.linalg.cholesky(curved)
    unit = torch.eye(wide, dtype=torch.float64, device=x.device)
    return torch.linalg.solve_triangular(factor, unit, upper=False)
