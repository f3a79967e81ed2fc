"""SAS, SimCore and balanced sampling against plain loops and their equations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tacit.curation import balanced, coreset_epochs, hierarchy, sas, simcore, water_fill
from tacit.curation.sampling import Tree, entropy, pour
from tacit.curation.selection import wanted
from tacit.curation.subsets import similarity_sums
from tacit.errors import DataError, OptionError


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def blobs(sizes: list[int], dim: int, seed: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    centres = unit(np.random.default_rng(7).normal(size=(len(sizes), dim)))
    return (centres[y] + noise * random.normal(size=(len(y), dim))).astype(np.float32), y


def similarity(x: np.ndarray) -> np.ndarray:
    s = np.maximum(unit(x.astype(np.float64)) @ unit(x.astype(np.float64)).T, 0)
    np.fill_diagonal(s, 0)
    return s


def test_keep_is_a_share_or_a_number() -> None:
    assert [wanted(k, 10) for k in (0.2, 1.0, 0.01, 3, 10)] == [2, 10, 1, 3, 10]
    assert wanted(0.29, 100) == 29
    for bad in (0.0, -0.1, 1.5, 0, 11, True, "20%"):
        with pytest.raises(OptionError, match="keep must be"):
            wanted(bad, 10)  # type: ignore[arg-type]


def test_sas_ranks_by_row_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.curation.subsets.BLOCK", 3)
    x = np.random.default_rng(0).normal(size=(8, 5))
    sums = similarity(x).sum(1)
    np.testing.assert_allclose(similarity_sums(torch.from_numpy(unit(x)).float()).numpy(), sums, rtol=1e-5)
    chosen = sas(x, 3, latent=np.zeros(8))
    assert set(chosen.index) == set(np.argsort(-sums)[:3])
    np.testing.assert_allclose(chosen.scores, sums, rtol=1e-5)
    assert set(sas(x, 3, latent=np.zeros(8), order="reversed").index) == set(np.argsort(sums)[:3])


@pytest.mark.parametrize("seed", range(4))
def test_sas_cut_is_the_naive_greedy_one(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(8, 4)) + 0.5
    s = similarity(x)

    def value(chosen: list[int]) -> float:
        rest = [j for j in range(8) if j not in chosen]
        return float(s[np.ix_(chosen, rest)].sum())

    order: list[int] = []
    gains = {}
    for _ in range(8):
        left = [i for i in range(8) if i not in order]
        best = max(left, key=lambda i: value([*order, i]) - value(order))
        gains[best] = value([*order, best]) - value(order)
        order.append(best)
    for number in range(1, 9):
        chosen = sas(x, number, latent=np.zeros(8), mode="cut")
        assert set(chosen.index) == set(order[:number])
    np.testing.assert_allclose(chosen.scores, [gains[i] for i in range(8)], atol=1e-5)


def test_sas_takes_the_same_share_of_every_class() -> None:
    x, y = blobs([40, 20, 3], 6, 0)
    chosen = sas(x, 0.3, latent=y)
    assert np.bincount(y[chosen.index]).tolist() == [12, 6, 1]  # the whole part, but at least one
    for number in (21, np.int64(21)):  # a third of 63, whatever type the number has
        assert np.bincount(y[sas(x, number, latent=y).index]).tolist() == [13, 6, 1]
    found = sas(x, 0.3, classes=3, seed=1)
    assert sorted(found.facts["sizes"]) == [3, 20, 40]
    np.testing.assert_array_equal(found.kept, sas(x, 0.3, classes=3, seed=1).kept)


def test_sas_says_when_the_proxy_collapsed_and_what_is_wrong() -> None:
    assert "collapsed" in sas(np.ones((10, 3)), 0.5, classes=1).notes[0]
    x = np.random.default_rng(0).normal(size=(10, 3))
    with pytest.raises(OptionError, match="classes must be"):
        sas(x, 0.5, classes=11)
    with pytest.raises(OptionError, match="keep"):
        sas(x, 1.2)
    with pytest.raises(OptionError, match="mode"):
        sas(x, 0.5, mode="rnk")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="one class a sample"):
        sas(x, 0.5, latent=np.zeros(9))
    with pytest.raises(DataError, match="NaN"):
        sas(np.full((10, 3), np.nan), 0.5)


def simcore_by_loop(s: np.ndarray, budget: int) -> tuple[list[float], list[set[int]]]:
    """Rounds of the paper's greedy: their mean similarities and their picks."""
    taken: set[int] = set()
    means, rounds = [], []
    while len(taken) < min(budget, len(s)):
        picks = [max((u for u in range(len(s)) if u not in taken), key=lambda u: s[u, q]) for q in range(s.shape[1])]
        means.append(float(np.mean([s[u, q] for q, u in enumerate(picks)])))
        rounds.append(set(picks))
        taken |= set(picks)
    return means, rounds


def test_simcore_rounds_equal_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.curation.open_sets.PIECE", 13)
    random = np.random.default_rng(0)
    open_set, target = random.normal(size=(60, 4)), random.normal(size=(5, 4))
    s = unit(open_set) @ unit(target).T
    means, rounds = simcore_by_loop(s, 60)
    whole = set().union(*rounds[:4])
    chosen = simcore(open_set, target, len(whole))
    assert set(chosen.index) == whole
    np.testing.assert_allclose(chosen.facts["similarity"], means[:4], rtol=1e-5)
    np.testing.assert_allclose(chosen.scores, s.max(1), rtol=1e-5)
    np.testing.assert_array_equal(chosen.group, s.argmax(1))
    part = simcore(open_set, target, len(whole) - 1, seed=3)  # a random part of the last round
    assert set(part.index) < whole
    assert set(part.index) >= set().union(*rounds[:3])
    np.testing.assert_array_equal(part.kept, simcore(open_set, target, len(whole) - 1, seed=3).kept)
    # the stop: the first round after `patience` below its threshold is thrown away
    patience = 2
    end = next(t for t in range(patience, len(means)) if means[t] < 0.9 * means[patience - 1])
    stopped = simcore(open_set, target, stop=0.9, patience=patience)
    assert set(stopped.index) == set().union(*rounds[:end])
    assert stopped.facts["stopped"] == "similarity"
    assert stopped.facts["threshold"] == pytest.approx(0.9 * means[patience - 1], rel=1e-5)


def test_simcore_stops_early_without_related_data_and_late_with_it() -> None:
    target, _ = blobs([40], 16, 1)
    related, _ = blobs([400], 16, 2)
    direction = np.random.default_rng(3).normal(size=(400, 16))
    few = simcore(np.concatenate([related[:30], direction]), target, clusters=5, patience=2)
    many = simcore(related, target, clusters=5, patience=2)
    assert few.kept[:30].mean() > 0.6
    assert few.kept.sum() < 60
    assert many.kept.sum() > 200


@pytest.mark.parametrize("seed", range(3))
def test_simcore_is_near_the_best_cover(seed: int) -> None:
    random = np.random.default_rng(seed)
    open_set, target = np.abs(random.normal(size=(12, 3))), np.abs(random.normal(size=(4, 3)))
    s = unit(open_set) @ unit(target).T
    for number in (1, 2, 3):
        best = max(s[list(c)].max(0).sum() for c in itertools.combinations(range(12), number))
        reached = s[simcore(open_set, target, number).index].max(0).sum()
        assert reached >= (1 - 1 / np.e) * best


def test_simcore_is_empty_handed_at_the_end_and_says_what_is_wrong() -> None:
    random = np.random.default_rng(0)
    x, t = random.normal(size=(30, 4)), random.normal(size=(6, 4))
    whole = simcore(x, t, patience=50)
    assert whole.kept.all()
    assert whole.facts["stopped"] == "empty"
    assert "never armed" in whole.notes[0]
    for options, what in (
        ({"stop": 0.0}, "stop must lie"),
        ({"patience": 0}, "patience must be"),
        ({"keep": 0}, "keep must be"),
        ({"clusters": 0}, "clusters must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"epochs": 5, "passes": -1.0}, "passes must be"),
    ):
        with pytest.raises(OptionError, match=what):
            simcore(x, t, **options)
    with pytest.raises(DataError, match="fewer than the 6 centres"):
        simcore(x[:3], t)
    with pytest.raises(DataError, match="one encoder for both"):
        simcore(x, t[:, :3])


def test_epochs_on_a_coreset_see_no_more_than_passes_over_the_whole() -> None:
    # the paper's rule, min(E, 100 / (|S| / 1,281,167)), by hand: 12,812 images are a hundredth, 128,117 a tenth
    assert coreset_epochs(12_812, 5000) == 5000
    assert coreset_epochs(128_117, 5000) == 999
    assert coreset_epochs(640_584, 5000) == 199
    assert coreset_epochs(1_281_167, 5000) == 100
    for count in range(1, 60):
        found = coreset_epochs(count, 40, whole=60, passes=10)
        seen = [most for most in range(1, 41) if most * count <= 600]
        assert found == max(seen)
    assert coreset_epochs(9, 40, whole=10, passes=0.5) == 1  # no training is shorter
    with pytest.raises(OptionError, match="larger than the whole"):
        coreset_epochs(11, 5, whole=10)
    random = np.random.default_rng(2)
    x, t = random.normal(size=(40, 4)), random.normal(size=(5, 4))
    chosen = simcore(x, t, 10, epochs=1000, passes=50)
    assert chosen.facts["epochs"] == 200
    assert "for 200 epochs" in chosen.notes[-1]
    assert simcore(x, t, 10, epochs=3).facts["epochs"] == 3
    assert "epochs" not in simcore(x, t, 10).facts


def fill_by_loop(capacity: list[int], budget: int) -> list[int]:
    share = [0] * len(capacity)
    while budget and any(s < c for s, c in zip(share, capacity, strict=True)):
        for i, c in enumerate(capacity):
            if share[i] < c and budget:
                share[i] += 1
                budget -= 1
    return share


def test_water_filling() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        capacity = random.integers(0, 30, size=random.integers(1, 8))
        budget = int(random.integers(0, 120))
        found = water_fill(capacity, budget)
        assert found.tolist() == fill_by_loop(capacity.tolist(), budget)
        drawn = water_fill(capacity, budget, np.random.default_rng(1))
        assert sorted(drawn.tolist()) == sorted(found.tolist()) or drawn.max() == found.max()
        assert drawn.sum() == min(budget, capacity.sum())
        assert (drawn <= capacity).all()


def test_balanced_sampling_evens_out_classes() -> None:
    x, y = blobs([700, 200, 60, 40], 12, 0)
    chosen = balanced(x, 120, clusters=(8, 4), cutoff=0, seed=0)
    assert chosen.kept.sum() == 120
    counts = np.bincount(y[chosen.index], minlength=4)
    assert counts.min() >= 20
    assert chosen.facts["entropy_after"] > chosen.facts["entropy_before"]
    assert entropy(y[chosen.index]) > entropy(y) + 0.3
    np.testing.assert_array_equal(chosen.kept, balanced(x, 120, clusters=(8, 4), cutoff=0, seed=0).kept)
    assert (chosen.kept != balanced(x, 120, clusters=(8, 4), cutoff=0, seed=1).kept).any()


def test_eta_prefers_near_and_far() -> None:
    x, _ = blobs([500, 500], 8, 0, noise=0.3)
    mean = {eta: -balanced(x, 0.2, clusters=(2,), eta=eta, cutoff=0).scores for eta in (-4.0, 0.0, 4.0)}
    chosen = {eta: balanced(x, 0.2, clusters=(2,), eta=eta, cutoff=0).kept for eta in mean}
    far, even, near = (mean[eta][chosen[eta]].mean() for eta in (-4.0, 0.0, 4.0))
    assert far > even + 0.02
    assert near < even - 0.02


def test_draws_in_a_leaf_have_the_stated_chance() -> None:
    distance = np.array([0.5, 1.0, 1.5], np.float32)
    tree = Tree(np.zeros(3, np.int64), distance, [], [1])
    hits = sum(pour(tree, 1, 2.0, 0.0, np.random.default_rng(s))[0].astype(int) for s in range(4000))
    expected = np.exp(-2.0 * distance) / np.exp(-2.0 * distance).sum()
    np.testing.assert_allclose(hits / 4000, expected, atol=0.025)


def test_outliers_are_left_out() -> None:
    x, _ = blobs([300, 300], 16, 0)
    stray = unit(np.random.default_rng(5).normal(size=(4, 16))).astype(np.float32)
    both = np.concatenate([x, stray])
    free = balanced(both, 60, clusters=(8, 2), cutoff=0)
    held = balanced(both, 60, clusters=(8, 2))
    assert free.kept[-4:].any()
    assert held.kept[-4:].sum() == 0
    assert held.facts["outliers"] >= 4
    assert held.kept.sum() == 60


def test_a_hierarchy_covers_all_rows() -> None:
    x, y = blobs([30, 30, 30], 5, 0)
    tree = hierarchy(x, (6, 3))
    assert tree.sizes == [6, 3]
    assert len({(a, b) for a, b in zip(tree.top, y, strict=True)}) == 3
    with pytest.raises(OptionError, match="fewer from level"):
        hierarchy(x, (4, 4))
    with pytest.raises(OptionError, match="clusters must be"):
        hierarchy(x, (91,))
    assert "one cluster" in balanced(np.ones((30, 4)), 0.5).notes[0]
    with pytest.raises(OptionError, match="cutoff"):
        balanced(x, 0.5, cutoff=-1)
