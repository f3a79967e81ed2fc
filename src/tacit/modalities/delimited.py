"""Text files of tables looked at before they are parsed: their encoding, and what lies between their columns."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.errors import DataError

WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
"""Marks that texts of other encodings begin with; that of UTF-32 begins with that of UTF-16."""
LOOKED = 1 << 16
"""Bytes at the beginning of a file that are looked at."""
NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", re.IGNORECASE)


def check_utf8(path: Path) -> None:
    """Refuse a file that begins as no text in UTF-8 does.

    Raises:
        DataError: naming the encoding, where it can be told, or the first byte that is 0.
        OSError: if it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(LOOKED)
    found = next((name for mark, name in WIDE.items() if start.startswith(mark)), None)
    if found is None and 3 * start.count(0) > len(start):  # of what is ASCII but for its width every second byte
        found = "UTF-16"
    if found is not None:
        raise DataError(f"cannot read '{path}': it is {found} text; save it as UTF-8")
    if 0 in start:
        raise DataError(f"cannot read '{path}': its byte {start.index(0)} is 0, which no text has; save it as UTF-8")


def _other_mark(header: str) -> str | None:
    """A mark in a line of names that may lie between columns."""
    return next((mark for mark in (";", "\t", ",", "|") if mark in header), None)


def check_delimiter(path: Path, names: Sequence[str], values: Sequence[Any] = ()) -> None:
    """Refuse a table of one column that is several with something else between them.

    Args:
        names: of its columns.
        values: some of the first, where it has but one column.

    Raises:
        DataError: naming what lies between them.
    """
    if len(names) != 1:
        return
    other = _other_mark(names[0]) or (" " if _in_spaces(names[0], values) else None)
    if other is not None:
        mark = "\\t" if other == "\t" else other
        raise DataError(
            f"'{path}' has one column, '{names[0][:60]}', which looks like several; say --set data.delimiter='{mark}'"
        )


def _in_spaces(name: str, values: Sequence[Any]) -> bool:
    """Whether all values have as many parts as the name, with spaces between, and the same of these are numbers."""
    kinds = {tuple(NUMBER.fullmatch(part) is not None for part in str(value).split(" ")) for value in values}
    return len(kinds) == 1 and any(kind := kinds.pop()) and len(kind) == len(name.split(" ")) > 1
