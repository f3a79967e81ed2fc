"""Which sound files there are, and what their names tell."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.errors import DataError, OptionError
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


def named_parts(names: Sequence[str], pattern: str) -> dict[str, list[str]]:
    """What the groups ``label`` and ``group`` of a regular expression match in each name.

    Raises:
        OptionError: for a pattern that is none, has no such group, or is not found in a name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise OptionError(f"pattern '{pattern}' is no regular expression: {error}") from None
    wanted = [name for name in ("label", "group") if name in compiled.groupindex]
    if not wanted or set(compiled.groupindex) - {"label", "group"}:
        raise OptionError(f"pattern '{pattern}' must have groups named label or group, as in (?P<label>[a-z]+)")
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for name in names:
        match = compiled.search(name)
        if match is None or any(match[part] is None for part in wanted):
            raise OptionError(f"pattern '{pattern}' is not found in '{name}'")
        for part in wanted:
            found[part].append(match[part])
    return found
