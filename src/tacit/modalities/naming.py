"""What the names of files tell of them: labels and groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.sources import as_labels

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


def known_of(
    names: Sequence[str],
    given: tuple[Any, Any],
    count: int,
    kept: Sequence[int],
    pattern: str | None,
    where: str,
    least: int = 1,
) -> tuple[Tensor | None, list[str] | None, Tensor | None]:
    """Labels, classes and groups of files: those given, those in their names, or those of their folders.

    Args:
        names: of the files that could be read.
        given: labels (and groups), one for each of ``count`` files, or None.
        count: how many files there were.
        kept: which of them could be read.
        pattern: see :func:`named_parts`.
        where: what messages call the data.
        least: how many files a folder must hold to be a class.
    """
    y, groups = given
    if y is not None:
        at = torch.tensor(kept)
        labels, classes = as_labels(y, count, where)
        grouped = None if groups is None else as_labels(groups, count, f"groups of {where}")[0][at]
        return labels[at], classes, grouped
    found = named_parts(names, pattern) if pattern is not None else {}
    if pattern is None and (own := own_folders(names)) is not None and min(Counter(own).values()) >= least:
        found = {"label": own}
    label, group = (as_labels(found[n], len(names), where) if n in found else (None, None) for n in ("label", "group"))
    return label[0], label[1], group[0]
