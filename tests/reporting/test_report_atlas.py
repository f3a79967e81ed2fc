"""Neighbours, clusters and the map against plain loops and clear-cut data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from fake_run import write_gallery

from tacit.reporting import load_gallery
from tacit.reporting.atlas import FEW, LARGEST, clusters, make_atlas, neighbours, queries, usable


def blobs(groups: int, each: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.eye(groups, 16) * 5
    return (np.repeat(centres, each, 0) + random.normal(0, 0.3, (groups * each, 16))).astype(np.float32)


def test_neighbours_are_those_of_a_plain_loop() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) * np.logspace(-3, 3, 40)[:, None]
    rows = rows.astype(np.float32)
    found, similarity = neighbours(rows, np.array([3, 17]), k=5)
    for i, query in enumerate((3, 17)):
        cosines = {
            j: math.fsum(a * b for a, b in zip(rows[query].tolist(), rows[j].tolist(), strict=True))
            / math.hypot(*rows[query].tolist())
            / math.hypot(*rows[j].tolist())
            for j in range(40)
            if j != query
        }
        best = sorted(cosines, key=lambda j: -cosines[j])[:5]
        assert found[i].tolist() == best
        assert similarity[i].tolist() == pytest.approx([cosines[j] for j in best], abs=1e-6)


def test_unusable_embeddings_are_nobodys_neighbour() -> None:
    rows = blobs(2, 4)
    rows[1], rows[2, 3] = 0, np.nan
    assert usable(rows).tolist() == [0, 3, 4, 5, 6, 7]
    found, _ = neighbours(rows, np.array([0]), k=10)
    assert sorted(found[0].tolist()) == [3, 4, 5, 6, 7]


def test_the_map_keeps_groups_together() -> None:
    rows = blobs(4, 30)
    atlas = make_atlas(rows, seed=0)
    assert atlas is not None
    assert "t-SNE" in atlas.how
    group = np.repeat(np.arange(4), 30)
    apart = ((atlas.xy[:, None] - atlas.xy[None]) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(1)] == group).all()
    again = make_atlas(rows, seed=0)
    assert again is not None
    np.testing.assert_array_equal(atlas.xy, again.xy)


@pytest.mark.parametrize("count", [2, 3, FEW - 1])
def test_few_samples_are_projected(count: int) -> None:
    atlas = make_atlas(np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32))
    assert atlas is not None
    assert atlas.xy.shape == (count, 2)
    assert np.isfinite(atlas.xy).all()
    assert "principal components" in atlas.how


def test_one_dimension_is_still_a_plane() -> None:
    atlas = make_atlas(np.linspace(-1, 1, 30, dtype=np.float32)[:, None])
    assert atlas is not None
    assert np.isfinite(atlas.xy).all()


def test_collapsed_single_or_broken_embeddings_give_no_map() -> None:
    assert make_atlas(np.ones((50, 8), np.float32)) is None
    assert make_atlas(np.ones((1, 8), np.float32)) is None
    assert make_atlas(np.full((9, 8), np.nan, np.float32)) is None


def test_of_very_many_samples_evenly_spaced_ones_are_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.reporting.atlas.LARGEST", 50)
    atlas = make_atlas(blobs(4, 100))
    assert LARGEST > 50
    assert atlas is not None
    assert len(atlas.index) == 50
    assert atlas.index[[0, -1]].tolist() == [0, 399]
    assert np.ptp(np.diff(atlas.index)) <= 1


def test_clusters_find_clear_groups_and_count_from_the_largest() -> None:
    rows = np.concatenate([blobs(8, 8), blobs(1, 40, seed=1)])
    found = clusters(rows)
    truth = np.concatenate([np.repeat(np.arange(8), 8), np.zeros(40, int)])
    assert all(len(set(found[truth == g].tolist())) == 1 for g in range(8))
    assert found[0] == 0
    assert set(found.tolist()) == set(range(8))


def test_queries_take_classes_in_turn_or_spread_evenly(tmp_path: Path) -> None:
    write_gallery(tmp_path, count=100)
    labelled = load_gallery(tmp_path / "gallery.npz")
    assert sorted(labelled.labels[queries(labelled, 10)].tolist()) == list(range(10))
    write_gallery(tmp_path, count=100, labelled=False)
    assert queries(load_gallery(tmp_path / "gallery.npz"), 4).tolist() == [0, 33, 66, 99]
