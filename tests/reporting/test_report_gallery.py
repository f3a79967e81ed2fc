"""gallery.npz: written whole, read without unpickling, refused when it does not hold together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_run import write_gallery

from tacit.errors import DataError, RunError
from tacit.reporting import load_gallery, make_gallery


def test_what_is_written_is_read(tmp_path: Path) -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5), dtype=np.uint8)
    embeddings = np.random.default_rng(1).normal(size=(3, 7))
    views = np.random.default_rng(2).integers(0, 256, (2, 1, 2, 6, 6), dtype=np.uint8)
    path = make_gallery(tmp_path, thumbnails, ["a/ö.png", "b", ""], [1, -1, 0], ["x", "y"], embeddings, views, [2])
    found = load_gallery(path)
    np.testing.assert_array_equal(found.thumbnails, thumbnails)
    np.testing.assert_array_equal(found.views, views)
    np.testing.assert_array_equal(found.embeddings, embeddings.astype(np.float32))
    assert found.names.tolist() == ["a/ö.png", "b", ""]
    assert [found.class_name(i) for i in range(3)] == ["y", None, "x"]
    assert found.view_sources.tolist() == [2]
    assert [p.name for p in tmp_path.iterdir()] == ["gallery.npz"]


def test_labels_views_and_class_names_may_be_missing(tmp_path: Path) -> None:
    found = load_gallery(make_gallery(tmp_path, np.zeros((2, 1, 3, 3)), ["a", "b"], None, None, np.ones((2, 4))))
    assert found.labels.tolist() == [-1, -1]
    assert not found.views.size
    numbered = make_gallery(tmp_path, np.zeros((1, 1, 3, 3)), ["a"], [4], None, np.ones((1, 4)))
    assert load_gallery(numbered).class_name(0) == "4"


def test_floats_are_shares_of_white(tmp_path: Path) -> None:
    pixels = np.array([[[[0.0, 0.5, 2.0, np.nan]]]])
    found = load_gallery(make_gallery(tmp_path, pixels, ["a"], None, None, np.ones((1, 2))))
    assert found.thumbnails.ravel().tolist() == [0, 128, 255, 0]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"names": ["only one"]}, "names"),
        ({"labels": np.zeros(3)}, "labels"),
        ({"embeddings": np.zeros((9, 2))}, "embeddings"),
        ({"embeddings": np.zeros(20)}, "shape"),
        ({"view_sources": [0]}, "view_sources"),
        ({"view_sources": [0, 1, 2, 3, 4, 5, 6, 20]}, "0 to 19"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path: Path, given: dict[str, object], word: str) -> None:
    with pytest.raises(DataError, match=word):
        write_gallery(tmp_path, count=20, **given)
    assert not list(tmp_path.iterdir())


def test_a_gallery_with_pickles_is_not_opened(tmp_path: Path) -> None:
    write_gallery(tmp_path, count=20)
    path = tmp_path / "gallery.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["names"] = np.array([{"a": 1}] * 20, dtype=object)
    np.savez(path, **arrays)
    with pytest.raises(RunError, match=r"gallery\.npz is damaged"):
        load_gallery(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"text"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gallery.npz").write_bytes(content)
    with pytest.raises(RunError, match=r"gallery\.npz"):
        load_gallery(tmp_path / "gallery.npz")
