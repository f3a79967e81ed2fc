"""Which videos there are: files, and folders of pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.errors import DataError
from tacit.modalities.looking import ending_of, path_of
from tacit.modalities.video.decode import FILES, PICTURES, pictures

FORMAT = 1
"""Part of the name of a cache: raised when decoding changes."""


def listed(data: Any) -> tuple[list[Path], list[str], str]:
    """The videos of a folder (sorted, hidden ones left out), a file, or a list of files and folders of pictures: paths,
    the names to show, and what an error calls them all.

    A folder with several pictures and no video file in it is one video.

    Raises:
        DataError: if there are none.
    """
    path = path_of(data)
    if path is None:
        paths = [Path(os.path.expanduser(item)) for item in data]
        for item in paths:
            if item.is_dir() and not pictures(item):
                raise DataError(f"there are no pictures ({', '.join(PICTURES)}) in '{item}', which should be a video")
        return paths, [item.as_posix() for item in paths], f"a list of {len(paths)} videos"
    if path.is_file():
        if not ending_of(path, FILES):
            raise DataError(f"cannot read a video from '{path}'; give a file with one of the endings "
                            f"{', '.join(FILES)}, or a folder")  # fmt: skip
        return [path], [path.name], f"'{path.parent}'"
    if not path.is_dir():
        raise DataError(f"there is no file or folder '{path}'")
    found: list[str] = []
    for folder, inner, files in os.walk(path, followlinks=False):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        shown = Path(folder).relative_to(path)
        seen = [name for name in files if not name.startswith(".")]
        videos = [name for name in seen if ending_of(Path(name), FILES)]
        found += [(shown / name).as_posix() for name in videos]
        if not videos and sum(name.lower().endswith(PICTURES) for name in seen) > 1:
            found.append(shown.as_posix())
    if not found:
        raise DataError(
            f"there are no videos in '{path}': neither files ({', '.join(FILES)}) nor folders of pictures "
            f"({', '.join(PICTURES)})"
        )
    if found == ["."]:
        return [path], [path.name], f"'{path.parent}'"
    names = sorted(found)
    return [path / name for name in names], names, f"'{path}'"


def key_of(paths: Sequence[Path], names: Sequence[str], *options: Any) -> str:
    """A hash of names, sizes and times of all files, and of what decides how they are stored."""
    digest = hashlib.blake2b(repr((FORMAT, *options)).encode(), digest_size=16)
    for path, name in zip(paths, names, strict=True):
        digest.update(repr((name, [_stamp(p) for p in _parts(path)])).encode())
    return digest.hexdigest()


def _parts(path: Path) -> list[Path]:
    return [path / name for name in pictures(path)] if path.is_dir() else [path]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        facts = os.stat(path)
    except OSError:
        return (0, 0)
    return facts.st_size, facts.st_mtime_ns
