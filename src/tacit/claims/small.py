"""What the small experiments share: a training in a temporary folder, and probes of what it learned."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from tacit import api, registry
from tacit.evaluation.knn import knn_accuracy
from tacit.evaluation.probe import linear_probe
from tacit.methods.base import Method
from tacit.modalities.image.synthetic import SCALE, scattered_digits
from tacit.run import Run

RunOf = Callable[[Run], Any]


class Digits(NamedTuple):
    """Scattered digits of writers to train on, and of others to test on."""

    x: np.ndarray
    y: np.ndarray
    test: np.ndarray
    y_test: np.ndarray


def digits(
    seed: int, train: int, test: int = 1000, size: int = 24, clutter: int = 0, scale: tuple[float, float] = SCALE
) -> Digits:
    """Scattered digits, ``train`` and ``test`` of them; see :func:`scattered_digits` for the rest."""
    parts = (("train", train), ("test", test))
    rows = [scattered_digits(part, count=n, seed=seed, size=size, clutter=clutter, scale=scale) for part, n in parts]
    return Digits(*rows[0], *rows[1])


def trained(data: np.ndarray, method: str | type[Method], measure: RunOf, **options: Any) -> Any:
    """``measure(run)`` of a training that is thrown away afterwards."""
    views, seed = options.pop("views", None), options.pop("seed", 0)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        return measure(api.pretrain(data, method, out=out, seed=seed, views=views, quiet=True, options=options))


def probed(data: Digits, seed: int = 0) -> Callable[[Run], float]:
    """A measure: linear-probe accuracy on the test writers, in percent."""

    def measure(run: Run) -> float:
        return 100 * linear_probe(run.embed(data.x), data.y, run.embed(data.test), data.y_test, seed=seed).accuracy

    return measure


def snapshots(name: str, shares: Sequence[float]) -> tuple[type[Method], list[tuple[float, dict[str, Any]]]]:
    """A method that keeps its encoder's weights at some shares of the training, and the list that they go to."""
    kept: list[tuple[float, dict[str, Any]]] = []
    base: type[Method] = registry.find(name, "method")

    class Kept(base):  # type: ignore[misc, valid-type]
        def after_step(self, progress: float) -> None:
            super().after_step(progress)
            if len(kept) < len(shares) and progress >= shares[len(kept)] - 1e-9:
                kept.append((progress, {k: v.detach().clone() for k, v in self.encoder.state_dict().items()}))

    return Kept, kept


def knn_of(encoder: torch.nn.Module, run: Run, data: Digits, k: int = 10) -> float:
    """k-NN accuracy of an encoder on the test writers, in percent."""
    spaces = [torch.cat(list(run.stream(run.open(part), encoder))) for part in (data.x, data.test)]
    return 100 * knn_accuracy(spaces[0], data.y, spaces[1], data.y_test, k=k)
