"""A log of events as a source."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tacit.modalities.events.gather import Histories
from tacit.modalities.events.layout import Columns
from tacit.sources import Stored


class Log(Stored):
    """Histories of entities, and what their rows mean.

    Args:
        store: the histories.
        columns: what every column of the log is.
        values: for each field with a list of values those that have a code, in order of codes from 2.
        missing: for each field of numbers whether values are missing.
        again: options that open other logs alike, but for fields and values.
        facts, names, labels, classes, groups, skipped: see :class:`tacit.sources.Stored`.
    """

    store: Histories

    def __init__(
        self,
        store: Histories,
        columns: Columns,
        values: list[list[str]],
        missing: tuple[bool, ...],
        again: dict[str, Any],
        facts: dict[str, Any],
        *,
        names: list[str],
        labels: Tensor | None,
        classes: list[str] | None,
        groups: Tensor | None,
        skipped: list[tuple[str, str]],
    ) -> None:
        super().__init__(
            "events", store, facts, names=names, labels=labels, classes=classes, groups=groups, skipped=skipped
        )
        self.columns, self.values, self.missing, self.again = columns, values, missing, again
