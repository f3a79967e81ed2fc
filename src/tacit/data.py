"""Samples and batches: what every modality's reader gives to everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from tacit.errors import DataError

Batch = dict[str, Any]
"""``x``, ``index`` (int64 ``[B]``), and ``y``, ``group`` (int64 ``[B]``), ``time``, ``length`` where known.

``x`` is a tensor whose first axis is the samples, :class:`Parts`, or an object of a kind's own that has ``len()`` (the
number of samples), ``device``, ``to(device)``, ``rows(slice)``, ``signature()`` (what two of them must share to be
joined) and the class method ``join(parts)``. Where samples differ in length, ``x`` is padded with zeros along its last
axis and ``length`` (int64 ``[B]``, at least 1) says how much of each is real; without ``length`` all of it is.
"""


class Parts:
    """Several named tensors that are one ``x``: the numbers and the codes of a record, an image and its text.

    Args:
        parts: tensors by name, each with the samples along its first axis.
    """

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        self.parts = dict(parts)

    def __getitem__(self, name: str) -> Tensor:
        return self.parts[name]

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    @property
    def device(self) -> torch.device:
        return next(iter(self.parts.values())).device

    def to(self, *where: Any, **how: Any) -> Parts:
        """The tensors on another device; of another type only those that hold floating numbers."""
        kind = next((w for w in (*where, *how.values()) if isinstance(w, torch.dtype)), None)
        return Parts({n: v.to(*where, **how) if kind is None or v.is_floating_point() else v for n, v in self.items()})

    def pin_memory(self) -> Parts:
        return Parts({name: value.pin_memory() for name, value in self.items()})

    def rows(self, which: slice | Tensor) -> Parts:
        """Some of the samples."""
        return Parts({name: value[which] for name, value in self.items()})

    def items(self) -> Iterable[tuple[str, Tensor]]:
        """Names with their tensors."""
        return self.parts.items()

    def signature(self) -> tuple[Any, ...]:
        """What parts must share to be joined: names and shapes of a sample."""
        return tuple((name, value.shape[1:]) for name, value in self.items())

    @classmethod
    def join(cls, several: Sequence[Parts]) -> Parts:
        """Several as one, the samples of the first before those of the second."""
        return cls({name: joined([one[name] for one in several]) for name, _ in several[0].items()})


class Source(ABC):
    """A data set that is read in batches.

    Attributes:
        modality: the kind of data, the name of a folder under ``modalities/``.
        names: what identifies each sample to a person: a path relative to the folder, or the index as text.
        named_by: ``path`` or ``index``, which of the two.
        labels: None, or what is known of each sample, for evaluation; the loop hides them from methods that do not
            use labels. Classes: int64 ``[N]``; numbers to predict: float ``[N]`` or ``[N, k]``; several classes at
            once: bool ``[N, k]``, or int8 of 1, 0 and -1 where some are unknown.
        classes: names of the labels' values or columns, or None.
        groups: int64 ``[N]``, what samples have in common that must not be in both halves of an evaluation (speaker,
            patient, device), or None.
        skipped: ``(name, reason)`` of everything that could not be read.
        also: other kinds of data that the same thing could be read as, for the announcement.
    """

    modality: str
    names: Sequence[str]
    named_by: str = "index"
    labels: Tensor | None = None
    classes: list[str] | None = None
    groups: Tensor | None = None
    skipped: Sequence[tuple[str, str]] = ()
    also: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def batch(self, index: Tensor) -> Batch:
        """The samples at ``index`` (int64 ``[B]``) as one batch on the CPU, in that order."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Plain facts for the run's configuration: where it is from, how many, what shape, how many skipped."""

    def arrange(self, order: Tensor, batch: int) -> Tensor:
        """An epoch's order (a permutation, int64 ``[N]``) so that its runs of ``batch`` samples are quick to compute
        on, e.g. of like length; a function of its arguments alone."""
        return order

    def batches(self, size: int, index: Tensor | None = None) -> Iterator[Batch]:
        """All samples (or those at ``index``) in order, ``size`` at a time; the last batch may be smaller."""
        order = torch.arange(len(self)) if index is None else index
        for part in order.split(size):
            yield self.batch(part)


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors concatenated along the samples, those that are shorter along the last axis padded with zeros."""
    longest = max(t.shape[-1] if t.ndim > 1 else 0 for t in tensors)
    return torch.cat([functional.pad(t, (0, longest - t.shape[-1])) if t.ndim > 1 else t for t in tensors])


def pieces(flat: Tensor, start: Tensor, width: int) -> Tensor:
    """``width`` places along the last axis of ``flat`` (``[..., T]``) from each start on (int64 ``[...]``), new memory:
    ``[..., *start.shape, width]``; zero beyond the end.

    Runs of memory are copied, which is several times faster than to look up every place.
    """
    missing = max(0, width - flat.shape[-1])
    whole = functional.pad(flat, (0, missing)) if missing else flat
    last = whole.shape[-1] - width
    made = whole.unfold(-1, width, 1)[..., start.clamp_max(last), :]
    over = start > last
    if bool(over.any()):  # few: those at the very end
        at = start[over][:, None] + torch.arange(width, device=flat.device)
        within = at < flat.shape[-1]
        made[..., over, :] = torch.where(within, flat[..., torch.where(within, at, 0)], 0)
    return made


def blanked_(x: Tensor, length: Tensor) -> Tensor:
    """``x`` (``[B, ..., T]``), zero beyond the length of each sample (int64 ``[B]``), in place."""
    shortest = int(length.min()) if len(length) and x.device.type == "cpu" else 0
    end = x[..., shortest:]
    real = torch.arange(shortest, x.shape[-1], device=x.device) < length[:, None]
    end.masked_fill_(~real.view(len(x), *[1] * (x.ndim - 2), -1), 0)
    return x


def unreadable(source: Source) -> list[str]:
    """A line about files that could not be read; nothing where there are none."""
    if not source.skipped:
        return []
    name, reason = source.skipped[0]
    return [f"skipped {len(source.skipped)} unreadable files, the first: {name} ({reason})"]


def numbered(names: Sequence[str], named_by: str) -> bool:
    """Whether samples have numbers and no paths or names of their own, such as those of customers or of windows."""
    return named_by == "index" and all(name.isdecimal() for name in names)


def is_classes(labels: Tensor | None) -> bool:
    """Whether labels name one class a sample (and are not numbers to predict or several classes at once)."""
    return labels is not None and labels.ndim == 1 and not labels.is_floating_point() and labels.dtype != torch.bool


def task_of(labels: Tensor | None, unknown: bool = False) -> Literal["classes", "numbers", "several"]:
    """What labels ask for: a class, numbers, or any number of classes at once.

    Args:
        unknown: whether the caller can leave out what is unknown of several classes.

    Raises:
        DataError: if not, and some are.
    """
    if labels is None or is_classes(labels):
        return "classes"
    if labels.dtype == torch.int8 and not unknown:
        count = int((labels < 0).sum())
        raise DataError(f"{count} labels are unknown (-1), which only tacit benchmark leaves out")
    return "numbers" if labels.is_floating_point() else "several"


def order(length: int, seed: int, epoch: int) -> Tensor:
    """The shuffled order of one epoch, a function of its arguments alone: int64 ``[length]``."""
    from tacit.parts.draws import mix

    return torch.randperm(length, generator=torch.Generator().manual_seed(mix(seed, epoch, 0xDA7A)))


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch with what can be moved (tensors, graphs) on ``device``."""
    return {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
