"""Files that are something else than their names say, by command: one line that names the file and says what it is."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tacit.cli import main
from tacit.errors import DataError
from tacit.modalities import modality, open_source
from tacit.modalities.delimited import check_utf8
from tacit.modalities.looking import array_problem

ARRAYS = {
    ".npy": ("series", "table", "volume", "image", "video"),
    ".npz": ("series", "table", "trajectory", "volume", "image", "video", "graph", "several"),
}
TEXTS = {"series": "a,b\n1,2\n", "events": "user,time,kind\nu,1,a\n", "text": "text,label\nhello,1\n"}
TABLES = ("series", "table", "events", "trajectory", "text", "graph", "several")
LONG = "user,time,kind\n" + "u,1,a\nv,2,b\n" * 50


def refusal(capfd: Any, path: Path, kind: str) -> str:
    """The one line of ``tacit pretrain`` on a file."""
    assert main(["pretrain", str(path), "--modality", kind, "--out", str(path.parent / "run")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    assert path.name in err
    return err


@pytest.mark.parametrize(("ending", "kind"), [(e, kind) for e, kinds in ARRAYS.items() for kind in kinds])
def test_files_of_arrays_that_are_none(ending: str, kind: str, tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / f"x{ending}"
    objects: dict[str, Any] = {"x": np.array([{}], object)}
    contents = {
        "is no file of NumPy arrays": np.random.default_rng(0).bytes(300),
        "is empty": b"",
        "holds Python objects": pickle.dumps([1, 2]),
        "is damaged or has been cut short": b"\x93NUMPY\x01\x00\x10\x00abc" if ending == ".npy" else b"PK\x03\x04" * 9,
    }
    for why, content in contents.items():
        path.write_bytes(content)
        assert f"it {why}" in refusal(capfd, path, kind)
    np.save(path, objects["x"], allow_pickle=True) if ending == ".npy" else np.savez(path, **objects)
    assert "Python objects" in refusal(capfd, path, kind)


def test_why_an_array_file_cannot_be_read(tmp_path: Path) -> None:
    whole = tmp_path / "x.npy"
    np.save(whole, np.zeros(100))
    whole.write_bytes(whole.read_bytes()[:300])
    with pytest.raises(ValueError) as error:
        np.load(whole)
    assert array_problem(whole, error.value) == "it is damaged or has been cut short"
    assert array_problem(tmp_path / "none.npy", error.value) == "there is no such file"


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_tables_in_wide_encodings(kind: str, encoding: str, tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(LONG.encode(encoding))
    assert f"it is {encoding[:6].upper()} text; save it as UTF-8" in refusal(capfd, path, kind)


def test_bytes_that_no_text_has(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(LONG.replace("b", "\0").encode())
    with pytest.raises(DataError, match="its byte 25 is 0"):
        check_utf8(path)
    path.write_bytes(b"\xef\xbb\xbf" + LONG.encode())
    check_utf8(path)
    path.write_bytes(b"")
    check_utf8(path)


@pytest.mark.parametrize("kind", ["series", "table", "trajectory", "text"])
def test_columns_with_spaces_between(kind: str, tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a b c\n" + "1 2.5 -3e-4\n" * 20)
    assert "looks like several; say --set data.delimiter=' '" in refusal(capfd, path, kind)


def test_prose_is_one_column(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("the text\n" + "good morning\nwell it is 5\n3 days\n" * 5)
    assert len(open_source(path, "text")) == 15


def test_the_value_that_is_no_number_is_told(tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n3,\n5,hello\n")
    assert "column 'b' is not numeric (it holds string, e.g. 'hello' in row 3)" in refusal(capfd, path, "series")


def test_a_damaged_file_of_torch_gets_one_line(tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "x.pt"
    torch.save({"edge_index": torch.zeros(2, 3)}, path)
    content = path.read_bytes()
    for damaged, why in (
        (content[: len(content) // 2], "it is damaged or has been cut short"),
        (b"", "it is empty"),
        (b"junk" * 99, "it is no file of torch"),
        (pickle.dumps({"a": Path("x")}), "data.pickle=true"),
    ):
        path.write_bytes(damaged)
        assert why in refusal(capfd, path, "graph")


def test_text_files_of_graphs(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "T_graph_indicator.txt").write_text("1\n1\n")
    path = tmp_path / "T_A.txt"
    for content, why in ((b"", "is empty"), ("1, 2\n2, 1\n".encode("utf-16"), "it is UTF-16 text; save it as UTF-8")):
        path.write_bytes(content)
        said = refusal(capfd, tmp_path, "graph")
        assert why in said
        assert "T_A.txt" in said


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("kind", "sides", "said"),
    [
        ("volume", (8, 8, 8), "these volumes have {} channels"),
        ("series", (30,), "these series have {} channels"),
        ("image", (12, 12), "these images have {} channels"),
        ("video", (6, 12, 12), "these videos have {} channels"),
        ("audio", (400,), "these recordings have {} channels"),
        ("trajectory", (30,), "these steps have {} numbers"),
    ],
)
def test_another_number_of_channels_than_the_encoder_is_for(
    kind: str, sides: tuple[int, ...], said: str, count: int
) -> None:
    package = modality(kind)
    means = {"mean": (0.0, 0.0), "std": (1.0, 1.0)}
    facts: dict[str, Any] = {
        "volume": {"channels": 2, "size": sides, "spacing": (1.0, 1.0, 1.0)} | means,
        "series": {"channels": 2, "length": 30, "ragged": False} | means,
        "image": {"channels": 2, "size": sides} | means,
        "video": {"channels": 2, "size": sides[1:], "frames": 3, "window": 6} | means,
        "audio": {
            "rate": 400,
            "channels": 2,
            "length": 400,
            "ragged": False,
            "scale": 1.0,
            "level": 0.0,
            "spread": 1.0,
        },
        "trajectory": {"state": 1, "action": 1, "reward": 0, "length": 30, "ragged": False} | means,
    }[kind]
    views = package.evaluation_view(package.Spec(**facts))
    assert len(views({"x": torch.rand(2, 2, *sides), "index": torch.arange(2)})) == 1
    with pytest.raises(DataError, match=said.format(count) + ", and the encoder is for 2"):
        views({"x": torch.rand(2, count, *sides), "index": torch.arange(2)})


def test_an_mp3_file_is_looked_at_before_it_is_decoded(tmp_path: Path, capfd: Any) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "x.mp3"
    soundfile.write(str(path), np.random.default_rng(0).normal(0, 0.1, 30_000), 16_000)
    content = path.read_bytes()
    assert len(open_source(path)) == 1
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + content)
    assert len(open_source(path)) == 1
    for damaged, why in (
        (content[: len(content) // 2], "it has been cut short"),
        (np.random.default_rng(1).bytes(3000), "it has no frames of MPEG audio in it"),
    ):
        path.write_bytes(damaged)
        assert why in refusal(capfd, path, "audio")


def test_what_was_left_out_is_told_where_too_little_is_left(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "data").mkdir()
    for name, text in (("a", "x,y\n" + "1,2\n" * 9), ("b", "x;y\n1;2\n")):
        (tmp_path / "data" / f"{name}.csv").write_text(text)
    said = refusal(capfd, tmp_path / "data", "series")
    assert "training needs at least 2 samples, and there is 1; skipped 1 unreadable files, the first: b.csv" in said
    gif = tmp_path / "x.gif"
    gif.write_bytes(b"GIF89a" + bytes(20))
    assert "--modality video if it moves" in refusal(capfd, gif, "image")
    assert "none of the 1 videos" in refusal(capfd, gif, "video")
