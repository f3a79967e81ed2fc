"""Bad input: one line that names the file or value; what is good among it is kept."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from tacit.errors import DataError
from tacit.modalities import caches
from tacit.modalities.image.reading import open_source


def save(path: Path, size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


def refusal(data: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        open_source(data, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def bomb(path: Path, side: int) -> None:
    """A small PNG file that claims to be side × side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def test_missing_empty_and_imageless_folders(tmp_path: Path) -> None:
    for missing in (tmp_path / "nowhere", tmp_path / ("long" * 200), tmp_path / "nul\0byte", "~nobody-of-this-name"):
        assert "there is no" in refusal(missing)
    assert f"'{tmp_path / 'nowhere'}'" in refusal(tmp_path / "nowhere")
    assert "is empty" in refusal(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "more.csv").write_text("1,2")
    message = refusal(str(tmp_path))
    assert f"'{tmp_path}' has no images in it, only 2 other files" in message
    assert ".png" in message


def test_a_single_file_is_no_data_set(tmp_path: Path) -> None:
    path = save(tmp_path / "one.png")
    assert f"'{path}' is one image; give the folder" in refusal(path)
    (tmp_path / "table.csv").write_text("1,2")
    assert f"'{tmp_path / 'table.csv'}' is a file" in refusal(tmp_path / "table.csv")


def test_unreadable_files_among_good_ones_are_skipped_and_listed(tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    save(tmp_path / "sub" / "good.jpg")
    whole = save(tmp_path / "cut.jpg", (64, 64)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "zero.gif").write_bytes(b"")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    bomb(tmp_path / "bomb.png", 20_000)
    source = open_source(tmp_path)
    assert list(source.names) == ["good.png", "sub/good.jpg"]
    reasons = dict(source.skipped)
    assert list(reasons) == ["bomb.png", "cut.jpg", "gone.png", "pipe.png", "text.png", "zero.gif"]
    assert "too large" in reasons["bomb.png"]
    assert "truncated" in reasons["cut.jpg"]
    assert "No such file" in reasons["gone.png"]
    assert "not a regular file" in reasons["pipe.png"]
    assert "not an image" in reasons["text.png"]
    assert reasons["zero.gif"] == "empty file"
    assert source.describe()["skipped"] == 6
    assert source.batch(torch.arange(2))["x"].shape[0] == 2


def test_skipped_files_do_not_shift_the_others(tmp_path: Path) -> None:
    for number in range(9):
        if number % 3 == 1:
            (tmp_path / f"{number}.png").write_bytes(b"broken")
        else:
            Image.new("L", (4, 4), number).save(tmp_path / f"{number}.png")
    for memory in (None, 0):
        source = open_source(tmp_path, cache=tmp_path / "cache", memory=memory)
        values = source.batch(torch.arange(len(source)))["x"][:, 0, 0, 0].tolist()
        assert [f"{value}.png" for value in values] == list(source.names)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read every file")
def test_files_without_permission_are_skipped(tmp_path: Path) -> None:
    save(tmp_path / "good.png")
    save(tmp_path / "secret.png").chmod(0)
    assert open_source(tmp_path).skipped == [("secret.png", "Permission denied")]


def test_all_unreadable(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.png"):
        (tmp_path / name).write_text("no picture")
    message = refusal(tmp_path)
    assert "none of the 3 images" in message
    assert "'a.jpg': not an image" in message
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    assert "none of the 3 images can be read; the first, 'a.jpg': empty file" in refusal(tmp_path)


def test_good_headers_with_broken_pixels_everywhere(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        whole = save(tmp_path / name, (64, 64)).read_bytes()
        (tmp_path / name).write_bytes(whole[:-800])
    assert "none of the 2 images can be read; the first, 'a.jpg': image file is truncated" in refusal(tmp_path)


def test_one_pixel_images_beside_long_ones(tmp_path: Path) -> None:
    for name, size in (("dot", (1, 1)), ("line", (1, 700)), ("tall", (900, 2)), ("plain", (30, 20))):
        save(tmp_path / f"{name}.png", size)
    source = open_source(tmp_path, image_size=8)
    assert source.skipped == []
    x = source.batch(torch.arange(4))
    assert tuple(x["x"].shape) == (4, 3, 9, 9)
    assert x["aspect"].tolist() == pytest.approx([1, 700, 20 / 30, 2 / 900])
    # short sides 1, 1, 2, 20: their median, in whole pixels
    assert open_source(tmp_path).describe()["stored"] == [1, 1]


def test_only_one_pixel_images(tmp_path: Path) -> None:
    save(tmp_path / "a.png", (1, 1))
    save(tmp_path / "b.png", (1, 1))
    assert open_source(tmp_path).describe()["stored"] == [1, 1]


def test_damaged_array_files(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "zero.npy").write_bytes(b"")
    np.save(tmp_path / "cut.npy", np.zeros((4, 3, 8, 8)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-100])
    np.savez(tmp_path / "cut.npz", x=np.zeros((4, 3, 8, 8)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-100])
    for name in ("text.npz", "zero.npy", "cut.npy", "cut.npz"):
        for memory in (None, 0):
            assert f"cannot read '{tmp_path / name}'" in refusal(tmp_path / name, memory=memory)
    assert "there is no" in refusal(tmp_path / "missing.npz")


def test_python_objects_are_never_unpickled(tmp_path: Path) -> None:
    pictures = np.empty(2, object)
    pictures[:] = [np.zeros((3, 4)), np.zeros((4, 3))]
    np.save(tmp_path / "a.npy", pictures, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=pictures)
    for name in ("a.npy", "a.npz"):
        assert "Python objects" in refusal(tmp_path / name)
    assert "type object" in refusal(np.empty((2, 4, 4), object))


def test_archives_that_do_not_say_what_the_images_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", left=np.zeros((2, 4, 4)), right=np.zeros((2, 4, 4)))
    np.savez(tmp_path / "none.npz", left=np.zeros(3))
    assert "'left' of rank 3, 'right' of rank 3" in refusal(tmp_path / "two.npz")
    assert "'left' of rank 1" in refusal(tmp_path / "none.npz")


def test_arrays_that_are_no_images(tmp_path: Path) -> None:
    assert "rank 2 (shape [5, 4])" in refusal(np.zeros((5, 4)))
    assert "rank 5" in refusal(torch.zeros(1, 1, 1, 1, 1))
    assert "no images in it" in refusal(np.zeros((0, 3, 8, 8)))
    assert "complex64" in refusal(np.zeros((2, 8, 8), np.complex64))
    assert "layout='NCHW'" in refusal(np.zeros((2, 8, 8, 8)))
    np.save(tmp_path / "a.npy", np.zeros((5, 4)))
    assert str(tmp_path / "a.npy") in refusal(tmp_path / "a.npy")


def test_nan_and_infinity_are_counted_and_placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((50, 3, 8, 8), np.float32)
    pixels[[17, 40], 1, 2, 3] = np.nan, np.inf
    pixels[40, 0, 0, 0] = -np.inf
    np.save(tmp_path / "a.npy", pixels)
    monkeypatch.setattr("tacit.modalities.image.read_arrays.CHECKED_BYTES", 5000)  # several parts
    for data in (pixels, torch.from_numpy(pixels), tmp_path / "a.npy", pixels.astype(np.float16)):
        assert "holds 3 NaN or infinite values, the first in image 17" in refusal(data)
    assert str(tmp_path / "a.npy") in refusal(tmp_path / "a.npy", memory=0)
    ragged = [np.zeros((4, 5), np.float32), np.full((4, 4), np.nan, np.float32)]
    assert "item 1 holds 16 NaN" in refusal(ragged)


class Listed(Dataset):
    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> Any:
        return self.items[position]


class Endless(IterableDataset):
    def __iter__(self) -> Any:
        return iter([])


def test_data_sets_and_lists_that_hold_no_images() -> None:
    assert "iterable" in refusal(Endless())
    assert "no samples" in refusal(Listed([]))
    assert "no images" in refusal([])
    assert "item 0 is str" not in refusal(Listed(["nowhere.png"]))
    assert "item 0 is float" in refusal(Listed([1.5]))
    assert "item 0 has shape [4]" in refusal(Listed([np.zeros(4)]))
    assert "no picture under image or x or img, only ['audio']" in refusal(Listed([{"audio": 1}]))
    assert "values -4 to 900" in refusal(Listed([np.array([[-4, 900]])]))
    assert "cannot read images from dict" in refusal({"a": 1})


def test_no_place_for_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "images" / "a.png")
    (tmp_path / "taken").write_text("a file")
    message = refusal(tmp_path / "images", cache=tmp_path / "taken" / "cache", memory=0)
    assert "cannot be cached" in message
    assert str(tmp_path / "taken" / "cache") in message

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caches.os, "posix_fallocate", full)
    message = refusal(tmp_path / "images", cache=tmp_path / "cache", memory=0)
    assert "No space left on device" in message
    assert list((tmp_path / "cache").iterdir()) == []
