"""What views and encoders must know of a log of events."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from tacit.data import Source
from tacit.errors import DataError

NOUN = ("history", "histories")
ALONE: tuple[str, ...] = ()
SKEWED = 3.0
"""Skewness from which numbers that are never negative are taken by their logarithm."""


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        categories: names of the fields with a value out of a list.
        values: for each of them the values that have a code, in order of codes from 2 (0: padding, 1: missing or not
            among them).
        numbers: names of the fields that are measured.
        logarithm, mean, std, gaps: for each of these whether it is taken by ``log(1 + v)``, mean and standard
            deviation (after that), and whether values are missing.
        periods: of the clock, see :func:`tacit.modalities.events.open_source`.
        gap: the middle time between two events that follow each other, above 0.
        dates: whether times are in days.
        length: events of the longest history, as it is read.
        ragged: whether histories differ in length.
        columns: options for reading other logs in the same way.
    """

    categories: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...]
    logarithm: tuple[bool, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    gaps: tuple[bool, ...]
    periods: tuple[float, ...]
    gap: float
    dates: bool
    length: int
    ragged: bool
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each field with a list of values, padding and unknown ones included."""
        return tuple(len(values) + 2 for values in self.values)

    @property
    def measured(self) -> int:
        """Rows of a view that hold plain numbers: the measured fields, what says where they are known, the clock."""
        return len(self.numbers) + sum(self.gaps) + 2 * len(self.periods)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return self.columns | {
            "categories": self.categories,
            "numbers": self.numbers,
            "periods": self.periods,
            "vocabulary": {name: list(values) for name, values in zip(self.categories, self.values, strict=True)},
        }

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        steps = f"up to {self.length}" if self.ragged else str(self.length)
        fields = [f"{name} ({len(values)} values)" for name, values in zip(self.categories, self.values, strict=True)]
        return f"{steps} events of {', '.join([*fields, *self.numbers]) or 'nothing but their time'}"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        made = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        made["values"] = tuple(tuple(values) for values in row["values"])
        columns = {name: tuple(value) if isinstance(value, list) else value for name, value in row["columns"].items()}
        return cls(**made | {"columns": columns})


def spec_of(source: Source, sample: int = 4096) -> Spec:
    """The spec of a log: its fields, and statistics of up to ``sample`` histories.

    Raises:
        DataError: if it is no source of events, or if a field is missing in all of these.
    """
    from tacit.modalities.events.source import Log

    if not isinstance(source, Log):
        raise DataError(f"the spec of events needs a source of events, not of {source.modality}")
    categories, numbers = len(source.columns.categories), len(source.columns.numbers)
    chosen = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
    found: list[np.ndarray] = []
    gaps: list[np.ndarray] = []
    for batch in source.batches(256, chosen):
        x = batch["x"].double().numpy()
        length = batch["length"].numpy() if "length" in batch else np.full(len(x), x.shape[2])
        real = np.arange(x.shape[2]) < length[:, None]
        found.append(x[:, 1 + categories : 1 + categories + numbers].transpose(0, 2, 1)[real])
        gaps.append(np.diff(x[:, 0], axis=1)[real[:, 1:]])
    values = np.concatenate(found)
    between = np.concatenate(gaps)
    between = between[between > 0]
    known = ~np.isnan(values)
    if not known.any(0).all():
        raise DataError(f"column '{source.columns.numbers[int((~known.any(0)).argmax())]}' is empty; leave it out")
    logarithm = [_skewed(column[k]) for column, k in zip(values.T, known.T, strict=True)]
    values = np.where(logarithm, np.log1p(np.where(logarithm, values, 0)), values)
    mean = [float(column[k].mean()) for column, k in zip(values.T, known.T, strict=True)]
    std = [float(column[k].std()) for column, k in zip(values.T, known.T, strict=True)]
    return Spec(
        categories=source.columns.categories,
        values=tuple(tuple(values) for values in source.values),
        numbers=source.columns.numbers,
        logarithm=tuple(logarithm),
        mean=tuple(mean),
        std=tuple(s if s > 1e-6 * max(abs(m), 1e-6) else 1.0 for s, m in zip(std, mean, strict=True)),
        gaps=source.missing,
        periods=source.store.periods,
        gap=float(np.median(between)) if len(between) else 1.0,
        dates=source.columns.dates,
        length=int(source.store.length.max()),
        ragged=source.store.ragged,
        columns=source.again,
    )


def _skewed(values: np.ndarray) -> bool:
    if values.min() < 0 or values.std() == 0:
        return False
    return bool((((values - values.mean()) / values.std()) ** 3).mean() > SKEWED)
