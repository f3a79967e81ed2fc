"""Which samples of the parts belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import torch
from torch import Tensor

from tacit.data import Source
from tacit.errors import DataError


@dataclass
class Match:
    """The samples that have all parts: where they lie in each part's source, and what they are called."""

    rows: dict[str, Tensor]
    names: list[str]
    named_by: str
    skipped: list[tuple[str, str]]


def stem(name: str) -> str:
    """What files of one sample have in common: the path within the part's folder, without endings."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def matched(parts: dict[str, Source], listed: Mapping[str, Sequence[str]], names: Sequence[str] | None) -> Match:
    """Put samples together: by name where parts are folders of files, by position where they are not.

    Args:
        parts: the opened parts.
        listed: the paths that a part was given as, in order, where it was a list of them.
        names: what the samples are called, where that is known; all parts are then lists.

    Raises:
        DataError: for a sample that lacks a part, several files of one name, or different numbers of samples; it names
            part and sample.
    """
    filed = {name: source for name, source in parts.items() if source.named_by == "path" and name not in listed}
    placed = {name: source for name, source in parts.items() if name not in filed}
    if not filed or names is not None:
        return _by_place(parts, listed, names)
    at = {part: _positions(part, source) for part, source in filed.items()}
    lost = {part: {stem(name): why for name, why in source.skipped} for part, source in filed.items()}
    there = {part: at[part].keys() | lost[part].keys() for part in filed}
    first = next(iter(filed))
    for part in filed:
        for one, other in ((first, part), (part, first)):
            missing = sorted(there[one] - there[other])
            if missing:
                raise DataError(
                    f"sample '{missing[0]}' has no part '{other}': {len(missing)} of the {len(there[one])} files of "
                    f"'{one}' have no file of the same name there"
                )
    every = sorted(there[first])
    for part, source in placed.items():
        if len(source) + len(source.skipped) != len(every):
            raise DataError(
                f"part '{part}' has {len(source)} samples, and '{first}' has {len(every)}; there must be one for one, "
                "in the order of the names"
            )
        if source.skipped:
            raise DataError(f"part '{part}': {source.skipped[0][0]} cannot be read ({source.skipped[0][1]})")
    bad = {name: (part, why) for part in filed for name, why in lost[part].items()}
    kept = [i for i, name in enumerate(every) if name not in bad]
    if not kept:
        name, (part, why) = next(iter(sorted(bad.items())))
        raise DataError(f"no sample can be read; the first, '{name}', part '{part}': {why}")
    rows = {
        part: torch.tensor([at[part][every[i]] for i in kept]) if part in filed else torch.tensor(kept)
        for part in parts
    }
    skipped = [(name, f"part '{part}': {why}") for name, (part, why) in sorted(bad.items())]
    return Match(rows, [every[i] for i in kept], "path", skipped)


def _positions(part: str, source: Source) -> dict[str, int]:
    found: dict[str, int] = {}
    for i, name in enumerate(source.names):
        if stem(name) in found:
            raise DataError(
                f"part '{part}' has two samples named '{stem(name)}': '{source.names[found[stem(name)]]}' and '{name}'"
            )
        found[stem(name)] = i
    return found


def _by_place(parts: dict[str, Source], listed: Mapping[str, Sequence[str]], names: Sequence[str] | None) -> Match:
    """By position; what cannot be read of a list of files is left out of all parts."""
    counts = {part: len(source) + len(source.skipped) for part, source in parts.items()}
    first = next(iter(parts))
    total = counts[first]
    for part, count in counts.items():
        if count != total:
            raise DataError(f"part '{part}' has {count} samples, and '{first}' has {total}; there must be one for one")
    gone: dict[int, str] = {}
    places: dict[str, list[int]] = {}
    for part, source in parts.items():
        why = dict(source.skipped)
        if why and part not in listed:
            raise DataError(f"part '{part}': {source.skipped[0][0]} cannot be read ({source.skipped[0][1]})")
        lost = {i: why[path] for i, path in enumerate(listed.get(part, ())) if path in why}
        gone |= {i: f"part '{part}': {reason}" for i, reason in lost.items() if i not in gone}
        places[part] = [i for i in range(total) if i not in lost]
    kept = torch.tensor([i for i in range(total) if i not in gone], dtype=torch.int64)
    if not len(kept):
        raise DataError(f"no sample can be read; the first: {gone[0]}")
    rows = {}
    for part, own in places.items():
        place = torch.full((total,), -1)
        place[torch.tensor(own)] = torch.arange(len(own))
        rows[part] = place[kept]
    called = list(names) if names is not None else [str(i) for i in range(total)]
    return Match(rows, [called[i] for i in kept.tolist()], "index", [(called[i], gone[i]) for i in sorted(gone)])
