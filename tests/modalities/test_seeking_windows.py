"""Windows that are read out of the middle of long files equal those of the whole file decoded at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filmed import film, write_gif, write_pictures, write_video

from tacit.errors import DataError
from tacit.modalities import open_source
from tacit.modalities.audio import recording
from tacit.modalities.audio.recording import Recording
from tacit.modalities.series.stores import Mapped, mappable
from tacit.modalities.video.seeking import Film
from tacit.sources import Stored

SHUFFLED = torch.randperm(11, generator=torch.Generator().manual_seed(0))


def noise(seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (round(seconds * rate), channels)).astype(np.float32)


def same(found: Any, wanted: Any, index: torch.Tensor, within: float) -> bool:
    one, other = found.batch(index), wanted.batch(index)
    return one.keys() == other.keys() and all(torch.allclose(one[k], other[k], rtol=0, atol=within) for k in one)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [22_050, 16_000])
def test_stretches_of_sound_are_those_of_the_whole(ending: str, rate: int, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(str(tmp_path / f"long.{ending}"), noise(2.3, 22_050), 22_050)
    soundfile.write(str(tmp_path / f"short.{ending}"), noise(0.3, 22_050), 22_050)
    options: dict[str, Any] = {"rate": rate, "window": 0.2, "cache": tmp_path / "cache"}
    whole = open_source(tmp_path, "audio", **options)
    sought = open_source(tmp_path, "audio", once=True, memory=0, **options)
    assert not (tmp_path / "cache").exists()
    assert list(sought.names) == list(whole.names)
    assert sought.describe() == whole.describe()
    # an MP3 decoder adds up in float32 what it remembers of frames before; all others start anew where they are led
    within = 1e-4 if ending == "mp3" else 1e-6
    assert same(sought, whole, SHUFFLED, within)
    assert same(sought, whole, torch.tensor([7]), within)


def test_pieces_of_a_recording_are_resampled_as_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile = pytest.importorskip("soundfile")
    signal = pytest.importorskip("scipy.signal")
    samples = noise(1.0, 11_025)
    soundfile.write(str(tmp_path / "a.wav"), samples, 11_025, subtype="FLOAT")
    monkeypatch.setattr(recording, "BLOCK", 700)
    wanted = signal.resample_poly(samples.astype(np.float64).mean(1), 320, 441)
    with Recording(tmp_path / "a.wav", (11_025, 2, len(samples)), 8000, True, "a") as file:
        assert file.length == len(wanted) == 8000
        pieces = list(file.pieces())
        assert [piece.shape for piece in pieces] == [(1, 700)] * 11 + [(1, 300)]
        assert np.allclose(np.concatenate(pieces, 1)[0], wanted, atol=1e-5)
        assert np.allclose(np.concatenate(list(file.pieces(3001, 4405)), 1)[0], wanted[3001:4405], atol=1e-5)


def test_of_a_long_recording_only_the_stretch_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(str(tmp_path / "a.flac"), noise(60, 8000, 1), 8000)
    read: list[int] = []
    plain = Recording._read
    monkeypatch.setattr(
        Recording, "_read", lambda self, first, last: (read.append(last - first), plain(self, first, last))[1]
    )
    source = open_source(tmp_path, "audio", rate=6000, window=1.0, once=True, memory=0)
    assert read == []
    source.batch(torch.tensor([50, 20]))
    assert sum(read) < 2 * 8000 + 400
    open_source(tmp_path, "audio", window=1.0, once=True)  # this is little, and is decoded at once
    assert sum(read) > 60 * 8000


def test_what_is_wrong_with_sound_is_told_when_it_is_read(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = noise(1.0, 8000, 1)
    samples[6500] = np.nan
    soundfile.write(str(tmp_path / "a.wav"), samples, 8000, subtype="FLOAT")
    source = open_source(tmp_path, "audio", window=0.25, once=True, memory=0)
    source.batch(torch.tensor([0, 2]))
    with pytest.raises(DataError, match=r"'a\.wav' in .*: sample 6500 of channel 0 is nan"):
        source.batch(torch.tensor([3]))
    soundfile.write(str(tmp_path / "a.wav"), samples[:3000], 8000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"'a\.wav' in .* cannot be read: it was changed"):
        source.batch(torch.tensor([0]))


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "mpeg4", "yuv420p"),
        ("a.mov", "mpeg4", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
    ],
)
def test_stretches_of_a_video_are_those_of_the_whole(name: str, codec: str, pixels: str, tmp_path: Path) -> None:
    frames = film(30)
    try:
        write_video(tmp_path / name, frames, codec, pixels=pixels)
    except Exception as missing:
        pytest.skip(f"the writer has no {codec}: {missing}")
    for reading in ({}, {"stride": 2, "fps": 17.0, "image_size": 20, "channels": 1}):
        options: dict[str, Any] = {"frames": 2, "window": 4, "hop": 1, "cache": tmp_path / "cache"} | reading
        whole = open_source(tmp_path / name, "video", **options)
        sought = open_source(tmp_path / name, "video", once=True, memory=0, **options)
        assert sought.describe() == whole.describe() | {"store": "files"}
        assert list(sought.names) == list(whole.names)
        assert same(sought, whole, SHUFFLED, 0)
        assert same(sought, whole, torch.arange(len(whole)), 0)


def test_of_a_long_video_little_more_than_the_stretch_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "a.mp4", film(60))  # a key frame in every twelve
    decoded: list[int] = []
    plain = Film._next
    monkeypatch.setattr(Film, "_next", lambda self: (decoded.append(1), plain(self))[1])
    source = open_source(tmp_path, window=5, frames=5, once=True, memory=0)
    source.batch(torch.tensor([9]))
    assert 5 <= len(decoded) <= 5 + 12
    decoded.clear()
    source.batch(torch.tensor([4, 2, 3, 1]))
    assert 20 <= len(decoded) <= 20 + 12


def test_videos_whose_frames_cannot_be_numbered_are_decoded_whole(tmp_path: Path) -> None:
    write_gif(tmp_path / "g" / "a.gif", film(10) // 64 * 64)
    write_pictures(tmp_path / "p" / "a", film(10))
    for folder in ("g", "p"):
        options: dict[str, Any] = {"frames": 2, "window": 4, "cache": tmp_path / "cache"}
        whole = open_source(tmp_path / folder, "video", **options)
        sought = open_source(tmp_path / folder, "video", once=True, memory=0, **options)
        assert sought.describe()["store"] == "mapped"
        assert same(sought, whole, torch.arange(len(whole)), 0)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("window", [None, 64])
def test_long_series_stay_in_their_file(
    kind: Any, window: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = (1000 * np.random.default_rng(0).normal(size=(11, 2, 200))).astype(kind)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "flat.npy", x[:, 0])
    options: dict[str, Any] = {"window": window, "stride": window and 10}
    held = [open_source(tmp_path / name, "series", **options) for name in ("x.npy", "flat.npy")]
    monkeypatch.setattr("tacit.modalities.series.reading.HELD", 0)
    mapped = [open_source(tmp_path / name, "series", **options) for name in ("x.npy", "flat.npy")]
    monkeypatch.setattr("tacit.modalities.series.reading.mappable", None)
    for one, other in zip(mapped, held, strict=True):
        assert isinstance(one, Stored)
        assert isinstance(one.store, Mapped)
        assert one.describe() == other.describe()
        assert list(one.names) == list(other.names)
        assert same(one, other, SHUFFLED, 0)
        assert one.batch(SHUFFLED)["x"].dtype == torch.float32
    masked = open_source(tmp_path / "x.npy", "series", missing="mask")
    assert masked.describe()["channels"] == 4


def test_series_with_gaps_are_not_given_as_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.modalities.series.reading.HELD", 0)
    x = np.ones((3, 2, 50))
    x[1, 1, 7] = np.nan
    np.save(tmp_path / "x.npy", x)
    assert bool((open_source(tmp_path / "x.npy", "series").batch(torch.arange(3))["x"] == 1).all())
    with pytest.raises(DataError, match=r"series 1: channel 1 has no value at step 7"):
        open_source(tmp_path / "x.npy", "series", missing="refuse")
    for value in (np.inf, 1e300):
        x[1, 1, 7] = value
        np.save(tmp_path / "x.npy", x)
        with pytest.raises(DataError, match=r"series 1: channel 1 holds infinite numbers, or some too large"):
            open_source(tmp_path / "x.npy", "series")
    assert not mappable(np.ones((3, 2, 50))[:, :, ::2])
    assert not mappable(np.asfortranarray(np.ones((3, 2, 50))))
    assert not mappable(np.ones((3, 2, 50), ">f4"))
    table = tmp_path / "x.csv"
    table.write_text("a,b\n" + "1,2\n" * 200 + "1,1e300\n")
    with pytest.raises(DataError, match="column 'b' holds infinite numbers, or some too large for float32"):
        open_source(table, "series")


def test_a_video_that_was_changed_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", film(60))
    source = open_source(path, window=4, frames=4, once=True, memory=0)
    write_video(path, film(20))
    with pytest.raises(DataError, match=r"'a\.mp4' in .* cannot be read"):
        source.batch(torch.tensor([10]))
