"""Decoded data that do not fit in memory: how much fits, and files that are mapped instead."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.errors import DataError

SHARE = 0.4
"""The part of the available memory that the pixels of one data set may take."""

HELD = 64 << 20
"""Bytes that are held of what is read a single time or lies in an array file; of more, each part is read when it is
asked for."""

PARTIAL = f"partial-{platform.node()}-"
"""How folders of unfinished caches begin; the number of their process follows."""


def available_memory() -> int:
    """Bytes that this process can still take: the system's, or less where a container's limit is lower."""
    free = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(int(next(row for row in lines if row.startswith("MemAvailable")).split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        free.append(int(limit) - int(used))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if not free:  # systems without /proc: half of what is built in
            free.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    return max(min(free), 0) if free else 4 << 30


def fits(size: int, memory: int | None = None) -> bool:
    """Whether ``size`` bytes of pixels may be held in memory, of which ``memory`` bytes are allowed."""
    return size <= SHARE * available_memory() and (memory is None or size <= memory)


def cache_folder(cache: str | os.PathLike[str] | None) -> Path:
    """The folder of cached pixels: ``cache``, or ``$TACIT_CACHE``, or ``~/.cache/tacit``."""
    return Path(cache or os.environ.get("TACIT_CACHE") or Path.home() / ".cache" / "tacit").expanduser()


def as_tensor(array: np.ndarray) -> Tensor:
    """The array's memory as a tensor; byte order and negative strides, which torch lacks, cost a copy."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    with warnings.catch_warnings():  # a read-only array: a store only reads
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.asarray(array))


class Cache:
    """One folder with decoded pixels and the facts about them, complete or absent.

    It is written under a temporary name and renamed when it is complete, so that a killed run leaves nothing
    that could be taken for a cache.

    Args:
        folder: where caches lie.
        key: the name of this one, a hash of all that the pixels depend on; None for pixels that cannot be
            recognised again, which are gone when the process ends.
        kind: what is decoded, in the plural.
    """

    def __init__(self, folder: Path, key: str | None, kind: str = "images") -> None:
        self.folder, self.kind = folder, kind
        self.path = folder / f"{kind}-{key}" if key else None

    def load(self) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, Any]] | None:
        """Mapped pixels, what lies beside them by name, and facts, or None where there is no readable cache of this
        key."""
        if self.path is None or not os.path.isdir(self.path):
            return None
        try:
            pixels = np.load(self.path / "pixels.npy", mmap_mode="c", allow_pickle=False)
            facts = json.loads((self.path / "facts.json").read_text(encoding="utf-8"))
            others = sorted(path for path in self.path.glob("*.npy") if path.stem != "pixels")
            beside = {path.stem: np.load(path, allow_pickle=False) for path in others}
        except (OSError, ValueError, EOFError):
            shutil.rmtree(self.path, ignore_errors=True)
            return None
        return pixels, beside, facts

    @contextlib.contextmanager
    def writing(self, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[CacheWriter]:
        """A temporary folder with room for the pixels, removed again unless it was finished.

        Raises:
            DataError: if the folder cannot be written or the disk has too little room.
        """
        work = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            work = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{os.getpid()}-", dir=self.folder))
            yield CacheWriter(self, work, _reserve(work / "pixels.npy", shape, dtype))
        except OSError as error:
            raise self._refusal(shape, dtype, error) from error
        finally:
            if work is not None:
                shutil.rmtree(work, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what processes of this machine that were killed have left unfinished."""
        for left in self.folder.glob(f"{PARTIAL}*") if os.name == "posix" else ():
            try:
                os.kill(int(left.name.removeprefix(PARTIAL).partition("-")[0]), 0)
            except ProcessLookupError:
                shutil.rmtree(left, ignore_errors=True)
            except (PermissionError, ValueError):  # alive and someone else's, or no folder of ours
                continue

    def _refusal(self, shape: tuple[int, ...], dtype: np.dtype, error: OSError) -> DataError:
        size = int(np.prod(shape)) * dtype.itemsize / 2**30
        return DataError(
            f"the decoded {self.kind} ({size:.2f} GiB) do not fit in memory and cannot be cached in "
            f"'{self.folder}': {error.strerror or error}; name a folder with room for them as `cache`"
        )


@dataclass
class CacheWriter:
    """A cache that is being written: ``pixels`` is its mapped array."""

    cache: Cache
    work: Path
    pixels: np.ndarray

    def finish(self, beside: Mapping[str, np.ndarray], facts: dict[str, Any]) -> np.ndarray:
        """Make the cache complete, with arrays by name beside the pixels, and return these, mapped for reading."""
        if self.cache.path is None:
            return self.pixels  # the open mapping keeps the data when the folder goes
        self.pixels.flush()  # type: ignore[attr-defined]
        for name, array in beside.items():
            np.save(self.work / f"{name}.npy", array)
        (self.work / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        # where another process was faster the rename fails and its cache, of the same key, is as good
        with contextlib.suppress(OSError):
            self.work.rename(self.cache.path)
        done = self.cache.load()
        return self.pixels if done is None else done[0]


def _reserve(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A new mapped .npy file whose disk space is taken at once: a full disk is an error, no later crash."""
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return pixels
