"""Caches of decoded pixels: reused, renewed, swept, and never half there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from written_images import everything, noise, save

from tacit.modalities import caches
from tacit.modalities.image.reading import open_source


def test_the_cache_is_mapped_reused_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    for number in range(4):
        save(folder / str(number % 2) / f"{number}.png", noise(6, 6, 3, seed=number))
    (folder / "0" / "broken.png").write_bytes(b"\x89PNG nothing")
    plain = open_source(folder)
    mapped = open_source(folder, cache=cache, memory=0)
    assert mapped.describe()["store"] == "mapped"
    torch.testing.assert_close(everything(mapped), everything(plain), rtol=0, atol=0)
    assert len(list(cache.iterdir())) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr("tacit.modalities.image.read_decode.pixels_of", refuse)
        again = open_source(folder, cache=cache, memory=0)
    torch.testing.assert_close(everything(again), everything(plain), rtol=0, atol=0)
    assert (again.names, again.skipped, again.classes) == (plain.names, plain.skipped, plain.classes)
    assert torch.equal(again.aspect, plain.aspect)
    assert again.labels is not None
    assert plain.labels is not None
    assert torch.equal(again.labels, plain.labels)

    save(folder / "1" / "3.png", np.zeros((6, 6, 3), np.uint8))
    os.utime(folder / "1" / "3.png", ns=(1, 1))
    changed = open_source(folder, cache=cache, memory=0)
    assert everything(changed)[-1].max() == 0


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", noise(6, 6))
    first = everything(open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)).clone()
    (made,) = (tmp_path / "cache").iterdir()
    (made / "pixels.npy").write_bytes(b"damaged")
    again = open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)
    assert torch.equal(everything(again), first)


def test_an_interrupted_decoding_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        save(tmp_path / "images" / f"{number}.png", noise(6, 6))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tacit.modalities.image.read_decode.pixels_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", noise(6, 6))
    dead = os.fork()
    if not dead:
        os._exit(0)
    os.waitpid(dead, 0)
    left = tmp_path / "cache" / f"{caches.PARTIAL}{dead}-abc"
    left.mkdir(parents=True)
    open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)
    assert not left.exists()


def test_memory_decides_between_store_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "images" / "a.png", noise(10, 10, 3))  # 300 bytes: 40% of 750
    for available, expected in ((750, "memory"), (740, "mapped")):
        monkeypatch.setattr(caches, "available_memory", lambda value=available: value)
        source = open_source(tmp_path / "images", cache=tmp_path / "cache")
        assert source.describe()["store"] == expected
    assert open_source(noise(4, 10, 10)).describe()["store"] == "memory"


def test_progress_is_quiet_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.png", noise(4, 4))
    open_source(tmp_path, progress=True)
    assert capsys.readouterr() == ("", "")


def test_the_cache_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path / "elsewhere"))
    save(tmp_path / "images" / "a.png", noise(6, 6))
    open_source(tmp_path / "images", memory=0)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_threads_change_nothing(tmp_path: Path) -> None:
    for number in range(150):
        save(tmp_path / f"{number}.png", noise(7 + number % 3, 9, 3, seed=number))
    one, four = open_source(tmp_path, workers=1), open_source(tmp_path, workers=4)
    assert torch.equal(everything(one), everything(four))
    assert torch.equal(one.aspect, four.aspect)
