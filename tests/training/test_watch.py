"""How often the watch looks, and at how much."""

from __future__ import annotations

import numpy as np
import torch

from tacit.data import Batch
from tacit.modalities import modality
from tacit.parts.draws import Draws
from tacit.training.watch import Watch
from tacit.views.base import View, Views


class Counting(Views):
    """One view, and how many samples it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        self.asked.append(batch["index"].tolist())
        return [{"x": batch["x"].float()}]


def watch_of(count: int) -> tuple[Watch, list[list[int]]]:
    source = modality("image").open_source(np.random.default_rng(0).integers(0, 256, (count, 8, 8), dtype=np.uint8))
    seen, trained = Counting(), Counting()
    return Watch(source, seen, trained, torch.device("cpu"), seed=0), seen.asked + trained.asked


def test_samples_are_spread_over_the_data_and_pairs_over_the_samples() -> None:
    (seen, pairs) = watch_of(1021)[1]
    assert (len(seen), seen[0], seen[-1]) == (256, 0, 1020)
    assert max(np.diff(seen)) <= 5
    assert (len(pairs), pairs[0], pairs[-1]) == (64, 0, 1020)
    assert set(pairs) <= set(seen)
    assert watch_of(10)[1] == [list(range(10)), list(range(10))]


def test_looks_are_forty_at_most_and_rare_where_batches_are_small() -> None:
    watch, _ = watch_of(300)
    assert watch.every(40_000, 256) == 1000
    assert watch.every(100, 1024) == 25
    for batch in (2, 7, 16, 64, 100):
        assert batch * watch.every(100, batch) >= 20 * 256 > batch * (watch.every(100, batch) - 1)
