"""What an encoder is worth where things are found in images: boxes by Faster R-CNN heads on its maps."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tacit.assessment.detector import Detector, Heads, Target
from tacit.assessment.finetune import Tuning, descend
from tacit.assessment.halves import Half, halves
from tacit.data import Batch, moved
from tacit.errors import DataError, OptionError, unknown
from tacit.evaluation.detection import detection_figures
from tacit.modalities.image.read_boxes import places
from tacit.parts.draws import mix
from tacit.run import Run, fastest, through

Start = Literal["random", "trained"]
STARTS: tuple[Start, ...] = ("random", "trained")
TRUNKS = ("frozen", "trained")
DEFAULT = Tuning(steps=400, batch_size=16, rates=(1e-3,))
CUT = 0.5
"""A box of which the evaluation's view shows less than this share is difficult."""


def detect(
    run: Run,
    data: Any,
    test: Any = None,
    *,
    trunk: str = "frozen",
    heads: Heads | None = None,
    tuning: Tuning | None = None,
    validation: float = 0.2,
    test_fraction: float = 0.25,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Finding things in images by Faster R-CNN on the run's encoder, and on a random one of the same shape.

    The benchmark of Goyal et al. (2019) trains the heads alone on a frozen trunk. Images are as the encoder is shown
    them in an evaluation, mirrored at random in training; a box that its centred crop cuts away by more than half is
    difficult. Difficult boxes neither train nor count. Where there are several rates, each is tried, and that with the
    best ``map_50`` on a part of the training images is taken.

    Args:
        data, test: images with boxes as labels (:mod:`tacit.modalities.image.read_boxes`): a folder with the option
            ``boxes`` in ``reading``, an .npz file with an array ``boxes``, or images and rows ``[N, K * 6]``.
        trunk: ``frozen``: only the heads are trained; ``trained``: the whole network, which on the random encoder is
            training from scratch.
        heads: sizes of the heads.
        tuning: by default 400 steps of 16 images with the rate 0.001.
        validation: share of the training images that chooses among several rates.
        seed: of the splits, the heads, the order and the mirroring.

    Returns:
        for ``random`` and ``trained``: ``value`` (``map_50``, mean average precision at an intersection over union of
        0.5), ``map_50_voc07``, ``map_coco`` (:func:`tacit.evaluation.detection.detection_figures`), ``classes``
        (figures of each by name or number), ``boxes`` (true ones that count), and the ``rate`` taken.

    Raises:
        DataError: for labels that are no boxes, or fewer than 4 images to learn from.
        OptionError: for another trunk, or an encoder without maps.
    """
    train, held = halves(run, data, test, fraction=test_fraction, seed=seed, reading=reading)
    return of_boxes(run, train, held, trunk, heads, tuning, validation, seed)


def of_boxes(
    run: Run,
    train: Half,
    test: Half,
    trunk: str = "frozen",
    heads: Heads | None = None,
    tuning: Tuning | None = None,
    validation: float = 0.2,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """:func:`detect` of data that is divided already."""
    if trunk not in TRUNKS:
        raise unknown("trunk", trunk, TRUNKS)
    if run.config["modality"] != "image":
        raise OptionError("detection needs a run of images")
    if len(train) < 4:
        raise DataError(f"detection needs at least 4 images to learn from, not {len(train)}")
    heads, tuning = heads or Heads(), tuning or DEFAULT
    truth = [places(half.y.numpy(), f"{what} labels") for half, what in ((train, "training"), (test, "test"))]
    classes = 1 + int(max(rows[..., 0].max(initial=-1) for rows in truth))
    names = train.source.classes or [str(label) for label in range(classes)]
    if not ((truth[0][..., 0] >= 0) & (truth[0][..., 5] == 0)).any():
        raise DataError("the training images have no box that is not difficult")
    parts = (train, train) if len(tuning.rates) == 1 else train.divided(validation, seed)
    found: dict[str, dict[str, Any]] = {}
    for start in STARTS:
        best: tuple[float, float, Detector] | None = None
        for rate in tuning.rates:
            network = _fitted(run, start, trunk, parts[0], classes, heads, tuning, rate, seed)
            value = 0.0 if len(tuning.rates) == 1 else _figures(run, network, parts[1])["map_50"]
            if best is None or value > best[0]:
                best = (value, rate, network)
        assert best is not None
        figures = _figures(run, best[2], test)
        each = {names[label]: row for label, row in figures.pop("classes").items()}
        boxes = sum(row["boxes"] for row in each.values())
        found[start] = {"value": figures.pop("map_50"), **figures, "classes": each, "boxes": boxes, "rate": best[1]}
    return found


def shown_boxes(labels: Tensor, theta: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Boxes of images in pixels of what an encoder is shown, ``[N, K, 6]``.

    Those outside of it are empty places, -1; those of which less than :data:`CUT` is left are difficult.

    Args:
        labels: ``[N, K * 6]``, in shares of the images.
        theta: ``[N, 2, 3]``, the sampling grids from image to view, without turns.
        size: of the view, height and width.
    """
    boxes = places(labels.numpy()).astype(np.float64)
    grids = theta.double().cpu().numpy()
    scale, shift = np.stack([grids[:, 0, 0], grids[:, 1, 1]], 1), grids[:, :, 2]
    corners = 2 * boxes[..., 1:5].reshape(len(boxes), -1, 2, 2) - 1
    corners = (corners - shift[:, None, None]) / scale[:, None, None]
    corners = (corners + 1) / 2 * np.array(size[::-1], np.float64)
    whole = (corners[..., 1, :] - corners[..., 0, :]).prod(-1)
    corners = corners.clip(0, np.array(size[::-1], np.float64))
    sides = (corners[..., 1, :] - corners[..., 0, :]).clip(min=0)
    left = np.divide(sides.prod(-1), whole, out=np.zeros_like(whole), where=whole > 0)
    hard = (boxes[..., 5] > 0) | (left < CUT)
    found = np.concatenate([boxes[..., :1], corners.reshape(len(boxes), -1, 4), hard[..., None]], -1)
    return np.where(((boxes[..., 0] >= 0) & (sides.min(-1) > 1e-3))[..., None], found, -1.0)


def _figures(run: Run, network: Detector, half: Half) -> dict[str, Any]:
    views = run.evaluation_view()

    def of(batch: Batch) -> tuple[Tensor, Tensor]:
        view = views(batch)[0]
        return network(view).float().cpu(), view["theta"].cpu()

    rows = list(through(of, half.batches(), network))
    predicted, theta = (torch.cat(part) for part in zip(*rows, strict=True))
    return detection_figures(predicted.numpy(), shown_boxes(half.y, theta, network.size))


def _fitted(
    run: Run,
    start: Start,
    trunk: str,
    train: Half,
    classes: int,
    heads: Heads,
    tuning: Tuning,
    rate: float,
    seed: int,
) -> Detector:
    device, views = fastest(), run.evaluation_view()
    encoder = run.random_encoder() if start == "random" else copy.deepcopy(run.encoder)
    torch.manual_seed(mix(seed, 0xB0E5))
    first = views(train.source.batch(train.rows[:2]))[0]
    network = Detector(encoder, first, classes, heads, trunk == "frozen").to(device).train()
    mirrored = np.random.default_rng(mix(seed, 0xF11B))

    def loss(step: int, rows: Tensor) -> Tensor:
        view = dict(views(moved(train.source.batch(train.rows[rows]), device))[0])
        boxes = shown_boxes(train.y[rows], view["theta"], network.size)
        if heads.flip:
            turned = mirrored.random(len(rows)) < 0.5
            view["x"] = torch.where(
                torch.from_numpy(turned).to(device)[:, None, None, None], view["x"].flip(3), view["x"]
            )
            real = turned[:, None] & (boxes[..., 0] >= 0)
            boxes[real] = boxes[real][:, [0, 3, 2, 1, 4, 5]]
            boxes[..., (1, 3)] = np.where(real[..., None], network.size[1] - boxes[..., (1, 3)], boxes[..., (1, 3)])
        return network.run(view, [_target(row, device) for row in boxes])[1]

    descend(network, loss, len(train), tuning, rate, seed)
    return network.eval().cpu()


def _target(boxes: np.ndarray, device: torch.device) -> Target:
    """Boxes ``[K, 6]`` of an image as torchvision's heads take them, without empty and difficult ones."""
    rows = torch.from_numpy(boxes[(boxes[:, 0] >= 0) & (boxes[:, 5] == 0)]).to(device)
    return {"boxes": rows[:, 1:5].float(), "labels": rows[:, 0].long() + 1}


__all__ = ["CUT", "detect", "of_boxes", "shown_boxes"]
