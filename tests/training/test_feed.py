from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tacit
from tacit.parts.draws import Draws, mix
from tacit.training import loop
from tacit.training.feed import Order


def test_each_epoch_is_a_permutation_and_a_function_of_the_step() -> None:
    order = Order(103, 10, seed=3)
    first = torch.cat([order.at(step) for step in range(10)])
    again = torch.cat([Order(103, 10, seed=3).at(step) for step in reversed(range(10))])
    assert first.unique().numel() == 100
    assert torch.equal(first.sort().values, again.sort().values)
    assert torch.equal(order.at(5), Order(103, 10, seed=3).at(5))
    assert not torch.equal(order.at(0), order.at(10))
    assert not torch.equal(order.at(0), Order(103, 10, seed=4).at(0))


def test_ranks_share_the_batch_of_one() -> None:
    whole = Order(50, 12, seed=0)
    parts = [Order(50, 12, seed=0, rank=r, ranks=3) for r in range(3)]
    for step in (0, 3, 4, 9):
        assert torch.equal(whole.at(step), torch.cat([p.at(step) for p in parts]))


def test_a_batch_as_large_as_the_data_is_one_step_an_epoch() -> None:
    assert Order(7, 7, seed=0).per_epoch == 1
    assert Order(7, 7, seed=0).at(1).sort().values.tolist() == list(range(7))


def test_a_method_arranges_every_shuffle() -> None:
    in_pairs = Order(20, 4, seed=0, arrange=lambda order, batch: order.sort().values.roll(batch))
    assert in_pairs.at(0).tolist() == [16, 17, 18, 19]
    assert in_pairs.at(6).tolist() == [0, 1, 2, 3]


def test_draws_are_functions_of_their_numbers_alone() -> None:
    assert torch.equal(Draws.seeded(1, 2).uniform(4, 3), Draws.seeded(1, 2).uniform(4, 3))
    seeds = {mix(a, b) for a in range(50) for b in range(50)}
    assert len(seeds) == 2500
    assert mix(1, 2) != mix(2, 1)
    assert all(0 <= s < 2**63 for s in seeds)


@pytest.mark.parametrize("method", ["simclr", "masked-autoencoder"])
def test_views_made_ahead_are_those_made_between_the_steps(
    method: str, tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    monkeypatch.setattr(loop, "CORES", 1000)
    for cores in (1, 1 + torch.get_num_threads()):
        monkeypatch.setattr(loop, "cores", lambda cores=cores: cores)
        runs.append(tacit.pretrain(small_images[0], method, steps=4, batch_size=16, out=tmp_path / f"{cores}"))
    first, second = (run.encoder.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
