"""Pictures that come one at a time (files, data sets, lists) decoded once into a store."""

from __future__ import annotations

import os
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from tacit.errors import DataError
from tacit.modalities.image.read_pixels import (
    Look,
    Misfit,
    Plan,
    as_picture,
    look_at,
    open_picture,
    pixels_of,
    plan_of,
)
from tacit.modalities.image.stores import Cache, Store, as_tensor, fits

CHUNK = 64
SAMPLE = 64

Picture: TypeAlias = Image.Image | np.ndarray


class Items(ABC):
    """Pictures by position, each with a label where there is one.

    Attributes:
        names: one a picture.
        looks: how many pictures are looked at before all are decoded; None for all of them.
        threads: whether pictures may be opened in several threads at once.
    """

    names: Sequence[str]
    looks: int | None = None
    threads = True

    @abstractmethod
    def open(self, position: int) -> tuple[Picture, int | None]:
        """The picture and its label. Raises whatever the file gives cause for."""


class Files(Items):
    """Image files."""

    def __init__(self, paths: Sequence[str], names: Sequence[str]) -> None:
        self.paths, self.names = paths, names

    def open(self, position: int) -> tuple[Picture, int | None]:
        return open_picture(self.paths[position]), None


class Objects(Items):
    """A list, a torch ``Dataset`` or a Hugging Face data set; ``names`` are the positions as text.

    Args:
        data: gives an item for every position below ``len(data)``: a picture, ``(picture, label, ...)``, or a
            mapping with a picture under ``image``, ``x`` or ``img`` and a label under ``label`` or ``y``.
        keys: the names of picture and label in a mapping, where they are known.
    """

    looks = SAMPLE
    threads = False  # a user's data set need not allow it

    def __init__(
        self,
        data: Any,
        where: str = "item",
        layout: str | None = None,
        keys: tuple[str, str | None] | None = None,
    ) -> None:
        self.data, self.where, self.layout = data, where, layout
        self.images = (keys[0],) if keys else ("image", "x", "img")
        self.labels = (keys[1],) if keys else ("label", "y")
        self.names = [str(i) for i in range(len(data))]

    def open(self, position: int) -> tuple[Picture, int | None]:
        item, where = self.data[position], f"{self.where} {position}"
        label = None
        if isinstance(item, dict):
            label = next((item[key] for key in self.labels if key in item), None)
            present = [key for key in self.images if key in item]
            if not present:
                raise DataError(f"{where} has no picture under {' or '.join(self.images)}, only {list(item)}")
            item = item[present[0]]
        elif isinstance(item, (tuple, list)) and item:
            item, label = item[0], (item[1] if len(item) > 1 else None)
        if isinstance(item, (str, os.PathLike)):
            return open_picture(os.fspath(item)), _whole(label)
        return as_picture(item, where, self.layout), _whole(label)


def _whole(label: Any) -> int | None:
    """A label as an int, or None where it is not a single integer."""
    if isinstance(label, torch.Tensor) and label.numel() == 1 and not label.is_floating_point():
        return int(label)
    if isinstance(label, np.ndarray) and label.size == 1 and label.dtype.kind in "iub":
        return int(label.item())
    return int(label) if isinstance(label, (int, np.integer)) else None


@dataclass
class Decoded:
    """What decoding gave: a store, and of its readable images positions, width / height, and labels."""

    store: Store
    positions: list[int]
    aspect: np.ndarray
    labels: list[int] | None
    failures: dict[int, str]


def decode(
    items: Items,
    *,
    image_size: int | None = None,
    memory: int | None = None,
    cache: Path,
    key: str | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Decoded:
    """Read every picture once, into memory or, where they do not fit, the cache; leave out unreadable ones.

    Raises:
        DataError: if no picture can be read, or the cache cannot be written.
    """
    kept = Cache(cache, key)
    done = kept.load()
    if done is not None:
        pixels, aspect, facts = done
        failures = {int(position): reason for position, reason in facts["failures"].items()}
        return _result(pixels, aspect, [None] * len(pixels), failures, mapped=True)
    run = _Run(items, (workers or os.cpu_count() or 1) if items.threads or workers else 1, progress)
    with warnings.catch_warnings():
        # Pillow refuses what would fill the memory (over 179 million pixels) and warns from half of that on
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        looks = run.look()
        while True:
            plan = plan_of(looks, image_size)
            shape = (len(items.names), plan.channels, plan.height, plan.width)
            try:
                if fits(int(np.prod(shape)) * np.dtype(plan.depth).itemsize, memory):
                    pixels = np.empty(shape, plan.depth)
                    run.fill(pixels, plan)
                    return _result(pixels, run.aspect, run.labels, run.failures, mapped=False)
                with kept.writing(shape, np.dtype(plan.depth)) as writer:
                    run.fill(writer.pixels, plan)
                    pixels = writer.finish(run.aspect, {"failures": run.failures})
                    return _result(pixels, run.aspect, run.labels, run.failures, mapped=True)
            except Misfit as misfit:  # an image that was not looked at needs more than those that were
                looks.append(misfit.look)


def _result(
    pixels: np.ndarray,
    aspect: np.ndarray,
    labels: list[int | None],
    failures: dict[int, str],
    mapped: bool,
) -> Decoded:
    positions = [i for i in range(len(pixels)) if i not in failures]
    rows = torch.tensor(positions) if failures else None
    store = Store(as_tensor(pixels), rows=rows, mapped=mapped)
    known = [label for i in positions if (label := labels[i]) is not None]
    return Decoded(
        store, positions, aspect[positions], known if len(known) == len(positions) else None, failures
    )


class _Run:
    """One decoding of all pictures, in threads."""

    def __init__(self, items: Items, workers: int, progress: bool) -> None:
        self.items, self.workers, self.progress = items, workers, progress
        count = len(items.names)
        self.aspect = np.ones(count, np.float32)
        self.labels: list[int | None] = [None] * count
        self.failures: dict[int, str] = {}

    def look(self) -> list[Look]:
        """What the pictures need of their store. Raises DataError if not one can be opened."""
        count = len(self.items.names)
        looks: dict[int, Look] = {}

        def one(position: int) -> None:
            try:
                picture, _ = self.items.open(position)
                looks[position] = look_at(picture)
                _close(picture)
            except DataError:
                raise
            except Exception as error:  # a broken file makes Pillow's readers raise anything
                self.failures[position] = reason(error)

        limit = self.items.looks
        sample = (
            range(count) if limit is None else sorted({i * count // limit for i in range(min(limit, count))})
        )
        if limit is not None and count <= limit:
            sample = range(count)
        self._each(one, sample, "looking at images")
        for position in () if looks else range(count):  # only where the whole sample is unreadable
            one(position)
            if looks:
                break
        self._check(len(looks))
        return [looks[position] for position in sorted(looks)]

    def fill(self, pixels: np.ndarray, plan: Plan) -> None:
        """Decode into ``pixels`` (``[N, C, H, W]``). Raises Misfit at an image that the plan has no room for."""

        def one(position: int) -> None:
            try:
                picture, label = self.items.open(position)
                look = look_at(picture)
                pixels[position] = pixels_of(picture, plan)
                self.aspect[position] = look.width / look.height
                self.labels[position] = label
                _close(picture)
            except (DataError, Misfit):
                raise
            except Exception as error:
                self.failures[position] = reason(error)

        todo = [i for i in range(len(pixels)) if i not in self.failures]
        self._each(one, todo, "decoding images")
        self.failures = dict(sorted(self.failures.items()))
        self._check(len(pixels) - len(self.failures))

    def _check(self, readable: int) -> None:
        if not readable:
            first = min(self.failures)
            raise DataError(
                f"none of the {len(self.items.names)} images can be read; "
                f"the first, '{self.items.names[first]}': {self.failures[first]}"
            )

    def _each(self, work: Callable[[int], None], positions: Sequence[int], title: str) -> None:
        """Call ``work`` for every position, in chunks over the threads, with a progress bar on a terminal."""
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        def chunk(part: Sequence[int]) -> int:
            for position in part:
                work(position)
            return len(part)

        show = self.progress and sys.stderr.isatty()
        columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), disable=not show, transient=True)
        with bar, ThreadPoolExecutor(self.workers) as pool:
            task = bar.add_task(title, total=len(positions))
            pending: set[Future[int]] = set()
            try:
                for start in range(0, len(positions), CHUNK):
                    pending.add(pool.submit(chunk, positions[start : start + CHUNK]))
                    if len(pending) > 2 * self.workers:
                        pending = self._collect(pending, bar, task)
                while pending:
                    pending = self._collect(pending, bar, task)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _collect(pending: set[Future[int]], bar: Any, task: Any) -> set[Future[int]]:
        done, left = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            bar.advance(task, future.result())
        return left


def _close(picture: Picture) -> None:
    """Close the file behind a picture that came from one; a picture in the user's own list stays open."""
    if isinstance(picture, Image.Image) and getattr(picture, "_exclusive_fp", False):
        picture.close()


def reason(error: Exception) -> str:
    """Why a file cannot be read, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or damaged"
    if isinstance(error, Image.DecompressionBombError):
        return "too large to decode safely (over 179 million pixels)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
