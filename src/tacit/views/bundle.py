"""Samples of several named parts, each a batch of its own: an image and its text, what several sensors measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tacit.views.base import View, join, signature


class Bundle:
    """The ``x`` of samples that have several parts.

    Args:
        parts: batches or views by name, with the same samples in the same order: each a dictionary with ``x``, with
            ``length`` where it is padded, and with what else a view of its kind carries. At least one.
    """

    def __init__(self, parts: Mapping[str, View]) -> None:
        self.parts = dict(parts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.parts)

    def __getitem__(self, name: str) -> View:
        return self.parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def items(self) -> Iterator[tuple[str, View]]:
        """Names with what belongs to them."""
        return iter(self.parts.items())

    def __len__(self) -> int:
        return len(next(iter(self.parts.values()))["x"])

    @property
    def device(self) -> torch.device:
        return next(iter(self.parts.values()))["x"].device

    def only(self, *names: str) -> Bundle:
        """The same samples with some of their parts."""
        return Bundle({name: self.parts[name] for name in names})

    def to(self, *where: Any, **how: Any) -> Bundle:
        """The parts on another device; of another type only what holds floating numbers."""
        kind = next((w for w in (*where, *how.values()) if isinstance(w, torch.dtype)), None)

        def moved(value: Any) -> Any:
            if isinstance(value, Tensor) and kind is not None and not value.is_floating_point():
                return value
            return value.to(*where, **how) if hasattr(value, "to") else value

        return self._each(moved)

    def pin_memory(self) -> Bundle:
        return self._each(lambda value: value.pin_memory() if hasattr(value, "pin_memory") else value)

    def rows(self, which: slice | Tensor) -> Bundle:
        """Some of the samples."""
        count = len(self)

        def taken(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value[which] if value.ndim and len(value) == count else value
            return value.rows(which) if hasattr(value, "rows") else value

        return self._each(taken)

    def signature(self) -> tuple[Any, ...]:
        """What two must share to be joined: the names of their parts, and what these must share."""
        return tuple((name, signature(part)) for name, part in self.items())

    @classmethod
    def join(cls, several: Sequence[Bundle]) -> Bundle:
        """Several as one, the samples of the first before those of the second."""
        return cls({name: join([one[name] for one in several]) for name in several[0]})

    def _each(self, change: Any) -> Bundle:
        return Bundle({name: {key: change(value) for key, value in part.items()} for name, part in self.items()})


def names_of(view: View) -> tuple[str, ...] | None:
    """The parts that a view has; None where its samples have no parts."""
    return view["x"].names if isinstance(view["x"], Bundle) else None


def of_two_parts(first: View, second: View) -> bool:
    """Whether two views show different parts of the same samples, and neither a part that the other shows."""
    names = names_of(first), names_of(second)
    return names[0] is not None and names[1] is not None and not set(names[0]) & set(names[1])
