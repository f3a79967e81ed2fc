"""What an encoder's maps are worth where every pixel is predicted: classes, depth or surface normals."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.assessment.few_labels import learning_parts, sizes_of, with_utility
from tacit.assessment.finetune import Tuning, descend
from tacit.assessment.halves import Half, halves
from tacit.assessment.joined import Joined
from tacit.data import Batch, moved
from tacit.errors import DataError, unknown
from tacit.evaluation.maps import class_figures, depth_figures, normal_figures
from tacit.parts.draws import mix
from tacit.run import Run, fastest, through

KINDS = {"classes": "accuracy", "depth": "within_1.1", "normals": "within_11.25"}
"""What is predicted of each pixel, and the figure that utility is counted by."""
STARTS = ("trained", "scratch", "frozen")
WIDTH = 64
"""Channels of the head."""


def map_curve(
    run: Run,
    data: Any,
    test: Any = None,
    *,
    kind: str,
    sizes: Sequence[int] | None = None,
    tuning: Tuning | None = None,
    validation: float = 0.2,
    test_fraction: float = 0.25,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Predicting a number, or three, or a class for each pixel at growing numbers of labelled images: by the encoder
    fine-tuned, trained from scratch, and frozen; and the utility of pretraining (:func:`tacit.evaluation.utility`).

    A small head joins the encoder's maps of all resolutions. Images are as the encoder is shown them in an evaluation,
    without augmentation, which would have to move the maps too. Classes learn by cross-entropy, depth by the absolute
    error over the largest depth, normals by the cosine. What was not measured (class -1, depth 0, normal 0) neither
    trains nor counts. Every single training has its own best rate, found on a part of the training images.

    Args:
        data, test: images and their maps, one row of numbers an image: ``[N, H * W]``, for normals ``[N, 3 * H * W]``,
            where H = W.
        kind: ``classes``, ``depth`` or ``normals``.
        sizes: numbers of labelled images, ascending, at least 4; by default doublings of 5, up to all.
        tuning, validation, seed: see :func:`tacit.assessment.few_labels.label_curve`.

    Returns:
        ``sizes``; at each of them ``trained``, ``scratch`` and ``frozen`` (share of pixels: right classes, depth within
        a factor of 1.1, normals within 11.25 degrees), all ``figures`` of these, and the ``rates`` taken; ``utility``,
        its ``bounds``, and ``pool``.

    Raises:
        DataError: for labels that are no such maps, or too few images.
        OptionError: for another kind, impossible sizes, or an encoder without maps.
    """
    train, held = halves(run, data, test, fraction=test_fraction, seed=seed, reading=reading)
    return of_maps(run, train, held, kind, sizes, tuning, validation, seed)


def of_maps(
    run: Run,
    train: Half,
    test: Half,
    kind: str,
    sizes: Sequence[int] | None = None,
    tuning: Tuning | None = None,
    validation: float = 0.2,
    seed: int = 0,
) -> dict[str, Any]:
    """:func:`map_curve` of data that is divided already."""
    if kind not in KINDS:
        raise unknown("kind of map", kind, KINDS)
    tuning = tuning or Tuning()
    pool, valid, order = learning_parts(train, validation, seed)
    chosen = sizes_of(sizes, len(pool))
    goal = _Goal(kind, train.y, test.y)
    result: dict[str, Any] = {"sizes": chosen, **{start: [] for start in STARTS}}
    result |= {"figures": [], "rates": [], "pool": len(pool)}
    for n in chosen:
        figures, rates = {}, {}
        for start in STARTS:
            part = pool.some(order[:n])
            network, rates[start] = _best(run, start, part, valid, goal, tuning, seed)
            figures[start] = goal.figures(_predicted(run, network, test), test.y)
            result[start].append(figures[start][KINDS[kind]])
        result["figures"].append(figures)
        result["rates"].append(rates)
    return with_utility(result)


class _Goal:
    """What is predicted, by what loss, and how good it is."""

    def __init__(self, kind: str, y: Tensor, truth: Tensor) -> None:
        self.kind, self.channels = kind, 3 if kind == "normals" else 1
        for labels, what in ((y, "training"), (truth, "test")):
            side = math.isqrt(labels.shape[1] // self.channels) if labels.ndim == 2 else 0
            if side < 2 or labels.shape[1] != self.channels * side**2:
                numbers = "3 x H x H" if self.channels == 3 else "H x H"
                raise DataError(f"{what} maps of {kind} must be {numbers} numbers a sample, not {list(labels.shape)}")
        if y.shape[1] != truth.shape[1]:
            raise DataError(f"training and test maps must have one size, not {y.shape[1]} and {truth.shape[1]} numbers")
        self.side = math.isqrt(y.shape[1] // self.channels)
        self.outputs, self.scale = self.channels, 1.0
        if kind == "classes":
            if bool((y != y.round()).any() | (y < -1).any()):
                raise DataError("maps of classes must hold whole numbers from 0, or -1 where nobody knows")
            self.outputs = int(y.max()) + 1
            if len(y[y >= 0].unique()) < 2:
                raise DataError("maps of classes must have at least two classes")
        if kind == "depth":
            self.scale = float(y.max())
            if self.scale <= 0:
                raise DataError("maps of depth must have depths above 0")

    def maps(self, y: Tensor) -> Tensor:
        """Labels as maps: ``[N, C, S, S]``, without C for classes and depth."""
        shape = (len(y), self.channels, self.side, self.side)
        return y.view(shape) if self.channels > 1 else y.view(shape)[:, 0]

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        real = self.maps(y).to(scores.device)
        if self.kind == "classes":
            known = real.long()
            return F.cross_entropy(scores, known, ignore_index=-1, reduction="sum") / (known >= 0).sum().clamp_min(1)
        real = real.float()
        if self.kind == "depth":
            known = real > 0
            return ((scores[:, 0] - real / self.scale).abs() * known).sum() / known.sum().clamp_min(1)
        known = real.norm(dim=1) > 0
        return ((1 - F.cosine_similarity(scores, real, dim=1)) * known).sum() / known.sum().clamp_min(1)

    def figures(self, scores: Tensor, y: Tensor) -> dict[str, float]:
        """Figures of scores ``[N, outputs, S, S]``."""
        real = self.maps(y).numpy()
        if self.kind == "classes":
            return class_figures(scores.argmax(1).numpy(), real.astype(np.int64))
        if self.kind == "depth":
            return depth_figures(scores[:, 0].numpy() * self.scale, real)
        return normal_figures(scores.numpy(), real)


class Mapper(Joined):
    """An encoder with a head that joins its maps at the finest resolution, takes a 3x3 convolution of them, and brings
    the result to the side of the labels."""

    def __init__(self, encoder: nn.Module, view: Mapping[str, Any], outputs: int, side: int, frozen: bool) -> None:
        super().__init__(encoder, view, WIDTH, frozen, "predicting maps")
        self.side = side
        self.head = nn.Sequential(
            nn.GroupNorm(8, WIDTH), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.GroupNorm(8, WIDTH), nn.ReLU(), nn.Conv2d(WIDTH, outputs, 1),
        )  # fmt: skip

    def forward(self, view: Mapping[str, Any]) -> Tensor:
        """A view to scores ``[B, outputs, S, S]``."""
        scores = self.head(super().forward(view))
        return F.interpolate(scores, (self.side, self.side), mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class _Kept:
    network: Mapper
    rate: float
    value: float


def _best(
    run: Run, start: str, train: Half, valid: Half, goal: _Goal, tuning: Tuning, seed: int
) -> tuple[Mapper, float]:
    """The best of the rates on the validation part."""
    best: _Kept | None = None
    for rate in tuning.rates:
        network = _fitted(run, start, train, goal, tuning, rate, seed)
        value = goal.figures(_predicted(run, network, valid), valid.y)[KINDS[goal.kind]]
        if best is None or value > best.value:
            best = _Kept(network, rate, value)
    assert best is not None
    return best.network, best.rate


def _fitted(run: Run, start: str, train: Half, goal: _Goal, tuning: Tuning, rate: float, seed: int) -> Mapper:
    device, views = fastest(), run.evaluation_view()
    encoder = run.random_encoder() if start == "scratch" else copy.deepcopy(run.encoder)
    torch.manual_seed(mix(seed, 0xF17E))
    first = views(train.source.batch(train.rows[:2]))[0]
    network = Mapper(encoder, first, goal.outputs, goal.side, start == "frozen").to(device).train()

    def loss(step: int, rows: Tensor) -> Tensor:
        (view, *_) = views(moved(train.source.batch(train.rows[rows]), device))
        return goal.loss(network(view).float(), train.y[rows])

    descend(network, loss, len(train), tuning, rate, seed)
    return network.eval().cpu()


def _predicted(run: Run, network: Mapper, half: Half) -> Tensor:
    views = run.evaluation_view()

    def of(batch: Batch) -> Tensor:
        return network(views(batch)[0]).float().cpu()

    return torch.cat(list(through(of, half.batches(), network)))


__all__ = ["KINDS", "map_curve", "of_maps"]
