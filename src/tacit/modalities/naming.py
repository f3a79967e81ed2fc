"""What the names of files tell of them: labels and groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from tacit.errors import OptionError

SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
"""Folders of these names are parts of a data set and no classes."""


def own_folders(names: Sequence[str]) -> list[str] | None:
    """The folder that each file lies in, parts of a data set left out, where there is one for each and not only one
    for all: what labels are made of."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    own = [next((part for part in reversed(path) if part.lower() not in SPLITS), None) for path in folders]
    found = [part for part in own if part is not None]
    return found if len(found) == len(own) and len(set(found)) > 1 else None


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
