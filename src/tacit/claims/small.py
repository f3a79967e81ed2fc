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
from tacit.run import Run, completed

RunOf = Callable[[Run], Any]
GENTLE: dict[str, Any] = {"views.flip": 0.0, "views.crop_scale": (0.4, 1.0)}
"""Views after which a digit is still that digit."""


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


def trained(data: Any, method: str | type[Method], measure: RunOf, **options: Any) -> Any:
    """``measure(run)`` of a training that is thrown away afterwards."""
    views, seed, encoder = options.pop("views", None), options.pop("seed", 0), options.pop("encoder", None)
    kind = options.pop("modality", None)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        run = completed(
            api.pretrain(
                data, method, encoder, out=out, seed=seed, views=views, modality=kind, quiet=True, options=options
            )
        )
        return measure(run)


def probed(data: Digits, seed: int = 0) -> Callable[[Run], float]:
    """A measure: linear-probe accuracy on the test writers, in percent."""

    def measure(run: Run) -> float:
        return 100 * linear_probe(run.embed(data.x), data.y, run.embed(data.test), data.y_test, seed=seed).accuracy

    return measure


def untrained(data: Digits, seed: int = 0) -> Callable[[Run], dict[str, float]]:
    """A measure: linear-probe accuracy without training, in percent, of the run's encoder at random and of pixels."""

    def measure(run: Run) -> dict[str, float]:
        blank = run.random_encoder()
        spaces: dict[str, list[Any]] = {
            "random_encoder": [torch.cat(list(run.stream(run.open(x), blank))) for x in (data.x, data.test)],
            "pixels": [x.reshape(len(x), -1) / 255 for x in (data.x, data.test)],
        }
        probes = {name: linear_probe(a, data.y, b, data.y_test, seed=seed) for name, (a, b) in spaces.items()}
        return {name: 100 * found.accuracy for name, found in probes.items()}

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


def tinted(images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey images in a random hue: uint8 ``[N, 3, H, W]``, and the hue as a point on the circle, ``[N, 2]``."""
    hue = np.random.default_rng(seed).uniform(0, 1, len(images))
    distance = np.abs((hue[:, None] * 6 - np.array([0.0, 2.0, 4.0]) + 3) % 6 - 3)
    colour = np.clip(2 - distance, 0, 1)[:, :, None, None]
    angle = 2 * np.pi * hue
    return (images * (0.25 + 0.75 * colour)).astype(np.uint8), np.stack([np.cos(angle), np.sin(angle)], 1)


def linear_r2(z: torch.Tensor, y: np.ndarray, ridge: float = 1e-3) -> float:
    """R² of a ridge regression of ``y`` (``[N, k]``) from standardised ``z`` (``[N, D]``), fitted to the first half and
    measured on the second."""
    half, wanted = len(z) // 2, torch.from_numpy(y)
    rows = z.double()
    rows = (rows - rows[:half].mean(0)) / rows[:half].std(0).clamp_min(1e-6)
    rows = torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], 1)
    normal = rows[:half].T @ rows[:half] + ridge * half * torch.eye(rows.shape[1], dtype=rows.dtype)
    weights = torch.linalg.solve(normal, rows[:half].T @ wanted[:half])
    error = (rows[half:] @ weights - wanted[half:]).square().sum()
    return float(1 - error / (wanted[half:] - wanted[half:].mean(0)).square().sum())
