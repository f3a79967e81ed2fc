"""Pictures decoded once, in threads, into a store."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from tacit.errors import DataError
from tacit.modalities.caches import Cache, as_tensor, fits
from tacit.modalities.image.read_items import Items
from tacit.modalities.image.read_pixels import Look, Misfit, Plan, look_at, pixels_of, plan_of
from tacit.modalities.image.stores import Store

CHUNK = 64
SAMPLE = 64
SMALL = 128 * 128


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
        pixels, beside, facts = done
        failures = {int(position): reason for position, reason in facts["failures"].items()}
        return _result(pixels, beside["aspect"], [None] * len(pixels), failures, mapped=True)
    run = _Run(items, workers, progress)
    with warnings.catch_warnings():
        # Pillow refuses what would fill the memory (over 179 million pixels) and warns from half of that on
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        looks, looked = run.look(SAMPLE), len(items.names) <= SAMPLE
        while True:
            plan = plan_of(looks, image_size)
            if plan.square and items.headers and not looked:
                looks, looked = run.look(), True
                plan = plan_of(looks, image_size)
            shape = (len(items.names), plan.channels, plan.height, plan.width)
            try:
                if fits(int(np.prod(shape)) * np.dtype(plan.depth).itemsize, memory):
                    pixels = np.empty(shape, plan.depth)
                    run.fill(pixels, plan)
                    return _result(pixels, run.aspect, run.labels, run.failures, mapped=False)
                with kept.writing(shape, np.dtype(plan.depth)) as writer:
                    run.fill(writer.pixels, plan)
                    pixels = writer.finish({"aspect": run.aspect}, {"failures": run.failures})
                    return _result(pixels, run.aspect, run.labels, run.failures, mapped=True)
            except Misfit as misfit:  # an image that was not looked at needs more than those that were
                looks.append(misfit.look)
                if items.headers and not looked:
                    looks, looked = run.look(), True


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
    return Decoded(store, positions, aspect[positions], known if len(known) == len(positions) else None, failures)


class _Run:
    """One decoding of all pictures, in threads."""

    def __init__(self, items: Items, workers: int | None, progress: bool) -> None:
        self.items, self.workers, self.progress = items, workers, progress
        count = len(items.names)
        self.aspect = np.ones(count, np.float32)
        self.labels: list[int | None] = [None] * count
        self.failures: dict[int, str] = {}

    def look(self, sample: int | None = None) -> list[Look]:
        """What the pictures, or ``sample`` of them evenly spaced, need of their store.

        Raises:
            DataError: if not one of all can be opened.
        """
        count = len(self.items.names)
        looks: dict[int, Look] = {}

        def one(position: int) -> None:
            try:
                picture, _ = self.items.open(position)
                looks[position] = look_at(picture)
                self.items.close(picture)
            except DataError:
                raise
            except Exception as error:  # a broken file makes Pillow's readers raise anything
                self.failures[position] = reason(error)

        size = min(sample or count, count)
        self._each(one, [i * count // size for i in range(size)], "looking at images", self._threads())
        if not looks and size < count:
            return self.look()
        self._check(len(looks))
        return [looks[position] for position in sorted(looks)]

    def fill(self, pixels: np.ndarray, plan: Plan) -> None:
        """Decode into ``pixels`` (``[N, C, H, W]``). Raises Misfit at an image that the plan cannot hold."""

        def one(position: int) -> None:
            try:
                picture, label = self.items.open(position)
                look = look_at(picture)
                pixels[position] = pixels_of(picture, plan)
                self.aspect[position] = look.width / look.height
                self.labels[position] = label
                self.items.close(picture)
            except (DataError, Misfit):
                raise
            except Exception as error:
                self.failures[position] = reason(error)

        todo = [i for i in range(len(pixels)) if i not in self.failures]
        self._each(one, todo, "decoding images", self._threads(plan.height * plan.width))
        self.failures = dict(sorted(self.failures.items()))
        self._check(len(pixels) - len(self.failures))

    def _check(self, readable: int) -> None:
        if not readable:
            first = min(self.failures)
            raise DataError(
                f"none of the {len(self.items.names)} images can be read; "
                f"the first, '{self.items.names[first]}': {self.failures[first]}"
            )

    def _threads(self, area: int = 0) -> int:
        """How many threads: small images take their time in Python, where threads wait for each other."""
        if self.workers is not None:
            return self.workers
        return (os.cpu_count() or 1) if self.items.threads and area >= SMALL else 1

    def _each(self, work: Callable[[int], None], positions: Sequence[int], title: str, threads: int) -> None:
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
        with bar, ThreadPoolExecutor(threads) as pool:
            task = bar.add_task(title, total=len(positions))
            pending: set[Future[int]] = set()
            try:
                for start in range(0, len(positions), CHUNK):
                    pending.add(pool.submit(chunk, positions[start : start + CHUNK]))
                    if len(pending) > 2 * threads:
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


def reason(error: Exception) -> str:
    """Why a file cannot be read, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or damaged"
    if isinstance(error, Image.DecompressionBombError):
        return "too large to decode safely (over 179 million pixels)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
