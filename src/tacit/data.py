"""Samples and batches: what every modality's reader gives to everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Batch = dict[str, Any]
"""``x`` (tensor or graph object), ``index`` (int64 ``[B]``), and ``y``, ``group``, ``time``, ``length`` where known."""


class Source(ABC):
    """A data set that is read in batches.

    Attributes:
        modality: the kind of data, the name of a folder under ``modalities/``.
        names: what identifies each sample to a person: a path relative to the folder, or the index as text.
        named_by: ``path`` or ``index``, which of the two.
        labels: int64 ``[N]``, or None. For evaluation; the loop hides them from methods that do not use labels.
        classes: names of the labels' values, or None.
        skipped: ``(name, reason)`` of everything that could not be read.
    """

    modality: str
    names: Sequence[str]
    named_by: str = "index"
    labels: Tensor | None = None
    classes: list[str] | None = None
    skipped: Sequence[tuple[str, str]] = ()

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def batch(self, index: Tensor) -> Batch:
        """The samples at ``index`` (int64 ``[B]``) as one batch on the CPU, in that order."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Plain facts for the run's configuration: where it is from, how many, what shape, how many skipped."""

    def batches(self, size: int, index: Tensor | None = None) -> Iterator[Batch]:
        """All samples (or those at ``index``) in order, ``size`` at a time; the last batch may be smaller."""
        order = torch.arange(len(self)) if index is None else index
        for part in order.split(size):
            yield self.batch(part)


def order(length: int, seed: int, epoch: int) -> Tensor:
    """The shuffled order of one epoch, a function of its arguments alone: int64 ``[length]``."""
    from tacit.parts.draws import mix

    return torch.randperm(length, generator=torch.Generator().manual_seed(mix(seed, epoch, 0xDA7A)))


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch with what can be moved (tensors, graphs) on ``device``."""
    return {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
