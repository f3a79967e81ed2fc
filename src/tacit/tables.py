"""The CSV files of a run: rows appended as training goes, cut back to a step when it resumes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tacit.files import write


class Table:
    """One CSV file whose first column is ``step``. The header is fixed by the first row.

    Args:
        path: the file.
        resume_at: keep only rows up to this step (None: start anew).
    """

    def __init__(self, path: Path, resume_at: int | None = None) -> None:
        self.path = path
        self.columns: list[str] | None = None
        kept: list[list[str]] = []
        if resume_at is not None and path.exists():
            rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
            if rows:
                self.columns = rows[0]
                # a kill can leave the last line incomplete
                kept = [r for r in rows[1:] if len(r) == len(rows[0]) and r[0].isdigit() and int(r[0]) <= resume_at]
        text = _lines([self.columns, *kept]) if self.columns else ""
        write(path, lambda file: file.write(text.encode()))

    def add(self, row: dict[str, float | int | str]) -> None:
        """Append one row and hand it to the operating system at once."""
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            if self.columns is None:
                self.columns = list(row)
                file.write(_lines([self.columns]))
            file.write(_lines([[row.get(name, "") for name in self.columns]]))


def read_table(path: Path) -> dict[str, list[float]]:
    """The columns of a run's CSV file; empty cells become NaN, a missing file no columns."""
    if not path.exists():
        return {}
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    if not rows:
        return {}
    whole = [row for row in rows[1:] if len(row) == len(rows[0])]
    return {name: [float(row[i] or "nan") for row in whole] for i, name in enumerate(rows[0])}


def _lines(rows: Sequence[Sequence[object] | None]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(row for row in rows if row is not None)
    return text.getvalue()
