"""Which sound files there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tacit.errors import DataError
from tacit.modalities.audio.decode import ENDINGS
from tacit.modalities.looking import ending_of, path_of


def listed(data: Any) -> tuple[list[Path], list[str], str]:
    """The sound files of a folder (sorted, hidden ones left out), a file or a list of files: paths, the names to show,
    and what an error calls them all.

    Raises:
        DataError: if there are none.
    """
    path = path_of(data)
    if path is None:
        paths = [Path(os.path.expanduser(item)) for item in data]
        return paths, [item.as_posix() for item in paths], f"a list of {len(paths)} files"
    if path.is_file():
        if not ending_of(path, ENDINGS):
            raise DataError(f"cannot read sound from '{path}'; give files with one of the endings {', '.join(ENDINGS)}")
        return [path], [path.name], f"'{path.parent}'"
    if not path.is_dir():
        raise DataError(f"there is no file or folder '{path}'")
    found: list[Path] = []
    for folder, inner, files in os.walk(path, followlinks=False):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        found += [Path(folder, name) for name in files if not name.startswith(".") and ending_of(Path(name), ENDINGS)]
    if not found:
        raise DataError(f"there are no sound files ({', '.join(ENDINGS)}) in '{path}'")
    names = sorted(item.relative_to(path).as_posix() for item in found)
    return [path / name for name in names], names, f"'{path}'"
