"""Which samples each step sees, as a function of (seed, step), and reading them one step ahead."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from tacit.data import Batch, Source, moved, order
from tacit.parts.draws import Draws, mix
from tacit.views.base import Views


class Order:
    """The order of samples in a run.

    Each epoch is a fresh shuffle; samples past the last whole batch sit out that epoch.

    Args:
        count: samples in the data set.
        batch: samples a step over all ranks.
        rank, ranks: this process and how many there are; each takes its equal part of every batch.
        arrange: ``(shuffled order, batch) -> order``, what :meth:`tacit.Method.arrange` makes of each shuffle.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        arrange: Callable[[Tensor, int], Tensor] = lambda order, batch: order,
    ) -> None:
        self.count, self.seed, self.rank = count, seed, rank
        self.share = batch // ranks
        self.batch = self.share * ranks
        self.per_epoch = max(1, count // self.batch)
        self._arrange = arrange
        self._kept: Tensor | None = None
        self._since = 0
        self._epoch = -1
        self._shuffled = torch.empty(0, dtype=torch.int64)

    def epoch(self, step: int) -> int:
        """How many times as many samples as there are in the whole data set were seen before ``step``."""
        return step // self.per_epoch

    def keep(self, kept: Tensor, since: int) -> None:
        """From step ``since`` on go through these samples alone (int64, at least a batch of them)."""
        self._kept, self._since, self._epoch = kept, since, -1

    def at(self, step: int) -> Tensor:
        """Indices of the samples that this rank sees in ``step`` (from 0): int64 ``[share]``."""
        kept = self._kept
        per_epoch = self.per_epoch if kept is None else max(1, len(kept) // self.batch)
        epoch, position = divmod(step - self._since, per_epoch)
        if epoch != self._epoch:
            if kept is None:
                shuffled = order(self.count, self.seed, epoch)
            else:
                shuffled = kept[order(len(kept), mix(self.seed, self._since), epoch)]
            self._epoch, self._shuffled = epoch, self._arrange(shuffled, self.batch)
        start = position * self.batch + self.rank * self.share
        return self._shuffled[start : start + self.share]


def feed(
    source: Source,
    at: Callable[[int], Tensor],
    start: int,
    labels: bool,
    pin: bool,
    finish: Callable[[int, Batch], Batch] | None = None,
) -> Generator[Batch, None, None]:
    """Endless batches from step ``start``; the next one is read in a thread while the last one trains.

    Args:
        labels: whether the method uses them; otherwise they are left out of the batch.
        pin: page-lock the tensors, for asynchronous copies to a GPU.
        finish: what else the thread does to the batch of a step.
    """

    def read(step: int) -> Batch:
        batch = source.batch(at(step))
        if not labels:
            batch.pop("y", None)
        if pin:
            batch = {k: v.pin_memory() if hasattr(v, "pin_memory") else v for k, v in batch.items()}
        return batch if finish is None else finish(step, batch)

    cores = torch.get_num_threads()
    with ThreadPoolExecutor(1, "tacit-feed", _alone) as thread:
        coming = thread.submit(read, start)
        step = start
        coming.result()
        torch.set_num_threads(cores)  # the number that later threads start with is one for the process
        while True:
            batch = coming.result()
            step += 1
            coming = thread.submit(read, step)
            yield batch


def once(source: Source, view: Views, device: torch.device, labels: bool, size: int = 512) -> Iterator[Batch]:
    """All samples in order, on the device, with their evaluation view: what :meth:`tacit.Method.begin` is given."""
    for batch in source.batches(size):
        if not labels:
            batch.pop("y", None)
        batch = moved(batch, device)
        batch["views"] = view(batch, Draws.seeded(0, device=device))
        yield batch


def _alone() -> None:
    """Keep this thread to one core: a pool of its own would wait for work by spinning on the cores that train."""
    torch.set_num_threads(1)
