"""Sound files decoded once: in memory where they fit, else in a mapped file that is found again; or, where they are
read a single time, a stretch whenever it is asked for."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.console import Bar
from tacit.errors import DataError
from tacit.modalities.audio.decode import Unreadable, header, library
from tacit.modalities.audio.recording import Recording, Samples, resampled_length
from tacit.modalities.audio.stores import Sought
from tacit.modalities.caches import HELD, Cache, as_tensor, cache_folder, fits
from tacit.sources import Stretches

RATE = 16_000
"""In Hz: the highest that files are read at, and the one that arrays are taken to have, where none is given."""
THREADS = 8
FORMAT = 2
"""Part of the cache's key: raised when decoding changes."""


@dataclass
class Read:
    """Recordings of files: which of the files, the names and reasons of those left out, the rate in Hz and channels."""

    store: Stretches | Sought
    kept: list[int]
    skipped: list[tuple[str, str]]
    rate: int
    channels: int


def read_files(
    paths: Sequence[Path],
    names: Sequence[str],
    where: str,
    rate: int | None,
    mono: bool,
    cache: str | os.PathLike[str] | None,
    memory: int | None,
    progress: bool,
    once: bool,
) -> Read:
    """Every file decoded once and brought to one rate.

    Args:
        names: what messages call the files; ``where``: what they call all of them.
        rate, mono, cache, memory, progress, once: see :func:`tacit.modalities.audio.reading.open_source`.

    Raises:
        DataError: for files of different numbers of channels, numbers that are not finite, if nothing can be read, or
            if the cache cannot be written.
        MissingExtra: where the library that decodes is not installed.
    """
    kept = Cache(cache_folder(cache), _key(paths, rate, mono), "recordings")
    done = kept.load()
    if done is not None:
        flat, beside, facts = done
        left = [(names[i], reason) for i, reason in facts["skipped"]]
        at = beside["kept"].tolist()
        return Read(_stretches(flat, beside["length"], at), at, left, facts["rate"], len(flat))
    library()
    files = _Files(paths, names, where)
    channels = files.channels(mono)
    found = files.usual_rate() if rate is None else rate
    length = files.lengths(found)
    shape, kind = (channels, int(length.sum())), np.dtype(np.float32)
    size = 4 * shape[0] * shape[1]
    if once and not fits(size, HELD if memory is None else min(memory, HELD)):
        sought = Sought(files.recordings(found, mono), channels, length[list(files.heard)])
        return Read(sought, list(files.heard), files.left_out(), found, channels)
    if fits(size, memory):
        flat = np.empty(shape, kind)
        files.fill(flat, length, found, mono, progress)
    else:
        with kept.writing(shape, kind) as writer:
            files.fill(writer.pixels, length, found, mono, progress)
            facts = {"rate": found, "skipped": sorted(files.skipped.items())}
            flat = writer.finish({"length": length, "kept": np.array(list(files.heard))}, facts)
    return Read(_stretches(flat, length, list(files.heard)), list(files.heard), files.left_out(), found, channels)


def _stretches(flat: Samples, length: NDArray[np.int64], kept: Sequence[int]) -> Stretches:
    lengths = torch.from_numpy(length)
    start = lengths.cumsum(0) - lengths
    at = torch.as_tensor(kept)
    return Stretches(as_tensor(flat), start[at], lengths[at])


def _key(paths: Sequence[Path], rate: int | None, mono: bool) -> str | None:
    """A hash of the files' names, sizes and times and of what they are brought to; None if one is not there."""
    digest = hashlib.blake2b(repr((FORMAT, rate, mono)).encode(), digest_size=16)
    try:
        for path in paths:
            facts = path.stat()
            digest.update(repr((str(path.absolute()), facts.st_size, facts.st_mtime_ns)).encode())
    except OSError:
        return None
    return digest.hexdigest()


class _Files:
    """Files with what their headers say: ``heard`` (rate, channels, samples) of those that can be read, and ``skipped``
    (why) of the others, by position."""

    def __init__(self, paths: Sequence[Path], names: Sequence[str], where: str) -> None:
        self.paths, self.names, self.where = paths, names, where
        self.heard: dict[int, tuple[int, int, int]] = {}
        self.skipped: dict[int, str] = {}

        def look(path: Path) -> tuple[int, int, int] | str:
            try:
                return header(path)
            except Unreadable as error:
                return str(error)

        with ThreadPoolExecutor(THREADS) as pool:
            for i, fact in enumerate(pool.map(look, paths)):
                if isinstance(fact, str):
                    self.skipped[i] = fact
                else:
                    self.heard[i] = fact
        self._check(len(self.heard))

    def channels(self, mono: bool) -> int:
        """How many channels all recordings have."""
        counts = Counter(channels for _, channels, _ in self.heard.values())
        usual = counts.most_common(1)[0][0]
        if not mono and len(counts) > 1:
            odd = next(i for i, fact in self.heard.items() if fact[1] != usual)
            raise DataError(
                f"'{self.names[odd]}' in {self.where} has {self.heard[odd][1]} channels, and most files have {usual}; "
                "say --set data.mono=true to average the channels of all"
            )
        return 1 if mono else usual

    def usual_rate(self) -> int:
        """The rate of most of the files, the higher of two, but at most :data:`RATE`."""
        rates = Counter(rate for rate, _, _ in self.heard.values())
        return min(RATE, max(rates, key=lambda found: (rates[found], found)))

    def lengths(self, rate: int) -> NDArray[np.int64]:
        """How long each file is at a rate, int64 ``[files]``; 0 for one that was left out."""
        made = np.zeros(len(self.paths), np.int64)
        for i, (own, _, frames) in self.heard.items():
            made[i] = resampled_length(frames, own, rate)
        return made

    def left_out(self) -> list[tuple[str, str]]:
        """Names and reasons."""
        return [(self.names[i], why) for i, why in sorted(self.skipped.items())]

    def recordings(self, rate: int, mono: bool) -> list[Recording]:
        """Those that can be read."""
        called = {i: f"'{self.names[i]}' in {self.where}" for i in self.heard}
        return [Recording(self.paths[i], facts, rate, mono, called[i]) for i, facts in self.heard.items()]

    def fill(self, flat: Samples, length: NDArray[np.int64], rate: int, mono: bool, progress: bool) -> None:
        """Put one recording after the other into ``flat`` (``[C, T]``), some of each at a time; those that cannot be
        decoded leave a gap."""
        start = length.cumsum() - length
        order = list(self.heard)

        def read(i: int, recording: Recording) -> str | None:
            at = start[i]
            try:
                with recording:
                    for piece in recording.pieces():
                        flat[:, at : at + piece.shape[1]] = piece
                        at += piece.shape[1]
            except Unreadable as error:
                return str(error)
            return None

        with Bar("read", total=len(order), quiet=not progress) as bar, ThreadPoolExecutor(THREADS) as pool:
            for done, reason in enumerate(pool.map(read, order, self.recordings(rate, mono))):
                if reason is not None:
                    self.skipped[order[done]] = reason
                    del self.heard[order[done]]
                bar.at(done + 1)
        self._check(len(self.heard))

    def _check(self, readable: int) -> None:
        if not readable:
            first = min(self.skipped)
            raise DataError(
                f"none of the {len(self.paths)} files of {self.where} can be read; '{self.names[first]}': "
                f"{self.skipped[first]}"
            )
