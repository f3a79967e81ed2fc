"""The benchmark's classifier that SGD trains, on one layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.assessment.finetune import single_views
from tacit.data import Batch
from tacit.errors import DataError
from tacit.evaluation.sgd_probe import Recipe, fitted_head
from tacit.evaluation.splits import split
from tacit.evaluation.svm import average_precision
from tacit.parts.draws import Draws
from tacit.run import Run
from tacit.views.base import View


@dataclass(frozen=True)
class Head:
    """How heads are trained.

    Attributes:
        recipe: of the SGD.
        crops: random views of each training sample that it learns from; 0 for the samples as they are.
        seed: of the views, the part that chooses the layer, and the SGD.
    """

    recipe: Recipe
    crops: int
    seed: int

    def shown(self, run: Run) -> list[Callable[[Batch], View]]:
        """What makes the random views, those of a training with labels: one function for each crop."""
        make = single_views(run)

        def maker(number: int) -> Callable[[Batch], View]:
            def view(batch: Batch) -> View:
                first = int(batch["index"][0])
                return make(batch, Draws.seeded(self.seed, number, first, device=batch["index"].device))[0]

            return view

        return [maker(number) for number in range(self.crops)]

    def figures(
        self, learn: np.ndarray, x: np.ndarray, targets: np.ndarray, other: np.ndarray, truth: np.ndarray, single: bool
    ) -> dict[str, Any]:
        """Value and validation (on a fifth of the samples; None where there is nothing to find) of one layer.

        Args:
            learn: features that are learned from, ``[k * N, D]``: k views of the N training samples.
            x: features of these as they are, ``[N, D]``.
            targets: ``[N, C]`` of 1, 0 and -1 for unknown.
            other, truth: ``[Q, D]`` and ``[Q, C]`` to test on.
            single: whether each sample has one class: accuracy is told then, else mean average precision.
        """
        n = len(x)
        codes = targets.argmax(1) if single else None
        y = torch.from_numpy(targets if codes is None else codes).long()
        times = len(learn) // n

        def value(rows: np.ndarray, labels: Tensor, asked: np.ndarray, wanted: np.ndarray) -> float:
            scores = fitted_head(rows, labels, self.recipe, self.seed).scores(asked)
            if codes is None:
                return precision(scores, wanted)
            return float(wanted[np.arange(len(wanted)), scores.argmax(1)].mean())  # a strange class has no 1 in its row

        fitted, held = split(n if codes is None else codes, 0.2, self.seed)
        validation = None
        if (targets[held] == 1).any():  # else no class has a sample to find, or nothing is held out
            several = (np.arange(times)[:, None] * n + fitted).ravel()
            validation = value(learn[several], y[fitted].repeat(times, *[1] * (y.ndim - 1)), x[held], targets[held])
        everything = y.repeat(times, *[1] * (y.ndim - 1))
        return {"value": value(learn, everything, other, truth), "validation": validation, "width": x.shape[1]}


def precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean average precision over the classes that have a sample to find.

    Raises:
        DataError: if none has.
    """
    values = average_precision(scores, truth)
    if np.isnan(values).all():
        raise DataError("no class of the test data has a sample to find")
    return float(np.nanmean(values))


__all__ = ["Head", "precision"]
