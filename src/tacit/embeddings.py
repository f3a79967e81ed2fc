"""Embeddings to files: one row a sample, written as they come."""

from __future__ import annotations

import csv
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from torch import Tensor

from tacit.data import Source, numbered
from tacit.errors import OptionError, RunError
from tacit.files import replacing

FORMATS = (".parquet", ".csv", ".npz")
Part = tuple[np.ndarray, np.ndarray]
"""Paths (text) or indices (int64) of some samples, ``[n]``, and their embeddings, float32 ``[n, dim]``."""


def write_embeddings(
    path: Path,
    source: Source,
    embeddings: Iterator[Tensor],
    *,
    force: bool = False,
    report: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write names and embeddings, batch by batch, and put the file in place when it is complete.

    ``.parquet``: columns ``path`` (text) or ``index`` (int64, or text where samples have names), and ``embedding`` (a
    fixed-size list of float32); ``.csv``: ``path`` or ``index``, ``e0``, ``e1``, ...; ``.npz``: arrays ``path`` or
    ``index``, and ``embedding``.
    Paths are relative to the folder.

    Raises:
        OptionError: for another ending.
        RunError: if the file exists (and ``force`` is not set) or cannot be written.
    """
    check_output(path, force)
    writer = {".parquet": _parquet, ".csv": _csv, ".npz": _npz}[path.suffix.lower()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            writer(part, source.named_by, _named(source, embeddings, report))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def check_output(path: Path, force: bool) -> None:
    """Raise before any work is done where the result could not be written."""
    if path.suffix.lower() not in FORMATS:
        raise OptionError(f"{path} must end in {', '.join(FORMATS)}")
    if path.exists() and not force:
        raise RunError(f"{path} exists; add --force to replace it, or choose another name")


def _named(source: Source, embeddings: Iterator[Tensor], report: Callable[[int], None]) -> Iterator[Part]:
    kind = np.int64 if numbered(source.names, source.named_by) else np.str_
    done = 0
    for rows in embeddings:
        names = np.array([source.names[i] for i in range(done, done + len(rows))]).astype(kind)
        done += len(rows)
        report(done)
        yield names, rows.numpy()


def _parquet(path: Path, key: str, parts: Iterator[Part]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    try:
        for names, rows in parts:
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
            table = pa.table({key: pa.array(names), "embedding": column})
            if writer is None:
                writer = parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _csv(path: Path, key: str, parts: Iterator[Part]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for count, (names, rows) in enumerate(parts):
            if count == 0:
                writer.writerow([key, *(f"e{i}" for i in range(rows.shape[1]))])
            writer.writerows([name, *row] for name, row in zip(names.tolist(), rows.tolist(), strict=True))


def _npz(path: Path, key: str, parts: Iterator[Part]) -> None:
    """An .npz whose rows pass through a temporary file, because its header needs their number."""
    named: list[np.ndarray] = []
    width = 0
    with tempfile.TemporaryFile(dir=path.parent) as raw:
        for names, rows in parts:
            named.append(names)
            width = rows.shape[1]
            raw.write(np.ascontiguousarray(rows, np.float32).tobytes())
        raw.seek(0)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            with archive.open(f"{key}.npy", "w") as file:
                npy.write_array(file, np.concatenate(named), allow_pickle=False)
            with archive.open("embedding.npy", "w", force_zip64=True) as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": (sum(map(len, named)), width)}
                npy.write_array_header_2_0(file, header)
                while block := raw.read(1 << 20):
                    file.write(block)
