"""Parts that were opened apart as one data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch, Source
from tacit.errors import DataError
from tacit.views.bundle import Bundle

OF_SAMPLES = ("index", "y", "group", "time")
"""Entries of a batch that belong to a sample and not to its parts."""


class Joined(Source):
    """Samples of several parts.

    Args:
        parts: an opened source for each part.
        rows: for each part, int64 ``[N]``, where in its source every sample lies.
        names, named_by, labels, classes, groups, skipped: see :class:`tacit.data.Source`.
        facts: where the data are from, for the run's configuration.
        reading: options that open other data alike, besides those of the parts.
    """

    def __init__(
        self,
        parts: Mapping[str, Source],
        rows: Mapping[str, Tensor],
        *,
        names: Sequence[str],
        named_by: str,
        labels: Tensor | None = None,
        classes: list[str] | None = None,
        groups: Tensor | None = None,
        skipped: Sequence[tuple[str, str]] = (),
        facts: Mapping[str, Any],
        reading: Mapping[str, Any],
    ) -> None:
        self.modality = "several"
        self.parts, self.rows = dict(parts), dict(rows)
        self.names, self.named_by, self.skipped = names, named_by, skipped
        self.labels, self.classes, self.groups = labels, classes, groups
        self.facts, self.reading = dict(facts), dict(reading)
        for what, values in (("labels", labels), ("groups", groups)):
            if values is not None and len(values) != len(names):
                raise DataError(f"there are {len(names)} samples and {len(values)} {what}; there must be one a sample")

    def batch(self, index: Tensor) -> Batch:
        parts = {}
        for name, source in self.parts.items():
            found = source.batch(self.rows[name][index])
            parts[name] = {key: value for key, value in found.items() if key not in OF_SAMPLES}
        batch: Batch = {"x": Bundle(parts), "index": index}
        for key, values in (("y", self.labels), ("group", self.groups)):
            if values is not None:
                batch[key] = values[index]
        return batch

    def arrange(self, order: Tensor, batch: int) -> Tensor:
        """As the first part likes it that has a wish: that whose samples differ in length."""
        for name, source in self.parts.items():
            mine = self.rows[name][order]
            liked = source.arrange(mine, batch)
            if not torch.equal(liked, mine):
                place = torch.empty(len(source), dtype=torch.int64)
                place[mine] = order
                return place[liked]
        return order

    def describe(self) -> dict[str, Any]:
        parts = {name: {"modality": s.modality, **s.describe()} for name, s in self.parts.items()}
        return {
            **self.facts, "count": len(self), "skipped": len(self.skipped), "classes": self.classes, "parts": parts,
        }  # fmt: skip
