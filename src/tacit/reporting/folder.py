"""Reading a run folder for the report; what is missing or damaged costs its section, not the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tacit.errors import DataError, OptionError, RunError
from tacit.files import read_json
from tacit.registry import Entry, entry, find
from tacit.reporting.gallery import Gallery, load_gallery
from tacit.tables import read_table

T = TypeVar("T")
Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class RunFolder:
    """Everything that the report reads of a run.

    Attributes:
        path: the folder.
        config: ``config.json``, the only file that must be there.
        environment, summary, evaluation: the JSON files of those names; empty when missing.
        metrics, speed, watch: the columns of the CSV files; empty when missing.
        gallery: ``gallery.npz``, or None.
        problems: for each file that could not be used, one line that says why.
    """

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    summary: dict[str, Any]
    evaluation: dict[str, Any]
    metrics: Columns
    speed: Columns
    watch: Columns
    gallery: Gallery | None
    problems: dict[str, str]

    def part(self, name: str) -> dict[str, Any]:
        """One section of the configuration, e.g. ``"method"``; a bare name stands for ``{"name": ...}``."""
        value = self.config.get(name)
        return value if isinstance(value, dict) else {} if value is None else {"name": value}

    @property
    def paper(self) -> Entry | None:
        """The paper behind the method, where the method is registered."""
        try:
            return entry(str(self.part("method").get("name")))
        except OptionError:
            return None

    @property
    def uses_labels(self) -> bool:
        """Whether the method learns from labels; those unknown here do not."""
        try:
            method = find(str(self.part("method").get("name")))
        except (OptionError, ImportError):
            return False
        return bool(getattr(method, "uses_labels", False))

    def why(self, name: str) -> str:
        """Why a file's section is left out."""
        return self.problems.get(name, f"{name} is empty")


def read_folder(path: Path) -> RunFolder:
    """Read a run folder.

    Raises:
        RunError: when it is not a run folder or its ``config.json`` cannot be read.
    """
    if not path.is_dir():
        raise RunError(f"there is no run folder {path}")
    problems: dict[str, str] = {}

    def attempt(name: str, read: Callable[[Path], T], empty: T) -> T:
        if not (path / name).exists():
            problems[name] = f"this run has no {name}"
            return empty
        try:
            return read(path / name)
        except (RunError, DataError, OSError, ValueError) as error:
            problems[name] = str(error) if name in str(error) else f"{name} could not be read: {error}"
            return empty

    return RunFolder(
        path=path,
        config=_mapping(path / "config.json"),
        environment=attempt("environment.json", _mapping, {}),
        summary=attempt("summary.json", _mapping, {}),
        evaluation=attempt("evaluation.json", _mapping, {}),
        metrics=attempt("metrics.csv", _columns, {}),
        speed=attempt("speed.csv", _columns, {}),
        watch=attempt("watch.csv", _columns, {}),
        gallery=attempt("gallery.npz", load_gallery, None),
        problems=problems,
    )


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: it should hold one JSON object")
    return value


def _columns(path: Path) -> Columns:
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in read_table(path).items()}
    if "step" not in columns or not len(columns["step"]):
        raise RunError(f"{path.name} has no rows")
    return columns
