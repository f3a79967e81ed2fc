"""Clusters, and batches that take each once."""

import pytest
import torch

from tacit.parts.batching import spread_groups
from tacit.parts.denoising import DenoisingAutoencoder, latents_of
from tacit.parts.kmeans import kmeans


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def order(count, seed=0):
    return torch.randperm(count, generator=generator(seed))


def repeats(batch, groups):
    return len(batch) - len(groups[batch].unique())


@pytest.mark.parametrize("count", [64, 67])
def test_equal_groups_never_meet(count):
    groups = torch.arange(count) % 8
    found = spread_groups(order(count), groups, 8)
    assert found.sort().values.tolist() == list(range(count))
    assert all(repeats(batch, groups) == 0 for batch in found[: count // 8 * 8].split(8))


def test_uneven_groups_repeat_only_as_much_as_they_must():
    groups = torch.cat((torch.zeros(30, dtype=torch.int64), torch.arange(1, 31)))  # half of all in one group
    found = spread_groups(order(60), groups, 6)
    total = sum(repeats(batch, groups) for batch in found.split(6))
    assert found.sort().values.tolist() == list(range(60))
    assert total <= 20 + 2  # ten batches hold 30 of that group: 20 of them are not the first of their batch
    random = sum(repeats(batch, groups) for batch in order(60, 5).split(6))
    assert total <= random


def test_batches_larger_than_the_number_of_groups_take_each_equally():
    groups = torch.arange(80) % 4
    for batch in spread_groups(order(80), groups, 10).split(10):
        counts = torch.bincount(groups[batch], minlength=4)
        assert counts.max() - counts.min() <= 1


def test_it_is_a_function_of_the_order_and_differs_between_epochs():
    groups = torch.arange(64) % 8
    first, again, other = (spread_groups(order(64, seed), groups, 8) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    together = [{frozenset(b.tolist()) for b in found.split(8)} for found in (first, other)]
    assert not together[0] & together[1]


def test_clusters_apart_are_found():
    centres = 10 * torch.eye(5)
    truth = torch.arange(100) % 5
    x = centres[truth] + 0.1 * torch.randn(100, 5, generator=generator())
    found = kmeans(x, 5, generator(1))
    assert len({(int(t), int(f)) for t, f in zip(truth, found, strict=True)}) == 5


def test_no_row_is_nearer_to_another_cluster_s_mean():
    x = torch.randn(200, 3, generator=generator())
    found = kmeans(x, 7, generator(1), rounds=200)
    means = torch.stack([x[found == c].mean(0) for c in range(7)])
    assert torch.equal(torch.cdist(x, means).argmin(1), found)


@pytest.mark.parametrize("clusters", [1, 4, 8])
def test_duplicates_and_constants(clusters):
    found = kmeans(torch.ones(8, 3), clusters, generator())
    assert len(found.unique()) == 1
    pairs = torch.tensor([[0.0], [0.0], [1.0], [1.0], [2.0], [2.0], [3.0], [3.0]])
    found = kmeans(pairs, clusters, generator())
    assert (found[::2] == found[1::2]).all()
    assert len(found.unique()) == min(clusters, 4)


def test_impossible_numbers_of_clusters():
    for clusters in (0, 9):
        with pytest.raises(ValueError, match="clusters"):
            kmeans(torch.ones(8, 3), clusters, generator())


@pytest.mark.parametrize("size", [(8, 8), (17, 9), (5, 6)])
def test_the_autoencoder_gives_back_the_size(size):
    network = DenoisingAutoencoder(2)
    x = torch.rand(3, 2, *size, generator=generator())
    assert network(x).shape == x.shape
    assert network.latent(x).shape == (3, 128)
    assert network(x).min() >= 0
    assert network(x).max() <= 1


def test_latents_tell_bright_from_dark_images():
    x = torch.randint(0, 60, (60, 1, 8, 8), generator=generator(), dtype=torch.uint8)
    x[::2] += 180
    torch.manual_seed(0)
    found = latents_of(x, torch.device("cpu"), generator(), epochs=3)
    assert found.shape == (60, 128)
    assert not found.requires_grad
    label = kmeans(found, 2, generator())
    assert label[::2].unique().numel() == label[1::2].unique().numel() == 1
    assert label[0] != label[1]
