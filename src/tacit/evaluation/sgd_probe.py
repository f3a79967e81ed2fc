"""Heads on frozen features trained by SGD, as papers did it: a linear one with batch norm in front, and an MLP."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.errors import DataError, OptionError
from tacit.evaluation.arrays import Rows, as_labels, class_codes, full_precision
from tacit.evaluation.standard import Standard

PIECE = 4096
"""Rows that go through a head at a time when it is tested."""


@dataclass(frozen=True)
class Recipe:
    """How a head is trained by SGD with momentum 0.9.

    Attributes:
        lr: learning rate for batches of 256; it is proportional to the size of the batches.
        batch_size: rows a step, or all of them where there are fewer.
        epochs: passes over the rows.
        drops: shares of the training after which the rate is a tenth of what it was, in [0, 1].
        nesterov: Nesterov's momentum.
        weight_decay: of all weights, biases too.
        norm: batch norm without scale and shift in front, by running statistics in the test. Without it features are
            brought to mean 0 and deviation 1 by those of all training rows, as for the other probes.
        hidden: units of a hidden layer with ReLU; 0 for a linear head, which starts at zero.
        dropout: share of the hidden units that are dropped in training.

    Raises:
        OptionError: for an impossible value.
    """

    lr: float = 0.1
    batch_size: int = 512
    epochs: int = 70
    drops: tuple[float, ...] = (30 / 70, 50 / 70)
    nesterov: bool = False
    weight_decay: float = 1e-4
    norm: bool = False
    hidden: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.weight_decay < 0:
            raise OptionError(f"needs lr above 0 and weight_decay from 0, not {self.lr} and {self.weight_decay}")
        if self.batch_size < 2 or self.epochs < 1 or self.hidden < 0:
            raise OptionError(
                f"needs batch_size from 2, epochs from 1 and hidden from 0, not {self.batch_size}, {self.epochs} and "
                f"{self.hidden}"
            )
        if not all(0 <= share <= 1 for share in self.drops):
            raise OptionError(f"drops must be shares of the training in [0, 1], not {list(self.drops)}")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout must lie in [0, 1), not {self.dropout}")


LINEAR = Recipe()
"""Kolesnikov et al. 2019: rate 0.1 for 256, batches of 512, a tenth after 30 and 50 of 70 epochs."""
MLP = replace(LINEAR, hidden=1000, dropout=0.5)
"""The same with one hidden layer of 1,000 units of which half are dropped."""
NORMED = Recipe(lr=0.01, batch_size=256, epochs=28, drops=(2 / 7, 4 / 7, 6 / 7), nesterov=True, norm=True)
"""Goyal et al. 2019: batch norm without scale and shift, then a linear layer; 140,000 steps of 256 of ImageNet are 28
passes, with a tenth of the rate after each 40,000."""


@dataclass(frozen=True)
class Trained:
    """A head as :func:`fitted_head` gives it.

    Attributes:
        head: from features to scores, in evaluation mode, on the features' device.
        standard: what its features go through first; None where the head has batch norm.
        name, dim: of what it was fitted to.
    """

    head: nn.Sequential
    standard: Standard | None
    name: str
    dim: int

    def scores(self, features: Any) -> np.ndarray:
        """Of rows ``[Q, D]``, before softmax or sigmoid: float32 ``[Q, C]``."""
        rows = Rows.of(features, "test features")
        if rows.dim != self.dim:
            raise DataError(f"{self.name} have {self.dim} dimensions, but {rows.name} have {rows.dim}")
        with full_precision():
            parts = [self.head(_ready(piece, self.standard)).cpu() for _, piece in rows.pieces(PIECE)]
        return torch.cat(parts).numpy()


@dataclass(frozen=True)
class HeadProbe:
    """Outcome of :func:`head_probe`.

    Attributes:
        accuracy: share of the test rows classified correctly, 0 to 1.
        predictions: labels, ``[Q]``.
        classes: the labels that occur in training, sorted: ``[C]``.
        scores: float32 ``[Q, C]``, before the softmax.
    """

    accuracy: float
    predictions: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


def head_probe(train: Any, labels: Any, test: Any, test_labels: Any, recipe: Recipe = MLP, seed: int = 0) -> HeadProbe:
    """Accuracy of a head that SGD trains on frozen features with softmax cross-entropy.

    Args:
        train: ``[N, D]``, numpy (or memmap) or torch; the work is done on its device.
        labels: ``[N]`` integers or text, at least two different ones.
        test, test_labels: ``[Q, D]`` and ``[Q]``; a label that training lacks counts as an error.
        recipe: :data:`MLP`, :data:`LINEAR`, :data:`NORMED`, or one of your own.
        seed: of the weights, the order and what is dropped.

    Raises:
        DataError: for empty or non-finite input, one class only, or sizes that do not match.
    """
    rows, others = Rows.of(train, "training features"), Rows.of(test, "test features")
    classes, codes = class_codes(as_labels(labels, rows.n, "training labels"), "training labels")
    truth = as_labels(test_labels, others.n, "test labels")
    scores = fitted_head(rows, torch.from_numpy(codes), recipe, seed).scores(others)
    predictions = classes[scores.argmax(1)]
    return HeadProbe(float((predictions == truth).mean()), predictions, classes, scores)


def fitted_head(train: Any, targets: Tensor, recipe: Recipe, seed: int = 0) -> Trained:
    """A head trained by SGD.

    Args:
        train: ``[N, D]``, N at least 2.
        targets: classes, int64 ``[N]`` from 0, for softmax cross-entropy; or ``[N, C]`` of 1, 0 and -1, for the mean
            binary cross-entropy over what is not -1.
        recipe, seed: see :func:`head_probe`.

    Raises:
        DataError: for other targets, fewer than two rows, or features that are not finite.
    """
    rows = Rows.of(train, "training features")
    if rows.n < 2 or len(targets) != rows.n or targets.ndim > 2:
        raise DataError(f"a head needs one target for each of at least 2 rows, not {list(targets.shape)} for {rows.n}")
    outputs = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    targets = targets.to(rows.device)
    random = np.random.default_rng([seed, 0x5D])
    size = min(recipe.batch_size, rows.n)
    steps = recipe.epochs * max(1, rows.n // size)
    devices = [rows.device] if rows.device.type == "cuda" else []
    with full_precision(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(random.integers(2**63)))
        standard = None if recipe.norm else Standard(rows)
        width = rows.dim if standard is None else standard(rows.take(slice(0, 1))).shape[1]
        head = _head(width, outputs, recipe).to(rows.device).train()
        lr = recipe.lr * size / 256
        optimiser = torch.optim.SGD(
            head.parameters(), lr, momentum=0.9, weight_decay=recipe.weight_decay, nesterov=recipe.nesterov
        )
        dropped = [math.ceil(share * steps) for share in recipe.drops]
        order = np.empty(0, np.int64)
        for step in range(steps):
            if len(order) < size:  # what a pass leaves over is less than a batch, and another pass's
                order = random.permutation(rows.n)
            here, order = order[:size], order[size:]
            for group in optimiser.param_groups:
                group["lr"] = lr * 0.1 ** sum(step >= at for at in dropped)
            with torch.enable_grad():
                loss = _loss(head(_ready(rows.take(here), standard)), targets[torch.from_numpy(here).to(rows.device)])
                optimiser.zero_grad()
                loss.backward()
            optimiser.step()
    return Trained(head.eval(), standard, rows.name, rows.dim)


def _head(width: int, outputs: int, recipe: Recipe) -> nn.Sequential:
    first = [nn.BatchNorm1d(width, affine=False)] if recipe.norm else []
    if recipe.hidden:
        hidden = [nn.Linear(width, recipe.hidden), nn.ReLU(), nn.Dropout(recipe.dropout)]
        return nn.Sequential(*first, *hidden, nn.Linear(recipe.hidden, outputs))
    linear = nn.Linear(width, outputs)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(*first, linear)


def _ready(piece: Tensor, standard: Standard | None) -> Tensor:
    return piece if standard is None else standard(piece)


def _loss(scores: Tensor, targets: Tensor) -> Tensor:
    if targets.ndim == 1:
        return F.cross_entropy(scores, targets)
    known = targets >= 0
    each = F.binary_cross_entropy_with_logits(scores, (targets == 1).to(scores), reduction="none")
    return (each * known).sum() / known.sum().clamp_min(1)


__all__ = ["LINEAR", "MLP", "NORMED", "HeadProbe", "Recipe", "Trained", "fitted_head", "head_probe"]
