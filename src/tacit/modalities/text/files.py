"""Documents from files: text, lines of JSON, and tables; with errors that name the file and the place in it."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from tacit.errors import DataError, OptionError
from tacit.modalities import columns
from tacit.modalities.looking import ending_of, path_of

ENDINGS = (".jsonl", ".txt")
TEXTS = ("text", "document", "sentence", "content", "body", "review", "comment", "abstract")
LABELS = ("label", "labels", "target", "targets", "class", "y")
GROUPS = ("group", "groups")
"""Names of columns, in order of preference."""
SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
"""Folders of these names are parts of a data set and no classes."""
Unit = Literal["line", "paragraph", "file"]


@dataclass
class Found:
    """Documents and what is known of them.

    Attributes:
        texts: the documents.
        names: of each, or None where they are numbered.
        labels, groups: one a document, or None.
        where: what an error calls them all.
        rows: what identifies each among the ``of`` documents that there were, where some were left out.
        skipped: ``(name, reason)`` of what was left out.
        facts: for the run's configuration.
    """

    texts: list[str]
    where: str
    names: list[str] | None = None
    labels: Any = None
    groups: Any = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """Columns by the user's names, None where the usual names will do.

    Attributes:
        text, label, group: the columns.
        lenient: whether those of labels and groups may be missing.
    """

    text: str | None = None
    label: str | None = None
    group: str | None = None
    lenient: bool = False

    def among(self, there: Sequence[str], where: str) -> tuple[str | None, str | None]:
        """The columns of labels and of groups.

        Raises:
            DataError: if one is not there as asked.
        """
        label, group = (
            None if self.lenient and name not in there else name for name in (self.label, self.group)
        )  # fmt: skip
        return column(there, label, LABELS, where), column(there, group, GROUPS, where)


def decoded(path: Path, encoding: str) -> str:
    """A text file's content; a byte order mark is left out.

    Raises:
        DataError: naming the file and the byte, if it is not in the encoding, or is no text.
        OptionError: for an encoding that there is not.
        OSError: if it cannot be read.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise OptionError(
            f"there is no encoding '{encoding}'; known are for example utf-8, latin-1, cp1252, utf-16"
        ) from None
    raw = path.read_bytes()
    wide = next(
        (
            name
            for mark, name in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
            if raw.startswith(mark)
        ),
        None,
    )
    advice = f"say --set data.encoding={wide or 'latin-1'} (or what it is), or save it as UTF-8"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"'{path}' is not {encoding} text: byte {error.start} (0x{raw[error.start]:02x}, line {line}); {advice}"
        ) from None
    if "\0" in text:
        at = raw.find(b"\0")
        raise DataError(f"'{path}' is no {encoding} text: byte {at} is 0; leave it out, or {advice}")
    return text.removeprefix("\ufeff")


def lines_of(text: str) -> list[str]:
    """Lines without what ends them, be it of Unix, Windows or an old Macintosh."""
    return re.split(r"\r\n|\n|\r", text)


def from_text(path: Path, name: str, unit: Unit, encoding: str) -> tuple[list[str], list[str]]:
    """The documents of one text file, and their names; empty lines are none.

    Raises:
        DataError, OptionError, OSError: see :func:`decoded`.
    """
    text = decoded(path, encoding)
    if unit == "file":
        return ([text], [name]) if text.strip() else ([], [])
    texts: list[str] = []
    names: list[str] = []
    open_paragraph = False
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            open_paragraph = False
        elif unit == "paragraph" and open_paragraph:
            texts[-1] += "\n" + line
        else:
            texts.append(line)
            names.append(f"{name}:{number}")
            open_paragraph = True
    return texts, names


def from_lines_of_json(path: Path, name: str, encoding: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of a ``.jsonl`` file, and their names; a line of plain text in quotes is an object with a ``text``.

    Raises:
        DataError: naming the file and the line, for one that is no JSON or of another kind; else see :func:`decoded`.
    """
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    for number, line in enumerate(lines_of(decoded(path, encoding)), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"'{path}', line {number} is no JSON ({error}); each line should be an object") from None
        if not isinstance(row, (dict, str)):
            raise DataError(f'\'{path}\', line {number} should be an object like {{"text": "..."}}, not {line[:40]}')
        rows.append({TEXTS[0]: row} if isinstance(row, str) else row)
        names.append(f"{name}:{number}")
    return rows, names


def listed(data: Any) -> tuple[list[Path], list[str], str, list[tuple[str, str]]]:
    """The text files of a folder (sorted, hidden ones left out), a file, or a list of files: paths, names, what an
    error calls them all, and what was left out. Of a folder with files of both endings the more frequent are taken.

    Raises:
        DataError: if there are none.
    """
    path = path_of(data)
    if path is None:
        paths = [Path(os.path.expanduser(item)) for item in data]
        return paths, [item.as_posix() for item in paths], f"a list of {len(paths)} files", []
    if path.is_file():
        return [path], [path.name], f"'{path}'", []
    if not path.is_dir():
        raise DataError(f"there is no file or folder '{path}'")
    found: dict[str, list[str]] = {ending: [] for ending in ENDINGS}
    for folder, inner, names in os.walk(path, followlinks=False):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in names:
            ending = None if name.startswith(".") else ending_of(Path(name), ENDINGS)
            if ending is not None:
                found[ending].append(Path(folder, name).relative_to(path).as_posix())
    most = max(ENDINGS, key=lambda ending: len(found[ending]))
    if not found[most]:
        raise DataError(f"there are no text files ({', '.join(ENDINGS)}) in '{path}'")
    names = sorted(found[most])
    others = [
        (name, f"most files are {most}") for ending in ENDINGS if ending != most for name in sorted(found[ending])
    ]
    return [path / name for name in names], names, f"'{path}'", others


def class_folders(names: Sequence[str]) -> list[str] | None:
    """The folder of each file, where they are in several; those of a part of a data set do not count."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    own = [next((part for part in reversed(path) if part.lower() not in SPLITS), None) for path in folders]
    return None if None in own or len(set(own)) < 2 else [str(part) for part in own]


def column(there: Sequence[str], asked: str | None, wanted: Sequence[str], where: str) -> str | None:
    """The column that is asked for, or the first of those with one of the ``wanted`` names.

    Raises:
        DataError: if there is none as asked.
    """
    if asked is not None and asked not in there:
        raise DataError(f"{where} has no column '{asked}'; it has {', '.join(map(str, there[:20]))}")
    return asked or next((name for name in wanted if name in there), None)


def from_table(data: Any, delimiter: str | None, asked: Asked) -> Found:
    """The documents of a table: its column of text, by its name or the one with the longest values.

    Raises:
        DataError: naming the column, for one that is missing or holds no text, or a label that is missing; else see
            :func:`tacit.modalities.columns.read_table`.
    """
    import pyarrow as pa

    path = path_of(data)
    where = "the table" if path is None else f"'{path}'"
    table = columns.read_table(data, delimiter)
    names = table.column_names
    words = [
        name for name in names if pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type)
    ]  # fmt: skip
    label, group = asked.among(names, where)
    chosen = column(names, asked.text, [name for name in TEXTS if name in words], where)
    if chosen is None:
        free = [name for name in words if name not in (label, group)]
        if not free:
            raise DataError(f"{where} has no column of text; it has {', '.join(names[:20])}")
        chosen = max(free, key=lambda name: sum(len(v or "") for v in table[name][:1000].to_pylist()))
    if chosen not in words:
        raise DataError(f"{where}: column '{chosen}' holds {table[chosen].type} and no text")
    taken = {"text": chosen, "label": label, "group": group}
    known: dict[str, Any] = {}
    for name in (label, group):
        if name is not None:
            if table[name].null_count:
                raise DataError(
                    f"{where}: column '{name}' has {table[name].null_count} empty cells; leave these rows out"
                )
            known[name] = table[name].to_pylist()
    texts = ["" if value is None else value for value in table[chosen].to_pylist()]
    facts = {"kind": "table", "columns": {k: v for k, v in taken.items() if v is not None}}
    if path is not None:
        facts["path"] = str(path)
    return Found(texts, where, labels=known.get(label or ""), groups=known.get(group or ""), facts=facts)


def from_rows(rows: Sequence[dict[str, Any]], names: list[str] | None, where: str, asked: Asked) -> Found:
    """Documents from dictionaries, all with the fields that the first has.

    Raises:
        DataError: naming the row and the field, for one that is missing or of another type.
    """

    def called(i: int) -> str:
        return f"{where}, row {i}" if names is None else f"{where}, '{names[i]}'"

    there = [str(name) for name in rows[0]]
    label, group = asked.among(there, called(0))
    chosen = column(there, asked.text, TEXTS, called(0))
    if chosen is None:
        raise DataError(
            f"{called(0)} has no field {', '.join(TEXTS)}; it has {', '.join(there[:20])}: say which is the text with "
            "--set data.text=NAME"
        )
    texts: list[str] = []
    for i, row in enumerate(rows):
        for name in (chosen, label, group):
            if name is not None and name not in row:
                raise DataError(f"{called(i)} has no field '{name}', which the first has")
        value = row[chosen]
        if value is not None and not isinstance(value, str):
            raise DataError(f"{called(i)}: '{chosen}' should be text, not {type(value).__name__}")
        texts.append(value or "")
        if label is not None and row[label] is None:
            raise DataError(f"{called(i)}: '{label}' is empty; leave it out, or give it a label")
    picked = {"text": chosen, "label": label, "group": group}
    facts = {"kind": "rows", "columns": {k: v for k, v in picked.items() if v is not None}}
    labels, groups = ([row[n] for row in rows] if n is not None else None for n in (label, group))
    return Found(texts, where, names=names, labels=labels, groups=groups, facts=facts)
