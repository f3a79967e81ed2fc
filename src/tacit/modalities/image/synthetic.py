"""Scattered digits: real handwriting in clutter, generated from a seed without a network.

A cluttered, moved and turned variant of digit recognition in the manner of Mnih et al., "Recurrent Models of Visual
Attention" (2014), made from scikit-learn's 1,797 digits of 8×8 pixels.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import OptionError
from tacit.parts.draws import mix

COUNTS = {"train": 8000, "test": 2000}
FIRST_TEST = 1287
"""The digits come writer by writer, each starting with the same thirty; here a writer starts, three follow."""

SIDE = 8
SCALE = (1.5, 2.0)
TURN = math.radians(30)
CLUTTER_SCALE = (1.2, 1.9)
CLUTTER_LIGHT = (0.35, 0.85)
WINDOW = (5, 6)
CHUNK = 250


def scattered_digits(
    part: str = "train",
    count: int | None = None,
    seed: int = 0,
    size: int = 32,
    clutter: int = 4,
    scenes: int | None = None,
    scale: tuple[float, float] = SCALE,
) -> tuple[np.ndarray, np.ndarray]:
    """Digits at random position, scale (12 to 16 pixels) and angle (±30°), among parts of other digits.

    Args:
        part: ``train`` or ``test``; they share no writer.
        count: number of images, 8,000 or 2,000 by default; each original is used equally often (± once).
        seed: the same seed gives the same images.
        size: side of the images in pixels, at least 20.
        clutter: number of pieces of other digits of the same part, 5 or 6 of their pixels a side, in each image.
        scenes: how many different clutters there are, which images of both parts share, made of training digits; by
            default each image has its own.
        scale: range of how many times as large as its 8 pixels a digit is.

    Returns:
        images, uint8 ``[count, 1, size, size]``, and labels, int64 ``[count]`` in 0..9.

    Raises:
        OptionError: if an argument is out of its range.
    """
    if part not in COUNTS:
        raise OptionError(f"part must be 'train' or 'test', not '{part}'")
    count = COUNTS[part] if count is None else count
    for name, value, least in (
        ("count", count, 1),
        ("size", size, 20),
        ("clutter", clutter, 0),
        ("scenes", scenes or 1, 1),
    ):
        if value < least:
            raise OptionError(f"{name} must be at least {least}, not {value}")
    if not 0 < scale[0] <= scale[1] <= size / SIDE:
        raise OptionError(f"scale must be two numbers, 0 < low <= high <= size / {SIDE}, not {scale}")
    digits, labels = _originals(part)
    generator = torch.Generator().manual_seed(mix(seed, list(COUNTS).index(part)))
    rounds = -(-count // len(digits))
    chosen = torch.cat([torch.randperm(len(digits), generator=generator) for _ in range(rounds)])[:count]
    images = torch.empty(count, 1, size, size, dtype=torch.uint8)
    for rows in torch.arange(count).split(CHUNK):
        images[rows] = _compose(digits, chosen[rows], generator, size, 0 if scenes else clutter, scale)
    if scenes:
        ground = _scenes(scenes, seed, size, clutter)
        images = torch.maximum(images, ground[torch.randint(0, scenes, (count,), generator=generator)])
    return images.numpy(), labels[chosen].numpy()


def _originals(part: str) -> tuple[Tensor, Tensor]:
    """Digits in [0, 1], ``[N, 8, 8]``, and labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rows = slice(None, FIRST_TEST) if part == "train" else slice(FIRST_TEST, None)
    digits = torch.from_numpy(images[rows]).float().view(-1, SIDE, SIDE) / 16
    return digits, torch.from_numpy(labels[rows]).long()


def _compose(
    digits: Tensor,
    chosen: Tensor,
    generator: torch.Generator,
    size: int,
    clutter: int,
    scale: tuple[float, float],
) -> Tensor:
    """Images ``[B, 1, size, size]`` of the chosen digits, over ``clutter`` pieces of others each."""
    batch = len(chosen)
    whole = digits[chosen][:, None]
    image = _place(whole, torch.zeros(batch, 2), scale, TURN, generator, size)
    if clutter:
        image = torch.maximum(image, _clutter(digits, chosen, generator, size, clutter))
    return (image * 255).round().to(torch.uint8)


def _clutter(digits: Tensor, chosen: Tensor, generator: torch.Generator, size: int, clutter: int) -> Tensor:
    """Canvases ``[B, 1, size, size]`` with pieces of digits other than the chosen ones."""
    # an offset of at least one from the chosen digit: never a piece of the digit itself
    offset = torch.randint(1, len(digits), (len(chosen), clutter), generator=generator)
    pieces = digits[(chosen[:, None] + offset) % len(digits)].flatten(0, 1)
    pieces, middle = _windows(pieces, generator)
    light = _uniform(CLUTTER_LIGHT, (len(pieces), 1, 1, 1), generator)
    placed = _place(pieces[:, None], middle, CLUTTER_SCALE, math.pi, generator, size) * light
    return placed.view(len(chosen), clutter, size, size).amax(1, keepdim=True)


def _scenes(count: int, seed: int, size: int, clutter: int) -> Tensor:
    """Clutters that images share: uint8 ``[count, 1, size, size]``, a function of the seed alone."""
    digits, _ = _originals("train")
    generator = torch.Generator().manual_seed(mix(seed, len(COUNTS)))
    if not clutter:
        return torch.zeros(count, 1, size, size, dtype=torch.uint8)
    ground = _clutter(digits, torch.arange(count) % len(digits), generator, size, clutter)
    return (ground * 255).round().to(torch.uint8)


def _windows(pieces: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The pieces with all but a random window blackened, and the window's middle from the centre, (x, y) pixels."""
    side = torch.randint(WINDOW[0], WINDOW[1] + 1, (len(pieces), 1), generator=generator)
    start = (torch.rand(len(pieces), 2, generator=generator) * (SIDE - side + 1)).floor()
    pixel = torch.arange(SIDE)
    inside = (pixel >= start[..., None]) & (pixel < (start + side)[..., None])
    return pieces * (inside[:, 1, :, None] & inside[:, 0, None, :]), start + side / 2 - SIDE / 2


def _place(
    x: Tensor,
    middle: Tensor,
    scale: tuple[float, float],
    turn: float,
    generator: torch.Generator,
    size: int,
) -> Tensor:
    """Small images ``[B, 1, 8, 8]``, each scaled and turned about its ``middle``, on canvases ``[B, 1, size, size]``.

    The middle lands anywhere that leaves the unturned digit on the canvas.
    """
    batch = len(x)
    zoom = _uniform(scale, (batch, 1), generator)
    angle = _uniform((-turn, turn), (batch,), generator)
    target = (torch.rand(batch, 2, generator=generator) - 0.5) * (size - SIDE * zoom)
    cos, sin = angle.cos(), angle.sin()
    # from canvas to source, both from -1 to 1, as F.affine_grid does but several times faster on small images
    back = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1) / zoom[..., None]
    shift = (middle - (back @ target[..., None])[..., 0]) * (2 / SIDE)
    back = back[:, None, None] * (size / SIDE)
    pixel = (torch.arange(size) + 0.5) * (2 / size) - 1
    rows = back[..., 1] * pixel[:, None, None] + shift[:, None, None]
    grid = torch.addcmul(rows, back[..., 0], pixel[:, None])
    return F.grid_sample(x, grid, align_corners=False)


def _uniform(bounds: tuple[float, float], shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator)


def image_folder(path: str | os.PathLike[str], images: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Path:
    """Write images as PNG files in class folders, ``CLASS/NNNNN.png``, and return the folder.

    Args:
        path: the folder, made where it is missing.
        images: uint8 ``[N, C, H, W]`` of 1 or 3 channels.
        labels: integers ``[N]``, positions in ``classes``.
    """
    from PIL import Image

    folder = Path(path)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        pixels = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
        Image.fromarray(pixels).save(folder / classes[int(label)] / f"{number:05d}.png")
    return folder


def sample(count: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A small data set with labels: what ``open_source`` takes."""
    return scattered_digits("train", count=count, seed=seed, size=20, clutter=1)
