"""Data sets that lie in memory or in a mapped file: what a reader fills once it has parsed its files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from tacit.data import Batch, Parts, Source, blanked_, pieces
from tacit.errors import DataError
from tacit.parts.draws import mix

POOL = 50
"""Batches whose samples are put in order of length together."""


class Store(Protocol):
    """Samples that can be taken by position."""

    def __len__(self) -> int: ...

    def take(self, index: Tensor) -> dict[str, Any]:
        """The samples at ``index`` (int64 ``[B]``): ``x``, and ``length`` where they are padded."""


class Whole:
    """Samples of one shape.

    Args:
        x: ``[N, ...]``, or several such under names.
    """

    def __init__(self, x: Tensor | Parts) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor) -> dict[str, Any]:
        if isinstance(self.x, Tensor):
            return {"x": self.x[index]}
        return {"x": self.x.rows(index)}


class Stretches:
    """Samples that are stretches of one long tensor, of one length or of many; they may overlap.

    Args:
        flat: all there is, ``[..., T]``.
        start, length: where each sample begins and how long it is, int64 ``[N]``.

    Raises:
        DataError: for a stretch that is empty or goes beyond the end.
    """

    def __init__(self, flat: Tensor, start: Tensor, length: Tensor) -> None:
        if len(start) and (
            int(length.min()) < 1 or int(start.min()) < 0 or int((start + length).max()) > flat.shape[-1]
        ):
            raise DataError("every sample must have a length of at least 1 and lie within the data")
        self.flat, self.start, self.length = flat, start, length
        self.ragged = bool(len(length)) and int(length.min()) < int(length.max())

    @classmethod
    def of(cls, items: Sequence[Tensor]) -> Stretches:
        """From samples ``[..., T_i]`` of equal shape but for their length."""
        length = torch.tensor([item.shape[-1] for item in items])
        return cls(torch.cat(list(items), -1), length.cumsum(0) - length, length)

    def cut(self, sample: Tensor, place: Tensor, length: Tensor) -> Stretches:
        """Parts of samples: of which each is, where in it it begins and how long it is, int64 ``[N]`` each."""
        return Stretches(self.flat, self.start[sample] + place, length)

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Tensor) -> dict[str, Any]:
        length = self.length[index]
        x = pieces(self.flat, self.start[index], int(length.max())).movedim(-2, 0)
        if not self.ragged:
            return {"x": x.contiguous()}
        return {"x": blanked_(x, length), "length": length}


class Stored(Source):
    """A source whose samples are in a :class:`Store`.

    Args:
        modality: the kind of data.
        store: the samples.
        facts: where they are from and what shape they have, for the run's configuration.
        names, labels, classes, groups, times, skipped, named_by: see :class:`tacit.data.Source`; ``times`` is float64
            ``[N]``, when each sample was taken.

    Raises:
        DataError: if names, labels, groups or times are not one a sample.
    """

    def __init__(
        self,
        modality: str,
        store: Store,
        facts: dict[str, Any],
        *,
        names: Sequence[str] | None = None,
        labels: Tensor | None = None,
        classes: list[str] | None = None,
        groups: Tensor | None = None,
        times: Tensor | None = None,
        skipped: Sequence[tuple[str, str]] = (),
        named_by: str = "index",
    ) -> None:
        self.modality, self.store, self.facts, self.named_by = modality, store, facts, named_by
        self.names = names if names is not None else [str(i) for i in range(len(store))]
        self.labels, self.classes, self.groups, self.times = labels, classes, groups, times
        self.skipped = skipped
        for what, rows in (("names", self.names), ("labels", labels), ("groups", groups), ("times", times)):
            if rows is not None and len(rows) != len(store):
                raise DataError(f"there are {len(store)} samples and {len(rows)} {what}; there must be one a sample")

    def batch(self, index: Tensor) -> Batch:
        batch = self.store.take(index) | {"index": index}
        for name, rows in (("y", self.labels), ("group", self.groups), ("time", self.times)):
            if rows is not None:
                batch[name] = rows[index]
        return batch

    def arrange(self, order: Tensor, batch: int) -> Tensor:
        """Samples of like length in one batch, where lengths differ: within pools of many batches, which are then
        taken in random order."""
        lengths = getattr(self.store, "length", None)
        if not getattr(self.store, "ragged", False) or lengths is None or len(order) <= batch:
            return order
        whole = len(order) // batch * batch  # what is left over is so at random, and not for its length
        pools = [pool[lengths[pool].argsort(stable=True)] for pool in order[:whole].split(POOL * batch)]
        seed = mix(*order[:4].tolist(), len(order))
        shuffled = torch.randperm(whole // batch, generator=torch.Generator().manual_seed(seed))
        return torch.cat((torch.cat(pools).view(-1, batch)[shuffled].flatten(), order[whole:]))

    def describe(self) -> dict[str, Any]:
        facts = {**self.facts, "count": len(self), "skipped": len(self.skipped), "classes": self.classes}
        length = getattr(self.store, "length", None)
        if length is not None and len(length):
            facts["length"] = [int(length.min()), int(length.max())]
        return facts


class Part(Source):
    """Some of the samples of another source, counted anew from 0.

    Args:
        whole: the other source.
        index: which, int64 ``[n]``, in the order wanted.
    """

    def __init__(self, whole: Source, index: Tensor) -> None:
        self.whole, self.index, self.modality, self.named_by = whole, index, whole.modality, whole.named_by
        self.names = [whole.names[i] for i in index.tolist()]
        self.labels = None if whole.labels is None else whole.labels[index]
        self.groups = None if whole.groups is None else whole.groups[index]
        self.classes = whole.classes

    def batch(self, index: Tensor) -> Batch:
        return self.whole.batch(self.index[index]) | {"index": index}

    def describe(self) -> dict[str, Any]:
        return self.whole.describe() | {"count": len(self)}

    def arrange(self, order: Tensor, batch: int) -> Tensor:
        place = torch.full((len(self.whole),), -1)
        place[self.index] = torch.arange(len(self))
        return place[self.whole.arrange(self.index[order], batch)]


def as_labels(values: Any, count: int, where: str) -> tuple[Tensor, list[str] | None]:
    """Labels as a source has them (see :class:`tacit.data.Source`), and the classes' names where they were text.

    Args:
        values: whole numbers or text ``[N]`` (classes), floats ``[N]`` or ``[N, k]`` (numbers to predict), booleans
            ``[N, k]`` (several classes at once), or whole numbers ``[N, k]``: 1, 0 and -1 for unknown; an array, a
            tensor or a list.
        count: number of samples, N.
        where: what an error calls the data.

    Raises:
        DataError: for another number of labels, NaN, or another type.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim not in (1, 2) or len(array) != count:
        raise DataError(
            f"{where}: there are {count} samples and labels of shape {list(array.shape)}; give one a sample"
        )
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.ravel()):
        array = array.astype(np.str_)
    if array.dtype.kind == "U" and array.ndim == 1:
        classes, codes = np.unique(array, return_inverse=True)
        return torch.from_numpy(codes.astype(np.int64)), [str(name) for name in classes]
    if array.dtype.kind == "b":
        return torch.from_numpy(array.astype(np.int64) if array.ndim == 1 else array), None
    if array.dtype.kind in "iu" and array.ndim == 1:
        return torch.from_numpy(array.astype(np.int64)), None
    if array.dtype.kind in "iu" and np.isin(array, (-1, 0, 1)).all():
        return torch.from_numpy(array.astype(np.int8 if (array < 0).any() else bool)), None
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise DataError(f"{where}: some labels are NaN or infinite; leave these samples out")
        return torch.from_numpy(array.astype(np.float32)), None
    raise DataError(
        f"{where}: labels must be whole numbers or text, floats, or [N, k] of booleans or 1, 0 and -1, not "
        f"{array.dtype}"
    )


def unpacked(data: Any) -> tuple[Any, Any, Any]:
    """``(x, y)`` and ``(x, y, group)`` as three, anything else as ``(data, None, None)``.

    A tuple is one of these when its second part is an array, a tensor or a list with as many rows as the first.
    """
    if isinstance(data, tuple) and len(data) in (2, 3) and hasattr(data[0], "__len__"):
        rest = data[1:]
        if all(hasattr(part, "__len__") and len(part) == len(data[0]) and not isinstance(part, str) for part in rest):
            first = data[1]
            if not isinstance(first, (list, tuple)) or not hasattr(first[0], "__len__") or isinstance(first[0], str):
                return (data[0], data[1], data[2] if len(data) == 3 else None)
    return data, None, None
