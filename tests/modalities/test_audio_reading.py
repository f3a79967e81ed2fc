"""Sound files and arrays are read as they were written, and bad ones are named."""

from __future__ import annotations

import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tacit
from tacit.errors import DataError, MissingExtra, OptionError
from tacit.modalities import audio, open_source, recognised

RATE = 8000


def tone(seconds: float = 0.5, rate: int = RATE, pitch: float = 440.0, channels: int = 1) -> np.ndarray:
    """int16 ``[T, C]``, each channel an octave above the one before."""
    time = np.arange(round(seconds * rate)) / rate
    waves = np.stack([np.sin(2 * np.pi * pitch * 2**c * time) for c in range(channels)], 1)
    return (10_000 * waves).astype(np.int16)


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def write_coded(path: Path, samples: np.ndarray, codec: str, rate: int = RATE) -> Path:
    """By FFmpeg, which shares no code with the library that reads."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        kind = stream.codec_context.codec.audio_formats[0].name
        whole = np.ascontiguousarray(samples[:, 0][None])
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=kind, layout="mono", rate=rate, frame_size=stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(piece):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
    return path


def first(source: Any) -> torch.Tensor:
    return source.batch(torch.tensor([0]))["x"][0]


def test_a_wav_file_holds_what_was_written(tmp_path: Path) -> None:
    samples = tone(channels=2)
    source = open_source(write_wav(tmp_path / "a.wav", samples))
    assert source.modality == "audio"
    assert np.array_equal(first(source).numpy(), samples.T / np.float32(32768))
    assert source.describe()["rate"] == RATE


@pytest.mark.parametrize(
    ("ending", "codec", "error"), [("flac", "flac", 1e-4), ("ogg", "libvorbis", 0.02), ("mp3", "libmp3lame", 0.02)]
)
def test_compressed_files_hold_what_was_written(ending: str, codec: str, error: float, tmp_path: Path) -> None:
    samples = tone(1.0, 16_000)
    try:
        path = write_coded(tmp_path / f"a.{ending}", samples, codec, 16_000)
    except Exception as missing:
        pytest.skip(f"the writer has no {codec}: {missing}")
    found = first(open_source(path))[0].double().numpy()
    wanted = samples[:, 0] / 32768
    # lossy coders delay by a little; the delay is found, and must be all that differs
    size = min(len(found), len(wanted)) - 4000
    shifts = range(len(found) - size - 2000 + 1)
    middle = wanted[2000 : 2000 + size]
    least = min(float(np.abs(found[s : s + size] - middle).max()) for s in shifts if s < 6000)
    assert least < error


def test_class_folders_are_labels_and_splits_are_not(tmp_path: Path) -> None:
    for name in ("train/yes/1.wav", "train/no/2.wav", "test/no/3.wav", "test/.hidden/4.wav"):
        write_wav(tmp_path / name, tone(0.1))
    (tmp_path / "notes.txt").write_text("not sound")
    assert recognised(tmp_path) == ["audio"]
    source = open_source(tmp_path)
    assert list(source.names) == ["test/no/3.wav", "train/no/2.wav", "train/yes/1.wav"]
    assert source.classes == ["no", "yes"]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1]


def test_a_pattern_finds_labels_and_groups_in_names(tmp_path: Path) -> None:
    for name in ("7_ann_0.wav", "7_bob_0.wav", "3_ann_1.wav"):
        write_wav(tmp_path / name, tone(0.1))
    source = open_source(tmp_path, pattern="(?P<label>[0-9])_(?P<group>[a-z]+)")
    assert source.classes == ["3", "7"]
    assert source.labels is not None
    assert source.groups is not None
    assert source.labels.tolist() == [0, 1, 1]
    assert source.groups.tolist() == [0, 0, 1]
    for pattern, why in (("(", "no regular expression"), ("[a-z]+", "groups named"), ("(?P<label>x+)", "3_ann_1.wav")):
        with pytest.raises(OptionError, match=why):
            open_source(tmp_path, pattern=pattern)


def test_other_rates_are_resampled_without_aliases(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(0.5, 8000, 440))
    write_wav(tmp_path / "b.wav", tone(0.5, 8000, 440))
    write_wav(tmp_path / "c.wav", tone(0.5, 44_100, 440), 44_100)
    write_wav(tmp_path / "d.wav", tone(0.5, 44_100, 6000), 44_100)  # too high for 8 kHz
    source = open_source(tmp_path, rate=8000)
    batch = source.batch(torch.arange(4))
    x, length = batch["x"][:, 0].double(), batch.get("length", torch.full((4,), batch["x"].shape[2]))
    assert length.tolist() == [4000] * 4
    inner = slice(200, -200)
    assert float((x[2] - x[0])[inner].abs().max()) < 0.01
    assert float(x[3][inner].abs().max()) < 0.01
    # as many files are at 44,100 as at 8,000: the higher rate, at most 16,000
    assert open_source(tmp_path, mono=True).describe()["rate"] == 16_000


def test_channels_must_agree_or_be_averaged(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone())
    write_wav(tmp_path / "b.wav", tone())
    write_wav(tmp_path / "odd.wav", tone(channels=2))
    with pytest.raises(DataError, match=r"odd\.wav.*2 channels.*data\.mono=true"):
        open_source(tmp_path)
    batch = open_source(tmp_path, mono=True).batch(torch.arange(3))
    assert batch["x"].shape[:2] == (3, 1)
    assert np.allclose(batch["x"][2, 0].numpy(), tone(channels=2).mean(1) / 32768, atol=1e-6)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_a_file_that_was_cut_short_is_left_out_and_counted(ending: str, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    noise = np.random.default_rng(0).normal(0, 0.1, 20_000)
    for name in ("good", "short"):
        soundfile.write(str(tmp_path / f"{name}.{ending}"), noise, 16_000)
    path = tmp_path / f"short.{ending}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(tmp_path)
    assert list(source.names) == [f"good.{ending}"]
    assert [name for name, _ in source.skipped] == [f"short.{ending}"]


def test_what_is_no_sound_is_left_out_with_the_reason(tmp_path: Path) -> None:
    write_wav(tmp_path / "good.wav", tone())
    write_wav(tmp_path / "nothing.wav", tone()[:0])
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.flac").write_text("hello")
    source = open_source(tmp_path)
    assert len(source) == 1
    reasons = dict(source.skipped)
    assert reasons["empty.wav"] == "it is empty"
    assert reasons["nothing.wav"] == "it has no samples in it"
    assert "text.flac" in reasons
    (tmp_path / "good.wav").unlink()
    with pytest.raises(DataError, match=r"none of the 3 files.*empty\.wav"):
        open_source(tmp_path)


def test_recordings_that_do_not_fit_in_memory_are_mapped_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, rate in enumerate((8000, 8000, 11_025)):
        write_wav(tmp_path / "data" / f"{i}.wav", tone(0.2 + 0.1 * i, rate, 300 + 100 * i), rate)
    (tmp_path / "data" / "x.wav").write_text("no sound")
    held = open_source(tmp_path / "data", window=0.25)
    mapped = open_source(tmp_path / "data", window=0.25, memory=0, cache=tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.name.startswith("recordings-")
    monkeypatch.setattr("tacit.modalities.audio.files.Recording", None)  # what is in the cache is not decoded again
    again = open_source(tmp_path / "data", window=0.25, memory=0, cache=tmp_path / "cache")
    wanted = held.batch(torch.arange(len(held)))
    for source in (mapped, again):
        assert list(source.names) == list(held.names)
        assert list(source.skipped) == list(held.skipped)
        assert source.describe() == held.describe()
        found = source.batch(torch.arange(len(held)))
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    with pytest.raises(OptionError, match="memory"):
        open_source(tmp_path / "data", memory=-1)


def test_a_cache_follows_its_files(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "data" / "a.wav", tone(0.1))
    options = {"memory": 0, "cache": tmp_path / "cache"}
    assert open_source(path.parent, **options).describe()["length"] == [800, 800]
    write_wav(path, tone(0.2))
    assert open_source(path.parent, **options).describe()["length"] == [1600, 1600]
    assert open_source(path.parent, rate=4000, **options).describe()["length"] == [800, 800]


def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io.wavfile")
    samples = np.zeros(1000, np.float32)
    samples[700] = np.nan
    scipy_io.write(str(tmp_path / "bad.wav"), RATE, samples)
    with pytest.raises(DataError, match=r"bad\.wav.*sample 700 of channel 0 is nan"):
        open_source(tmp_path)
    with pytest.raises(DataError, match=r"recording 1.*sample 700"):
        open_source([np.zeros(10), samples], "audio")


def test_arrays_and_lists(tmp_path: Path) -> None:
    whole = (np.arange(24, dtype=np.int16) * 1000).reshape(2, 12)
    source = open_source((whole, ["b", "a"], [5, 6]), "audio", rate=100)
    assert np.allclose(source.batch(torch.arange(2))["x"][:, 0].numpy(), whole / 32768)
    assert source.classes == ["a", "b"]
    ragged = open_source([np.ones(5), np.ones((1, 3))], "audio").batch(torch.arange(2))
    assert ragged["length"].tolist() == [5, 3]
    assert not ragged["x"][1, 0, 3:].any()
    for bad, why in (
        (np.zeros((2, 2, 2, 2)), r"\[N, T\] or \[N, C, T\]"),
        ([], "no recordings"),
        ([np.zeros(3), np.zeros(0)], "recording 1 is empty"),
        ([np.zeros(3), np.zeros((2, 3))], "recording 1 has 2 channels"),
        ([np.array(["a"])], "should be numbers"),
        (7, "cannot read sound"),
    ):
        with pytest.raises(DataError, match=why):
            open_source(bad, "audio")


def test_long_recordings_are_cut_into_windows(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", tone(2.7))
    write_wav(tmp_path / "short.wav", tone(0.4))
    source = open_source(tmp_path, window=1.0)
    assert list(source.names) == ["long.wav 0 s", "long.wav 1 s", "long.wav 2 s", "short.wav 0 s"]
    batch = source.batch(torch.arange(4))
    assert batch["length"].tolist() == [8000, 8000, 5600, 3200]
    assert source.groups is not None
    assert source.groups.tolist() == [0, 0, 0, 1]
    assert np.array_equal(batch["x"][1, 0].numpy(), tone(2.7)[8000:16000, 0] / np.float32(32768))
    assert len(open_source(tmp_path, window=1.0, stride=0.5)) == 6


def test_impossible_options_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(tmp_path / "a.wav", tone())
    for options, why in (({"rate": 5}, "rate"), ({"window": -1.0}, "window"), ({"stride": 1.0}, "give window")):
        with pytest.raises(OptionError, match=why):
            open_source(path, **options)
    with pytest.raises(tacit.TacitError, match="pattern is for files"):
        open_source([np.zeros(5)], "audio", pattern="(?P<label>a)")
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="no sound files"):
        open_source(tmp_path / "other", "audio")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingExtra, match=r"tacit\[audio\]"):
        open_source(path)


def test_a_list_of_paths_is_recognised(tmp_path: Path) -> None:
    paths = [write_wav(tmp_path / f"{i}.wav", tone(0.1)) for i in range(3)]
    assert recognised(paths) == ["audio"]
    source = open_source((paths, np.array([2, 0, 1])), "audio")
    assert source.labels is not None
    assert source.labels.tolist() == [2, 0, 1]
    with pytest.raises(DataError, match="none of the 1 files"):
        open_source([tmp_path / "gone.wav"])


def test_the_spec_is_of_real_samples_alone() -> None:
    random = np.random.default_rng(0)
    items = [random.normal(0, 0.5, size) for size in (4000, 800, 2400)]
    spec = audio.spec_of(open_source(items, "audio", rate=RATE))
    assert spec.scale == pytest.approx(np.sqrt(np.mean(np.concatenate(items) ** 2)), rel=1e-5)
    assert spec.ragged
    assert spec.length == 4000
    assert spec.words() == "mono, 8,000 Hz, up to 0.5 s"
    quiet = audio.spec_of(open_source([np.zeros(100)], "audio"))
    assert quiet.scale == 1.0
    assert quiet.spread == 1.0
