"""The files that ``tacit curate`` writes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from tacit.curation.distillation import Distilled
from tacit.curation.selection import Selection
from tacit.data import numbered
from tacit.errors import OptionError, RunError
from tacit.files import replacing

FORMATS = (".parquet", ".csv", ".npz", ".txt")


def check_output(path: Path, force: bool, images: bool = False) -> None:
    """Raise before any work is done where the result could not be written.

    Raises:
        OptionError: for another ending; synthetic ``images`` are an ``.npz``.
        RunError: if the file exists and ``force`` is not set, or is a folder.
    """
    formats = (".npz",) if images else FORMATS
    if path.suffix.lower() not in formats:
        raise OptionError(f"{path} must end in {', '.join(formats)}")
    if path.is_dir():
        raise RunError(f"{path} is a folder; name a file")
    if path.exists() and not force:
        raise RunError(f"{path} exists; add --force to replace it, or choose another name")


def write_chosen(path: Path, chosen: Selection, names: Sequence[str], named_by: str) -> Path:
    """Write a selection: a row a sample with ``path`` or ``index``, ``score``, ``kept`` and ``group``; as ``.txt`` the
    paths or indices of the kept ones alone.

    Raises:
        RunError: if it cannot be written, or a path does not fit on a line of text.
    """
    called = [str(name) for name in names]
    named = np.asarray(called).astype(np.int64 if numbered(called, named_by) else np.str_)
    columns = {named_by: named, "score": chosen.scores, "kept": chosen.kept, "group": chosen.group}
    ending = path.suffix.lower()
    try:
        with replacing(path) as part:
            if ending == ".parquet":
                import pyarrow as pa
                from pyarrow import parquet

                parquet.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), part)
            elif ending == ".npz":
                with open(part, "wb") as file:
                    np.savez(file, **columns)  # type: ignore[arg-type]
            elif ending == ".csv":
                with open(part, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(columns)
                    writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
            else:
                _lines(part, named[chosen.kept].astype(np.str_), path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _lines(part: Path, names: np.ndarray, path: Path) -> None:
    broken = [name for name in names.tolist() if "\n" in name or "\r" in name]
    if broken:
        raise RunError(f"{path}: the path {broken[0]!r} holds a line break and fits on no line; write .csv instead")
    with open(part, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.writelines(f"{name}\n" for name in names.tolist())


def write_distilled(path: Path, distilled: Distilled, pixels: Tensor) -> Path:
    """Write ``x``, synthetic images in the units of the data's pixels (float32 ``[n, C, H, W]``, not confined to their
    range), and ``y``, their targets (float32 ``[n, D]``).

    Raises:
        RunError: if it cannot be written.
    """
    try:
        with replacing(path) as part, open(part, "wb") as file:
            np.savez(file, x=pixels.numpy().astype(np.float32), y=distilled.y.numpy())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return path
