"""Video files, folders of frames and arrays are read as they were written, and bad ones are named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filmed import film, write_gif, write_pictures, write_video
from PIL import Image

from tacit.errors import DataError, MissingExtra, OptionError
from tacit.modalities import open_source, recognised, video
from tacit.modalities.video.decode import at_rate, natural
from tacit.modalities.video.stores import windows


def clip(source: Any, index: int = 0) -> np.ndarray:
    """A sample as ``[T, H, W, C]``."""
    return source.batch(torch.tensor([index]))["x"][0].permute(1, 2, 3, 0).numpy()


def array(count: int = 3, frames: int = 8, channels: int = 3, height: int = 6, width: int = 5) -> np.ndarray:
    shape = (count, frames, channels, height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "error"),
    [
        ("a.mp4", "mpeg4", "yuv420p", 12),
        ("a.avi", "mpeg4", "yuv420p", 12),
        ("a.avi", "ffv1", "bgr0", 0),
        ("a.mkv", "ffv1", "bgr0", 0),
        ("a.mov", "mpeg4", "yuv420p", 12),
    ],
)
def test_a_file_holds_the_frames_that_were_written(
    name: str, codec: str, pixels: str, error: int, tmp_path: Path
) -> None:
    frames = film()
    path = write_video(tmp_path / name, frames, codec, pixels=pixels)
    assert recognised(path) == ["video"]
    source = open_source(path, window=12)
    assert source.modality == "video"
    found = clip(source)
    assert found.shape == frames.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - frames).mean() <= error / 4
    assert np.abs(found.astype(int) - frames).max() <= 3 * error
    assert source.describe()["fps"] == [10.0, 10.0]


def test_a_gif_holds_the_frames_that_were_written(tmp_path: Path) -> None:
    grey = (film(9)[..., :1] // 16 * 16).repeat(3, -1)  # few enough colours for its palette
    path = write_gif(tmp_path / "a.gif", grey)
    assert recognised(path)[0] == "image"
    assert np.array_equal(clip(open_source(path, "video", window=9)), grey)


def test_a_folder_of_frames_is_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames = film(12)
    folder = write_pictures(tmp_path / "walk", frames)
    assert np.array_equal(clip(open_source(folder, "video", window=12)), frames)
    assert sorted(["f10.png", "f2.png", "f1.png", "e3.png"], key=natural) == ["e3.png", "f1.png", "f2.png", "f10.png"]
    assert sorted(["10", "9", "a"], key=natural) == ["9", "10", "a"]


def test_folders_of_videos_have_classes_and_counts(tmp_path: Path) -> None:
    frames = film(8)
    write_video(tmp_path / "train/run/1.mp4", frames)
    write_pictures(tmp_path / "train/walk/2", frames)
    write_gif(tmp_path / "test/walk/3.gif", frames)
    write_video(tmp_path / "test/walk/.hidden/4.mp4", frames)
    (tmp_path / "train/run/bad.mp4").write_bytes(b"no video at all")
    (tmp_path / "train/run/empty.avi").touch()
    write_video(tmp_path / "train/run/short.mp4", frames[:5])
    source = open_source(tmp_path, "video", window=8)
    assert list(source.names) == ["test/walk/3.gif", "train/run/1.mp4", "train/walk/2"]
    assert source.classes == ["run", "walk"]
    assert source.labels is not None
    assert source.labels.tolist() == [1, 0, 1]
    reasons = dict(source.skipped)
    assert set(reasons) == {"train/run/bad.mp4", "train/run/empty.avi", "train/run/short.mp4"}
    assert reasons["train/run/empty.avi"] == "it is empty"
    assert reasons["train/run/short.mp4"] == "it has 5 frames, and a sample 8"
    assert source.describe()["skipped"] == 3


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mpeg4"), ("a.avi", "mpeg4"), ("a.mkv", "ffv1"), ("a.gif", "")])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_file_that_was_cut_short_is_left_out(name: str, codec: str, share: float, tmp_path: Path) -> None:
    frames = film(30)
    if codec:
        write_video(tmp_path / f"good-{name}", frames, codec, pixels="bgr0" if codec == "ffv1" else "yuv420p")
    else:
        write_gif(tmp_path / f"good-{name}", frames)
    content = (tmp_path / f"good-{name}").read_bytes()
    (tmp_path / f"bad-{name}").write_bytes(content[: int(share * len(content))])
    source = open_source(tmp_path, "video", window=30)
    assert list(source.names) == [f"good-{name}"]
    assert [bad for bad, _ in source.skipped] == [f"bad-{name}"]


def test_nothing_that_can_be_read_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0" * 100)
    (tmp_path / "b.mp4").touch()
    with pytest.raises(DataError, match=r"none of the 2 videos.*'a\.mp4'"):
        open_source(tmp_path)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="there are no videos"):
        open_source(tmp_path / "nothing", "video")
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"cannot read a video from.*\.txt"):
        open_source(tmp_path / "a.txt", "video")
    sound = pytest.importorskip("av")
    with sound.open(str(tmp_path / "sound.mkv"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = sound.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
    with pytest.raises(DataError, match="it has no pictures in it"):
        open_source(tmp_path / "sound.mkv")


def test_frames_of_other_sizes_become_squares_at_their_true_aspect(tmp_path: Path) -> None:
    # a disc in the middle stays a disc, whatever the frame's sides
    for name, (height, width) in (("wide", (40, 80)), ("tall", (90, 60))):
        y, x = np.mgrid[:height, :width] + 0.5
        inside = np.hypot(y - height / 2, x - width / 2) < 0.3 * min(height, width)
        write_pictures(tmp_path / name, np.repeat((255 * inside[None, ..., None]).astype(np.uint8), 6, 0).repeat(3, -1))
    source = open_source(tmp_path, "video", image_size=20)
    for i in range(2):
        found = clip(source, i)[0, ..., 0] / 255
        assert found.shape == (20, 20)
        assert found.sum() == pytest.approx(np.pi * 6**2, rel=0.03)
        assert np.allclose(found, found.T, atol=0.05)
    assert open_source(tmp_path, "video").describe()["stored"] == [40, 40]
    path = write_video(tmp_path / "large.mp4", film(6, 64, 96))
    assert open_source(path, image_size=32).describe()["stored"] == [32, 32]
    assert open_source(path).describe()["stored"] == [64, 96]


def test_a_frame_of_another_size_in_a_folder_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path / "good", film(6))
    write_pictures(tmp_path / "odd", film(6))
    Image.new("RGB", (10, 10)).save(tmp_path / "odd" / "frame4.png")
    write_pictures(tmp_path / "torn", film(6))
    (tmp_path / "torn" / "frame2.png").write_bytes((tmp_path / "torn" / "frame2.png").read_bytes()[:200])
    source = open_source(tmp_path, "video")
    reasons = dict(source.skipped)
    assert list(source.names) == ["good"]
    assert reasons["odd"] == "'frame4.png' in it has 10x10 pixels, and the first has 32x48"
    assert "'frame2.png' in it cannot be read" in reasons["torn"]


def test_grey_files_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    grey = film(8)[..., 0]
    write_video(tmp_path / "a.mkv", grey, "ffv1", pixels="gray")
    deep = Image.fromarray(film(1)[0, ..., 0].astype(np.uint16) * 257)
    for number in range(8):
        (tmp_path / "deep").mkdir(exist_ok=True)
        deep.save(tmp_path / "deep" / f"{number}.png")
    source = open_source(tmp_path, "video", window=8)
    assert source.describe()["channels"] == 1
    assert np.array_equal(clip(source)[..., 0], grey)
    assert np.array_equal(clip(source, 1)[3, ..., 0], film(1)[0, ..., 0])
    write_video(tmp_path / "b.mkv", film(8), "ffv1", pixels="bgr0")
    both = open_source(tmp_path, "video", window=8)
    assert both.describe()["channels"] == 3
    assert np.array_equal(clip(both)[..., 2], grey)
    # a run that was trained on one kind sees the other as its own
    one, three = (video.spec_of(source) for source in (source, both))
    assert open_source(tmp_path / "b.mkv", **one.reading()).describe()["channels"] == 1
    assert open_source(tmp_path / "a.mkv", **three.reading()).describe()["channels"] == 3
    with pytest.raises(DataError, match="these videos have 1 channels, and the encoder is for 3"):
        video.evaluation_view(three)(source.batch(torch.tensor([0])))


def test_stride_and_rate_choose_frames(tmp_path: Path) -> None:
    frames = film(12)
    path = write_video(tmp_path / "a.mkv", frames, "ffv1", fps=10, pixels="bgr0")
    assert np.array_equal(clip(open_source(path, stride=3)), frames[::3])
    assert np.array_equal(clip(open_source(path, fps=5, window=6)), frames[::2])
    assert np.array_equal(clip(open_source(path, fps=20, window=24)), frames.repeat(2, 0))
    assert np.array_equal(clip(open_source(path, fps=10, stride=2, window=6)), frames[::2])
    folder = write_pictures(tmp_path / "b", frames)
    assert np.array_equal(clip(open_source(folder, "video", stride=4)), frames[::4])
    gif = write_gif(tmp_path / "a.gif", film(10) // 64 * 64, milliseconds=50)
    assert open_source(gif, "video", fps=10).describe()["window"] == 5


def test_at_each_time_the_frame_on_the_screen_is_taken() -> None:
    seconds = np.array([0.0, 0.1, 0.5, 0.6, 1.0])  # an uneven film, each frame 0.25 s in the mean
    assert at_rate(3 + seconds, 4).tolist() == [0, 1, 2, 3, 4]
    found = at_rate(seconds, 10)
    wanted = [max(i for i, s in enumerate(seconds) if s <= t / 10 + 1e-6) for t in range(len(found))]
    assert found.tolist() == wanted
    assert len(found) == 12
    assert at_rate(np.array([2.0]), 30).tolist() == [0]


def test_what_does_not_fit_in_memory_is_mapped_and_found_again(tmp_path: Path, monkeypatch: Any) -> None:
    for number in range(3):
        write_video(tmp_path / f"v/{number}.mkv", film(8 + number, seed=number), "ffv1", pixels="bgr0")
    (tmp_path / "v/bad.mkv").write_bytes(b"nothing")
    options = {"window": 8, "hop": 1, "cache": tmp_path / "cache"}
    plain = open_source(tmp_path / "v", **options)
    mapped = open_source(tmp_path / "v", memory=0, **options)
    assert [s.describe()["store"] for s in (plain, mapped)] == ["memory", "mapped"]
    monkeypatch.setattr("tacit.modalities.video.files.frames", None)
    again = open_source(tmp_path / "v", memory=0, **options)
    monkeypatch.undo()
    everything = torch.arange(6)
    for source in (mapped, again):
        assert torch.equal(source.batch(everything)["x"], plain.batch(everything)["x"])
        assert list(source.names) == list(plain.names)
        assert source.skipped == plain.skipped
        assert source.describe()["fps"] == [10.0, 10.0]
    write_video(tmp_path / "v/0.mkv", film(9, seed=7), "ffv1", pixels="bgr0")
    changed = open_source(tmp_path / "v", memory=0, **options)
    assert np.array_equal(clip(changed), film(9, seed=7)[:8])


def test_samples_are_windows_of_videos_and_keep_together(tmp_path: Path) -> None:
    x = [array(1, length)[0] for length in (9, 4, 12)]
    source = open_source((x, ["a", "b", "a"]), "video", frames=2, window=4, hop=4)
    assert list(source.names) == ["0 frame 0", "0 frame 4", "1", "2 frame 0", "2 frame 4", "2 frame 8"]
    assert source.groups is not None
    assert source.groups.tolist() == [0, 0, 1, 2, 2, 2]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1, 0, 0, 0]
    batch = source.batch(torch.tensor([4, 1]))["x"]
    assert torch.equal(batch[0], torch.from_numpy(x[2][4:8]).transpose(0, 1))
    assert torch.equal(batch[1], torch.from_numpy(x[0][4:8]).transpose(0, 1))
    own = open_source((x, ["a", "b", "a"], [5, 5, 6]), "video", window=4)
    assert own.groups is not None
    assert own.groups.tolist() == [5, 5, 5, 6, 6, 6]
    thin = open_source(x, "video", stride=3, window=2, hop=1)  # 3, 2 and 4 frames
    assert list(thin.names) == ["0 frame 0", "0 frame 3", "1", "2 frame 0", "2 frame 3", "2 frame 6"]
    assert torch.equal(thin.batch(torch.tensor([1]))["x"][0, :, 1], torch.from_numpy(x[0][6]))


def test_windows_lie_within_their_video() -> None:
    length = torch.tensor([5, 2, 7, 3])
    found = list(zip(*(part.tolist() for part in windows(length, 3, 2)), strict=True))
    wanted = [(v, p) for v, n in enumerate(length.tolist()) for p in range(0, n, 2) if p + 3 <= n]
    assert found == wanted


def test_lengths_follow_from_the_data_where_nothing_is_said() -> None:
    def sizes(lengths: list[int], **options: Any) -> tuple[int, int]:
        facts = open_source([array(1, n)[0] for n in lengths], "video", **options).describe()
        return facts["frames"], facts["window"]

    assert sizes([40, 100]) == (16, 40)
    assert sizes([10, 8]) == (4, 8)
    assert sizes([200]) == (16, 64)
    assert sizes([200], frames=4) == (4, 16)
    assert sizes([30, 2]) == (15, 30)  # two frames do not decide
    assert sizes([3, 2]) == (1, 3)
    assert sizes([40], window=10) == (5, 10)
    with pytest.raises(DataError, match="the longest video has 8 frames, and a sample should have 9"):
        sizes([8, 7], frames=9)


@pytest.mark.parametrize("layout", ["TCHW", "THWC"])
def test_the_axes_of_arrays_are_told_by_their_sizes(layout: str) -> None:
    x = array()
    given = x if layout == "TCHW" else x.transpose(0, 1, 3, 4, 2)
    assert recognised(given)[0] == "video"
    for data in (given, torch.from_numpy(np.ascontiguousarray(given)), list(given)):
        assert np.array_equal(clip(open_source(data, window=8), 1), x[1].transpose(0, 2, 3, 1))
    one = open_source(given[0], "video", window=8)
    assert len(one) == 1
    assert "video" in recognised(given[0])[1:]
    assert recognised(given[0])[0] == "image"
    small = array(2, 8, 3, 4, 3)
    with pytest.raises(DataError, match=r"data\.layout=TCHW or THWC"):
        open_source(small, "video")
    assert open_source(small, "video", layout="TCHW").describe()["stored"] == [4, 3]
    assert open_source(small, "video", layout="THWC").describe()["stored"] == [3, 4]


def test_numbers_of_every_type_keep_their_meaning() -> None:
    base = array(1, 4)
    cases = [
        (base.astype(np.int32), base, torch.uint8),
        (base.astype(np.int32) * 2, 2.0 * base, torch.float32),
        ((base > 99), 255 * (base > 99), torch.uint8),
        ((base.astype(np.uint16) * 257), base / np.float32(255), torch.float32),
        (base / 7.0, base / 7.0, torch.float32),
    ]
    for given, wanted, kind in cases:
        found = open_source(given, "video", window=4).batch(torch.tensor([0]))["x"]
        assert found.dtype == kind
        assert np.allclose(found[0].transpose(0, 1).numpy(), wanted[0], atol=1e-6)


def test_array_files_are_read_and_damaged_ones_named(tmp_path: Path) -> None:
    x, y = array(), np.array([1, 0, 1])
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    for name in ("x.npy", "x.npz"):
        assert recognised(tmp_path / name)[0] == "video"
        assert np.array_equal(clip(open_source(tmp_path / name, "video", window=8)), x[0].transpose(0, 2, 3, 1))
    labelled = open_source(tmp_path / "x.npz", "video").labels
    assert labelled is not None
    assert labelled.tolist() == [1, 0, 1]
    assert open_source(tmp_path / "x.npy", once=True).describe()["store"] == "mapped"
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(content[: len(content) // 2])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:300])
    np.save(tmp_path / "objects.npy", np.array([None, {}]), allow_pickle=True)
    np.savez(tmp_path / "other.npz", thing=x)
    for name, why in (("cut.npy", "damaged"), ("cut.npz", "cannot read"), ("objects.npy", "Python objects"),
                      ("other.npz", "has no array named")):  # fmt: skip
        with pytest.raises(DataError, match=why):
            open_source(tmp_path / name, "video")


def test_bad_arrays_are_named() -> None:
    bad = array().astype(np.float32)
    bad[1, 5, 0, 2, 2] = np.nan
    cases: list[tuple[Any, str]] = [
        (bad, "frame 5 of video 1 holds NaN"),
        (list(bad), "frame 5 of video 1 holds NaN"),
        (np.zeros((4, 5)), r"videos are \[N, T, C, H, W\]"),
        (np.zeros((0, 4, 3, 5, 5)), "has no frames in it"),
        (np.zeros((2, 4, 3, 5, 5), complex), "real numbers"),
        (torch.zeros(2, 4, 3, 5, 5, dtype=torch.complex64), "real numbers"),
        ([], "has no videos in it"),
        ([array()[0], np.zeros((4, 3))], "video 1: it should be an array"),
        ([array()[0], array(1, 4, 1)[0]], "video 1 has frames .1, 6, 5. of uint8, and those before .3, 6, 5."),
        ([array()[0], array()[0].astype(float)], "float64, and those before"),
        (5, "cannot read videos from"),
    ]
    for data, why in cases:
        with pytest.raises(DataError, match=why):
            open_source(data, "video")


def test_impossible_options_and_the_missing_library_are_named(tmp_path: Path, monkeypatch: Any) -> None:
    path = write_video(tmp_path / "v_run_g01.mp4", film(8))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"frames": 0}, "frames"),
        ({"stride": -1}, "stride"),
        ({"frames": 9, "window": 8}, "cannot be longer"),
        ({"fps": 0.0}, "fps"),
        ({"channels": 2}, "channels of files must be 1 or 3"),
        ({"layout": "CTHW"}, "layout must be"),
        ({"layout": "THWC"}, "layout is for arrays"),
        ({"pattern": "("}, "no regular expression"),
    ]
    for options, why in cases:
        with pytest.raises(OptionError, match=why):
            open_source(path, **options)
    for name, value in (("pattern", "a"), ("fps", 5.0), ("channels", 3)):
        with pytest.raises(OptionError, match=f"{name} is for files"):
            open_source(array(), "video", **{name: value})
    found = open_source(path, pattern="v_(?P<label>[a-z]+)_(?P<group>g[0-9]+)")
    assert found.classes == ["run"]
    with pytest.raises(OptionError, match="give it or labels"):
        open_source(([path], ["x"]), "video", pattern="(?P<label>v)")
    folder = write_pictures(tmp_path / "frames", film(8))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"tacit\[video\]"):
        open_source(path)
    assert len(open_source(folder, "video")) == 1  # pictures need no more than Pillow


def test_lists_of_paths(tmp_path: Path) -> None:
    paths = [write_video(tmp_path / f"{i}.mp4", film(8)) for i in range(3)]
    assert recognised(paths) == ["video"]
    source = open_source((paths, np.array([2, 0, 1])), "video")
    assert source.labels is not None
    assert source.labels.tolist() == [2, 0, 1]
    with pytest.raises(DataError, match="none of the 1 videos"):
        open_source([tmp_path / "gone.mp4"])


def test_the_spec_and_what_it_reads_again(tmp_path: Path) -> None:
    x = array(40, 8).astype(np.float32) * np.array([1, 2, 3])[:, None, None] / 255
    spec = video.spec_of(open_source(x, "video"))
    assert np.allclose(spec.mean, x.mean((0, 1, 3, 4)), rtol=0.05)
    assert np.allclose(spec.std, x.std((0, 1, 3, 4)), rtol=0.05)
    assert (spec.channels, spec.size, spec.frames, spec.window) == (3, (6, 5), 4, 8)
    assert spec.words() == "colour, clips of 4 of 8 frames at 6x5"
    still = video.spec_of(open_source(np.full((2, 4, 1, 5, 5), 7, np.uint8), "video"))
    assert still.std == (1.0,)
    write_pictures(tmp_path / "a" / "1", film(10, 40, 40))
    write_pictures(tmp_path / "b" / "1", film(10, 60, 90))
    trained = video.spec_of(open_source(tmp_path / "a", "video"))
    other = video.spec_of(open_source(tmp_path / "b", "video", **trained.reading()))
    assert (other.size, other.frames) == (trained.size, trained.frames) == ((40, 40), 5)
