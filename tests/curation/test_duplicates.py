"""Near pairs, covers and near-duplicates against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.curation import covers, near_duplicates, near_pairs, nearest
from tacit.curation.covers import components, cover_of_pairs, greedy_cover, greedy_cover_by
from tacit.errors import DataError, OptionError


def clustered(n: int, dim: int, seed: int, noise: float = 0.15) -> np.ndarray:
    """Rows around few centres, in a space whose directions matter less and less."""
    random = np.random.default_rng(seed)
    scale = 1 / np.arange(1, dim + 1) ** 0.7
    centres = random.normal(size=(max(2, n // 4), dim))
    return ((centres[random.integers(len(centres), size=n)] + noise * random.normal(size=(n, dim))) * scale).astype(
        np.float32
    )


def cosines(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def pairs_by_loop(x: np.ndarray, threshold: float) -> set[tuple[int, int]]:
    s = cosines(x)
    return {(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if s[i, j] >= threshold}


def cover_by_loop(near: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    of = np.full(len(near), -1)
    for i in range(len(near)):
        if of[i] < 0:
            of[i] = i
            for j in range(i + 1, len(near)):
                if of[j] < 0 and near[i, j] and (groups is None or groups[i] == groups[j]):
                    of[j] = i
    return of


@pytest.mark.parametrize("dim", [5, 200])
@pytest.mark.parametrize("threshold", [0.3, 0.9, 0.99])
def test_pairs_equal_a_loop(dim: int, threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covers, "BLOCK", 37)
    monkeypatch.setattr(covers, "TILE", 16)
    x = clustered(150, dim, 0)
    found = near_pairs(x, threshold)
    assert len({tuple(p) for p in found}) == len(found)
    assert {tuple(p) for p in found.tolist()} == pairs_by_loop(x, threshold)


def test_the_first_look_is_an_upper_bound_and_is_taken() -> None:
    from tacit.curation.selection import unit_rows
    from tacit.evaluation.arrays import Rows

    rows = Rows(clustered(400, 300, 1))
    look = covers._first_look(rows, unit_rows(rows, "x"), 0.95)(0)
    assert look.shape[1] < 300
    assert ((look @ look.T).double().numpy() >= cosines(rows.data) - 1e-6).all()


def test_pairs_of_a_memmap(tmp_path) -> None:
    x = clustered(90, 40, 2)
    np.save(tmp_path / "x.npy", x)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(near_pairs(stored, 0.8), near_pairs(x, 0.8))


def test_exact_copies_are_pairs_at_threshold_one() -> None:
    x = np.random.default_rng(0).normal(size=(60, 33)).astype(np.float32)
    x[40] = 3 * x[7]
    assert near_pairs(x, 1.0).tolist() == [[7, 40]]


def test_components_and_cover_differ_on_a_chain() -> None:
    angle = np.array([0.0, 0.1, 0.2, 1.5])
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    threshold = float(np.cos(0.15))
    chain = near_duplicates(x, threshold)
    assert chain.group.tolist() == [0, 0, 0, 3]
    assert chain.facts["pairs"] == 2
    assert chain.facts["groups"] == 1
    assert near_duplicates(x, threshold, grouping="cover").group.tolist() == [0, 0, 2, 3]
    np.testing.assert_allclose(chain.scores, [1 / 3, 1 / 3, 1 / 3, 1])


def test_components_by_loop() -> None:
    x = clustered(120, 8, 3)
    near = cosines(x) >= 0.9
    label = np.arange(len(x))
    for _ in range(len(x)):
        label = np.array([label[near[i]].min() for i in range(len(x))])
    np.testing.assert_array_equal(components(near_pairs(x, 0.9), len(x)), label)


@pytest.mark.parametrize("groups", [None, np.arange(150) % 3])
def test_covers_equal_a_loop(groups: np.ndarray | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covers, "BLOCK", 16)
    x = clustered(150, 6, 4)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    near = x @ x.T >= 0.8
    expected = cover_by_loop(near, groups)
    np.testing.assert_array_equal(greedy_cover(x, 0.8, groups), expected)
    np.testing.assert_array_equal(greedy_cover_by(lambda i, others: near[i, others], len(x), groups), expected)
    if groups is None:
        np.testing.assert_array_equal(cover_of_pairs(near_pairs(x, 0.8), len(x)), expected)


def test_a_cover_keeps_no_near_pair_and_drops_nothing_that_is_far() -> None:
    x = clustered(200, 10, 5)
    chosen = near_duplicates(x, 0.85, grouping="cover")
    s = cosines(x)
    kept = chosen.index
    assert (s[np.ix_(kept, kept)] - 2 * np.eye(len(kept)) < 0.85).all()
    assert (s[np.arange(len(x)), chosen.group] >= 0.85).all()


def test_keep_finds_a_threshold() -> None:
    x = clustered(200, 10, 6)
    chosen = near_duplicates(x, keep=0.2)
    assert 30 <= chosen.kept.sum() <= 40
    assert near_duplicates(x, keep=200).kept.all()
    again = near_duplicates(x, chosen.facts["threshold"], grouping="cover")
    assert abs(again.kept.sum() - chosen.kept.sum()) <= 1


@pytest.mark.parametrize("search", ["faiss", "hnswlib"])
def test_an_index_finds_what_comparing_finds(search: str) -> None:
    pytest.importorskip(search)
    x = clustered(600, 24, 7)
    score, index, how = nearest(x, 5, search)
    assert how == search
    exact, order, _ = nearest(x, 5, "exact")
    assert (index != np.arange(600)[:, None]).all()
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(index, order, strict=True)]) > 0.97
    assert np.abs(np.sort(score) - np.sort(exact)).mean() < 1e-3
    chosen = near_duplicates(x, 0.97, search=search)
    same = near_duplicates(x, 0.97)
    assert (chosen.kept == same.kept).mean() > 0.98
    assert "index" in chosen.notes[0]
    assert not same.notes


def test_large_sets_take_an_index_by_themselves() -> None:
    from tacit.curation.nearest import EXACT, chosen_search

    assert chosen_search("auto", EXACT) == "exact"
    pytest.importorskip("faiss")
    assert chosen_search("auto", EXACT + 1) == "faiss"
    assert chosen_search("exact", 10 * EXACT) == "exact"


def test_bad_input_is_named() -> None:
    x = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(DataError, match="row 3 is all zero"):
        near_duplicates(np.where(np.arange(20)[:, None] == 3, 0, x))
    with pytest.raises(DataError, match="row 5 holds NaN"):
        near_duplicates(np.where(np.arange(20)[:, None] == 5, np.nan, x))
    with pytest.raises(OptionError, match=r"cosine in \(-1, 1\]"):
        near_duplicates(x, 1.5)
    with pytest.raises(OptionError, match="not both"):
        near_duplicates(x, 0.9, keep=0.5)
    with pytest.raises(OptionError, match="grouping=cover"):
        near_duplicates(x, keep=0.5, grouping="components")
    with pytest.raises(OptionError, match="keep must be"):
        near_duplicates(x, keep=0.0)
    with pytest.raises(OptionError, match="search"):
        near_duplicates(x, search="fais")
