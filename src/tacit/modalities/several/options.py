"""Options for one part by its name, and for all that have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tacit.errors import OptionError

T = TypeVar("T")


def parted(options: Mapping[str, Any], names: Sequence[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Options of each part, ``PART.OPTION`` as ``OPTION`` and ``PART`` itself as the empty name, and the others."""
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    common = {}
    for key, value in options.items():
        name = next((n for n in sorted(names, key=len, reverse=True) if key == n or key.startswith(f"{n}.")), None)
        if name is None:
            common[key] = value
        else:
            own[name][key[len(name) + 1 :]] = value
    return own, common


def each(
    names: Sequence[str],
    own: Mapping[str, Mapping[str, Any]],
    common: Mapping[str, Any],
    make: Callable[[str, Mapping[str, Any]], T],
) -> dict[str, T]:
    """``make(name, options)`` for each part, with its own options and with those common ones that it takes.

    Raises:
        OptionError: for a common option that no part takes, or what ``make`` raises for one of a part's own.
    """
    made: dict[str, T] = {}
    refused: dict[str, OptionError] = {}
    taken: set[str] = set()
    for name in names:
        given = dict(own[name])
        found = make(name, given)
        for key, value in common.items():
            if key in given:
                continue
            try:
                found = make(name, given | {key: value})
            except OptionError as error:
                refused.setdefault(key, error)
                continue
            given[key] = value
            taken.add(key)
        made[name] = found
    for key, reason in refused.items():
        if key not in taken:
            raise reason
    return made
