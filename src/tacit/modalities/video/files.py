"""Video files decoded once, side by side: into memory or, where they do not fit, into a file that is mapped; or, where
they are read a single time, frame by frame as they are asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from tacit.console import Bar
from tacit.errors import DataError
from tacit.modalities.caches import HELD, Cache, as_tensor, fits
from tacit.modalities.video.decode import Look, Shape, Unreadable, frames, library, look
from tacit.modalities.video.folders import key_of
from tacit.modalities.video.seeking import Film, numbered
from tacit.modalities.video.stores import FilmFrames, Frames

LARGEST = 128
"""Pixels of the shorter side that frames keep where nothing else is said."""
THREADS = 8


def read_files(
    paths: Sequence[Path],
    names: Sequence[str],
    where: str,
    *,
    stride: int,
    fps: float | None,
    image_size: int | None,
    channels: int | None,
    cache: Path,
    memory: int | None,
    progress: bool,
    once: bool,
) -> tuple[Frames | FilmFrames, list[int], list[tuple[str, str]], list[float]]:
    """Frames of videos, which of the paths they are of, what was left out and why, and the lowest and highest rate in
    frames a second (0 where files do not say).

    Raises:
        DataError: if no video can be read, or the cache cannot be written.
        MissingExtra: for video files where the library that decodes them is not installed.
    """
    if not all(path.is_dir() for path in paths):
        library()
    run = _Run(paths, names, where, progress)
    kept = Cache(cache, key_of(paths, names, stride, fps, image_size, channels), "videos")
    done = kept.load()
    if done is not None:
        pixels, beside, facts = done
        run.skipped = {int(place): reason for place, reason in facts["skipped"].items()}
        return run.result(pixels, beside["start"], beside["length"], facts["rates"], mapped=True)
    run.look(stride, fps)
    shape = run.shape(image_size, channels)
    start, length = run.places()
    full = (int(length.sum()), shape.channels, *shape.size)
    size = int(np.prod(full))
    if once and not fits(size, HELD if memory is None else min(memory, HELD)):
        films = run.films(shape)
        if films is not None:
            return FilmFrames(films), list(run.looks), run.left_out(), list(run.rates)
    if fits(size, memory):
        pixels = np.empty(full, np.uint8)
        length = run.fill(pixels, start, shape)
        return run.result(pixels, start, length, run.rates, mapped=False)
    with kept.writing(full, np.dtype(np.uint8)) as writer:
        length = run.fill(writer.pixels, start, shape)
        facts = {"skipped": run.skipped, "rates": run.rates}
        pixels = writer.finish({"start": start, "length": length}, facts)
        return run.result(pixels, start, length, run.rates, mapped=True)


class _Run:
    """One decoding of all videos."""

    def __init__(self, paths: Sequence[Path], names: Sequence[str], where: str, progress: bool) -> None:
        self.paths, self.names, self.where, self.progress = paths, names, where, progress
        self.looks: dict[int, Look] = {}
        self.skipped: dict[int, str] = {}
        self.rates: list[float] = []

    def look(self, stride: int, fps: float | None) -> None:
        def one(place: int) -> None:
            try:
                self.looks[place] = look(self.paths[place], stride, fps)
            except Unreadable as error:
                self.skipped[place] = str(error)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, range(len(self.paths))))
        self._check(len(self.looks))
        rates = [seen.fps for seen in self.looks.values()]
        self.rates = [fps, fps] if fps is not None else [round(min(rates), 3), round(max(rates), 3)]

    def shape(self, image_size: int | None, channels: int | None) -> Shape:
        """What all frames are stored as: unchanged where they have one size that is not large; in colour if any is."""
        sizes = {seen.size for seen in self.looks.values()}
        channels = channels or (1 if all(seen.grey for seen in self.looks.values()) else 3)
        if image_size is None:
            shortest = min(min(size) for size in sizes)
            if len(sizes) == 1 and shortest <= LARGEST:
                return Shape(next(iter(sizes)), channels, False)
            image_size = min(LARGEST, shortest)
        return Shape((image_size, image_size), channels, sizes != {(image_size, image_size)})

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each video begins, and how many frames are promised, int64 ``[V]``; none of one that was left out."""
        length = np.array([len(self.looks[i].picks) if i in self.looks else 0 for i in range(len(self.paths))])
        return length.cumsum() - length, length

    def films(self, shape: Shape) -> list[Film] | None:
        """The videos, to be decoded where they are asked for; None if there is one whose frames cannot be found so."""
        self.looks = dict(sorted(self.looks.items()))
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(numbered, (self.paths[i] for i in self.looks)))
        made = []
        for (i, seen), numbers in zip(self.looks.items(), found, strict=True):
            if numbers is None or seen.picks[-1] >= len(numbers.shown):
                return None
            made.append(Film(self.paths[i], seen, shape, numbers, f"'{self.names[i]}' in {self.where}"))
        return made

    def left_out(self) -> list[tuple[str, str]]:
        """Names and reasons."""
        return [(self.names[i], self.skipped[i]) for i in sorted(self.skipped)]

    def fill(self, pixels: np.ndarray, start: np.ndarray, shape: Shape) -> np.ndarray:
        """Decode into ``pixels``; how many frames there were of each video, int64 ``[V]``."""
        length = np.zeros(len(self.paths), np.int64)

        def one(place: int) -> None:
            found = 0
            try:
                for frame in frames(self.paths[place], self.looks[place], shape):
                    pixels[start[place] + found] = frame
                    found += 1
                length[place] = found
            except Unreadable as error:
                self.skipped[place] = str(error)

        threads = min(THREADS, os.cpu_count() or 1)
        with (
            Bar("decode videos", total=len(self.looks), quiet=not self.progress) as bar,
            ThreadPoolExecutor(threads) as pool,
        ):
            for done, _ in enumerate(pool.map(one, sorted(self.looks))):
                bar.at(done + 1)
        self._check(int((length > 0).sum()))
        return length

    def result(
        self, pixels: np.ndarray, start: np.ndarray, length: np.ndarray, rates: list[float], mapped: bool
    ) -> tuple[Frames, list[int], list[tuple[str, str]], list[float]]:
        kept = [place for place in range(len(self.paths)) if place not in self.skipped]
        frames = Frames(as_tensor(pixels), torch.from_numpy(start[kept]), torch.from_numpy(length[kept]), mapped=mapped)
        return frames, kept, self.left_out(), list(rates)

    def _check(self, readable: int) -> None:
        if not readable:
            first = min(self.skipped)
            raise DataError(
                f"none of the {len(self.paths)} videos of {self.where} can be read; '{self.names[first]}': "
                f"{self.skipped[first]}"
            )
