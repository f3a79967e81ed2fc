"""What views and encoders must know of a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tacit.data import Source
from tacit.errors import DataError
from tacit.modalities.table.schema import Layout, Schema

NOUN = ("row", "rows")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a table that a trained encoder depends on; stored in the run.

    Attributes:
        schema: its columns, with statistics.
        options: for reading other tables in the same way.
    """

    schema: Schema
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """Which features of a row are of which column."""
        return self.schema.layout

    @property
    def features(self) -> int:
        """Features of a row."""
        return self.layout.features

    def as_dict(self) -> dict[str, Any]:
        return {"schema": self.schema.as_dict(), "options": dict(self.options)}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        return cls(Schema.from_dict(row["schema"]), dict(row["options"]))

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        return {**self.options, "schema": self.schema.as_dict()}

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        counts: Counter[str] = Counter(column.sort for column in self.schema.columns)
        sorts = {"number": "numeric", "category": "categorical", "date": "dates"}
        listed = ", ".join(f"{counts[sort]} {word}" for sort, word in sorts.items() if counts[sort])
        return f"{len(self.schema.columns)} columns ({listed}), {self.features} features"


def spec_of(source: Source) -> Spec:
    """The spec of a table, whose statistics were taken when it was read.

    Raises:
        DataError: for a source that was not opened here.
    """
    schema = getattr(getattr(source, "store", None), "schema", None)
    if not isinstance(schema, Schema):
        raise DataError("rows of a table must come from tacit.modalities.table.open_source, which knows their columns")
    return Spec(schema, dict(source.describe()["reading"]))
