"""Reading text: files, folders, tables and lists become one kind of source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tacit.console import Bar
from tacit.data import Source
from tacit.errors import DataError, OptionError, unknown
from tacit.modalities import columns
from tacit.modalities.looking import Claim, ending_of, path_of, shown
from tacit.modalities.text.codec import Codec, codec_of, trained
from tacit.modalities.text.files import (
    ENDINGS,
    Asked,
    Found,
    class_folders,
    from_lines_of_json,
    from_rows,
    from_table,
    from_text,
    listed,
)
from tacit.sources import Stored, Stretches, as_labels, unpacked

UNITS = ("line", "paragraph", "file")
MOST = 512
"""Tokens of a document that are read."""
FEW = 200
"""Items of a list that are looked at."""


class Texts(Stored):
    """Documents as token ids: ``x`` is int32 ``[B, T]``.

    Attributes:
        codec: what they are cut into tokens by.
        again: options for reading other documents in the same way, save for the tokenizer.
    """

    codec: Codec
    again: dict[str, Any]


def recognises(data: Any) -> Claim:
    """Lists of text, or of paths of text files, are surely text; a table may have a column of it."""
    path = path_of(data)
    if columns.is_frame(data) or (path is not None and ending_of(path, columns.TABLES)):
        return Claim.PERHAPS
    if path is not None:
        return Claim.NO
    x = unpacked(data)[0]
    if isinstance(x, np.ndarray):
        return Claim.SURE if x.ndim == 1 and x.dtype.kind == "U" else Claim.NO
    if not isinstance(x, (list, tuple)) or not x:
        return Claim.NO
    if _are_paths(x):
        return Claim.SURE
    if all(isinstance(item, str) for item in x[:FEW]):
        # paths of files of another kind have no spaces, and endings
        named = all(" " not in item and Path(item).suffix for item in x[:FEW])
        return Claim.NO if named else Claim.SURE
    rows = isinstance(x[0], Mapping) and any(isinstance(value, str) for value in x[0].values())
    return Claim.PERHAPS if rows else Claim.NO


def _are_paths(x: Any) -> bool:
    """Whether all items are paths of text files."""
    return all(
        (isinstance(item, os.PathLike) or (isinstance(item, str) and "\n" not in item))
        and ending_of(Path(item), ENDINGS)
        for item in x
    )


def open_source(
    data: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    group: str | None = None,
    unit: str | None = None,
    encoding: str = "utf-8",
    tokenizer: dict[str, Any] | str | None = None,
    vocabulary: int = 4096,
    most: int | None = None,
    delimiter: str | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open documents.

    Args:
        data: a ``.txt`` file (a document a line); a folder of ``.txt`` files (a document a file; class folders become
            labels) or of ``.jsonl`` files; a ``.jsonl`` file; a ``.csv``, ``.tsv`` or ``.parquet`` table, or one of
            pandas, polars or PyArrow; a list of text, of paths, or of dictionaries; a tuple of such a list and its
            labels (and, as a third part, its groups).
        text: the column (of a table, of ``.jsonl``) that holds the text; by default one of a usual name, or the one
            with the longest values.
        label: the column with labels; by default ``label`` and the like.
        group: the column of what must not be in both halves of an evaluation (an author, a source).
        unit: what a document is in a ``.txt`` file: a ``line``, a ``paragraph`` (lines up to an empty one) or the
            ``file``. By default lines where there is one file, else files.
        encoding: of text files.
        tokenizer: the name of a Hugging Face model, or a folder with one, whose tokens are wanted; by default a
            byte-pair encoding is made from the documents and kept in the run. A run gives here what it stored (for its
            own encoding what ``tokenizers`` stores as JSON); columns of labels and groups need not be there then.
        vocabulary: entries of that encoding, at most.
        most: tokens of a document that are read, the first ones; by default 512, or as many as the model takes.
        delimiter: between the columns of a text table; by its ending otherwise.
        progress: show a bar.
        once: as for every reader; nothing here is kept for later.

    Raises:
        DataError: for data that cannot be read, of another encoding (naming file and byte), damaged (naming file and
            line) or without text. Empty documents of files are left out and counted, those of lists are refused.
        OptionError: for an impossible value of an option.
        MissingExtra: without the library that makes tokens.
    """
    if most is not None and most < 2:
        raise OptionError(f"most is a number of tokens, at least 2, not {most}")
    if unit is not None and unit not in UNITS:
        raise unknown("unit of text", unit, UNITS)
    found = _documents(data, Asked(text, label, group, isinstance(tokenizer, dict)), unit, encoding, delimiter)
    codec = trained([t for t in found.texts if t.strip()], vocabulary) if tokenizer is None else codec_of(tokenizer)
    read = most or min(MOST, codec.limit or MOST)
    if codec.limit is not None and read > codec.limit:
        raise OptionError(f"the model of tokenizer '{codec.stored}' takes {codec.limit} tokens; most={most} is more")
    pieces, kept, cut = _cut(found, codec, read, progress)
    labels, classes = (
        as_labels(found.labels, len(found.texts), found.where) if found.labels is not None else (None, None)
    )
    groups = (
        as_labels(found.groups, len(found.texts), f"groups of {found.where}")[0] if found.groups is not None else None
    )
    names = found.names or [str(i) for i in range(len(found.texts))]
    if len(kept) < len(found.texts):
        names, at = [names[i] for i in kept], torch.tensor(kept)
        labels, groups = (None if v is None else v[at] for v in (labels, groups))
    again = {"text": text, "label": label, "group": group, "unit": unit, "delimiter": delimiter, "most": most}
    again = {name: value for name, value in again.items() if value is not None}
    if encoding != "utf-8":
        again["encoding"] = encoding
    source = Texts(
        "text", Stretches.of([torch.from_numpy(piece) for piece in pieces]), found.facts | {"cut": cut, "most": read},
        names=names, labels=labels, classes=classes, groups=groups, skipped=found.skipped,
        named_by="index" if found.names is None else "path",
    )  # fmt: skip
    source.codec, source.again = codec, again
    return source


def _cut(found: Found, codec: Codec, most: int, progress: bool) -> tuple[list[Any], list[int], int]:
    """Ids of the documents, which they are of all that there were, and how many were longer than ``most``."""
    pieces: list[Any] = []
    kept: list[int] = []
    cut = done = 0
    with Bar("tokens", total=len(found.texts), quiet=not progress) as bar:
        for part in codec.encode(found.texts, most):
            for i, (ids, longer) in enumerate(part, done):
                if len(ids) and found.texts[i].strip():
                    pieces.append(ids)
                    kept.append(i)
                    cut += longer
                elif found.facts["kind"] == "list":
                    raise DataError(f"{found.where}: document {i} has no text in it; leave it out")
                else:
                    found.skipped.append((found.names[i] if found.names else str(i), "there is no text in it"))
            done += len(part)
            bar.at(done)
    if not pieces:
        raise DataError(f"the tokenizer finds no text in {found.where}")
    return pieces, kept, cut


def _documents(data: Any, asked: Asked, unit: str | None, encoding: str, delimiter: str | None) -> Found:
    x, y, groups = unpacked(data)
    path = path_of(x)
    table = columns.is_frame(x) or (path is not None and ending_of(path, columns.TABLES) is not None)
    if table:
        found = from_table(x, delimiter, asked)
    elif path is not None or (isinstance(x, (list, tuple)) and x and _are_paths(x)):
        found = _files(x, asked, unit, encoding)
    else:
        if isinstance(x, np.ndarray) and x.dtype.kind in "UO":
            x = x.tolist()
        if not isinstance(x, (list, tuple)):
            raise DataError(f"cannot read text from {shown(x)}; give files ({', '.join(ENDINGS)}), a table or a list")
        found = _list(list(x), shown(x), asked)
    if not any(t.strip() for t in found.texts):
        raise DataError(f"there is no text in {found.where}")
    for i, written in enumerate(found.texts):
        try:
            written.encode()
        except UnicodeEncodeError as error:
            name = f"document {i}" if found.names is None else f"'{found.names[i]}'"
            half = f"U+{ord(written[error.start]):04X}"
            raise DataError(
                f"{found.where}: character {error.start} of {name} is {half}, half of a pair and no text; leave it out"
            ) from None
    for name, values in (("labels", y), ("groups", groups)):
        if values is not None:
            if getattr(found, name) is not None or len(values) != len(found.texts):
                raise DataError(f"{found.where}: there are {len(found.texts)} documents"
                                f"{' with' if getattr(found, name) is not None else ' and'} {len(values)} {name}; "
                                "give one a document, once")  # fmt: skip
            setattr(found, name, values)
    return found


def _list(items: list[Any], where: str, asked: Asked) -> Found:
    if not items:
        raise DataError(f"{where} has no documents in it")
    if isinstance(items[0], Mapping):
        odd = next((i for i, item in enumerate(items) if not isinstance(item, Mapping)), None)
        if odd is not None:
            raise DataError(f"{where}: item {odd} is {type(items[odd]).__name__}, and the first is a dictionary")
        found = from_rows(items, None, where, asked)
        found.facts["kind"] = "list"
        return found
    for i, item in enumerate(items):
        if not isinstance(item, str):
            raise DataError(f"{where}: document {i} should be text, not {type(item).__name__} ({item!r:.40})")
    return Found(items, where, facts={"kind": "list"})


def _files(data: Any, asked: Asked, unit: str | None, encoding: str) -> Found:
    paths, names, where, skipped = listed(data)
    wrong = next((p for p in paths if not ending_of(p, ENDINGS)), None)
    if wrong is not None:
        raise DataError(
            f"cannot read text from '{wrong}'; give files with one of the endings {', '.join(ENDINGS)}, or a table"
        )
    alone = len(paths) == 1
    cut: Any = unit or ("line" if alone else "file")
    texts: list[str] = []
    called: list[str] = []
    of: list[int] = []
    rows: list[dict[str, Any]] = []
    for i, (path, name) in enumerate(zip(paths, names, strict=True)):
        try:
            if ending_of(path, (".jsonl",)):
                objects, made = from_lines_of_json(path, name, encoding)
                rows += objects
            else:
                pieces, made = from_text(path, name, cut, encoding)
                texts += pieces
        except OSError as error:
            skipped.append((name, error.strerror or str(error)))
            continue
        if not made:
            skipped.append((name, "there is no text in it"))
        called += made
        of += [i] * len(made)
    facts = {"kind": "file" if alone else "files", "path": where.strip("'")}
    if rows and texts:
        raise DataError(f"{where} has both lines of JSON and plain text; give one of them at a time")
    if rows:
        found = from_rows(rows, called, where, asked)
        found.facts |= facts
    elif texts:
        for name, value in (("text", asked.text), ("label", asked.label), ("group", asked.group)):
            if value is not None and not asked.lenient:
                raise OptionError(f"{name} names a column of a table or of .jsonl, which {where} is not")
        folders = class_folders([names[i] for i in of])
        grouped = of if len(set(of)) > 1 and cut != "file" else None
        found = Found(texts, where, names=called, labels=folders, groups=grouped, facts=facts | {"unit": cut})
    else:
        reason = f"; '{skipped[0][0]}': {skipped[0][1]}" if skipped else ""
        raise DataError(f"there is no text in {where}{reason}")
    found.skipped = skipped + found.skipped
    return found
