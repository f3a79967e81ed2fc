"""Image files in a folder: which there are, and what classes their folders make."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tacit.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
"""Folders of these names are parts of a data set and no classes."""

FORMAT = 1
"""Part of the cache key: raised when decoding changes."""


@dataclass
class Listing:
    """Image files: ``paths`` to open, ``names`` to show, ``stamps`` to tell a changed file by.

    ``refused`` are the names and reasons of what cannot be opened at all, ``others`` counts files that are no
    images.
    """

    paths: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    stamps: list[tuple[int, int, int]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0

    def add(self, path: str, name: str) -> None:
        """Take in one file if it exists and is a regular one."""
        try:
            facts = os.stat(path)
        except OSError as error:
            self.refused.append((name, error.strerror or str(error)))
            return
        if not stat.S_ISREG(facts.st_mode):
            self.refused.append((name, "not a regular file"))
            return
        if not facts.st_size:
            self.refused.append((name, "empty file"))
            return
        self.paths.append(path)
        self.names.append(name)
        self.stamps.append((facts.st_size, facts.st_mtime_ns, facts.st_mode))

    def key(self, image_size: int | None) -> str:
        """A hash of the names, sizes, times and modes of the files, and of what decides the stored shape."""
        digest = hashlib.blake2b(repr((FORMAT, image_size)).encode(), digest_size=16)
        for name, stamp in zip(self.names, self.stamps, strict=True):
            digest.update(repr((name, stamp)).encode())
        return digest.hexdigest()


def list_folder(folder: Path) -> Listing:
    """All image files below ``folder``, sorted by their path in it; hidden files and folders are left out.

    A linked folder is followed once, and not when it leads to a place that is read anyway: a loop ends.

    Raises:
        DataError: if it is missing, no folder, unreadable, empty, or has no images in it.
    """
    try:
        os.stat(folder)
    except PermissionError as error:
        raise DataError(f"cannot read the folder '{folder}': {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"there is no '{folder}'; give a folder of images, an .npy or an .npz file") from error
    found, listing = [], Listing()
    seen: set[tuple[int, int]] = set()
    inside, links = deque([(str(folder), "")]), deque[tuple[str, str]]()
    while inside or links:
        path, name = (inside or links).popleft()
        try:
            facts = os.stat(path)
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(path) as entries:
                rows = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not name:
                raise DataError(f"cannot read the folder '{folder}': {error.strerror}") from error
            listing.refused.append((_shown(name), error.strerror or str(error)))
            continue
        for entry in rows:
            below = f"{name}/{entry.name}" if name else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else inside).append((entry.path, below))
            elif PurePosixPath(entry.name).suffix.lower() in SUFFIXES:
                found.append((_shown(below), entry.path))
            else:
                listing.others += 1
    for name, path in sorted(found):
        listing.add(path, name)
    if not listing.paths and not listing.refused:
        raise DataError(_nothing(folder, listing.others))
    return listing


def list_files(paths: Sequence[str | os.PathLike[str]]) -> Listing:
    """The image files at ``paths``, in that order; their names are the paths as given."""
    listing = Listing()
    for path in paths:
        listing.add(os.fspath(path), _shown(os.fspath(path)))
    return listing


def class_folders(names: Sequence[str]) -> tuple[list[int], list[str]] | None:
    """Labels and class names from the first level at which the images' folders branch, or None.

    Folders that all are called like parts of a data set (``train``, ``test``, ...) make no classes: the level
    below them is looked at.
    """
    parents = [name.split("/")[:-1] for name in names]
    for level in range(min(map(len, parents))):
        folders = sorted({parts[level] for parts in parents})
        if len(folders) > 1 and not {folder.lower() for folder in folders} <= SPLITS:
            number = {folder: value for value, folder in enumerate(folders)}
            return [number[parts[level]] for parts in parents], folders
    return None


def _shown(name: str) -> str:
    """A file name as text that can be written anywhere, whatever bytes it is made of."""
    return os.fsencode(name).decode("utf-8", "replace")


def _nothing(folder: Path, others: int) -> str:
    kinds = ", ".join(sorted(SUFFIXES))
    if not others:
        return f"the folder '{folder}' is empty; it should hold images ({kinds}), at any depth"
    files = "1 other file" if others == 1 else f"{others} other files"
    return f"the folder '{folder}' has no images in it, only {files}; images end in {kinds}"
