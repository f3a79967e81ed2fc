"""Reading time series: the same numbers from every source, and what is said of those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tacit.cli import main
from tacit.data import order
from tacit.errors import DataError, OptionError
from tacit.modalities import open_source
from tacit.modalities.series.gaps import whole


def ragged(seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(2, size)).astype(np.float32) for size in (5, 9, 3, 7, 9, 4)]


def test_a_batch_of_different_lengths_is_padded_with_zeros() -> None:
    items = ragged()
    source = open_source(items, "series")
    batch = source.batch(torch.tensor([2, 1, 5]))
    assert batch["length"].tolist() == [3, 9, 4]
    assert tuple(batch["x"].shape) == (3, 2, 9)
    for row, place in zip(batch["x"], (2, 1, 5), strict=True):
        size = items[place].shape[1]
        np.testing.assert_array_equal(row[:, :size].numpy(), items[place])
        assert not row[:, size:].any()


def test_arrays_and_array_files_are_the_same(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 3, 8)).astype(np.float32)
    y, group = np.array([0, 1, 0, 1, 2, 2]), np.array([5, 5, 6, 6, 7, 7])
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, y=y, group=group)
    everyone = torch.arange(6)
    for data in (x, torch.from_numpy(x), list(x), tmp_path / "x.npy", tmp_path / "x.npz", (x, y), (x, y, group)):
        batch = open_source(data, "series").batch(everyone)
        np.testing.assert_array_equal(batch["x"].numpy(), x)
        assert "length" not in batch
    labelled = open_source((x, y, group), "series")
    assert labelled.labels is not None
    assert labelled.labels.tolist() == y.tolist()
    assert labelled.batch(torch.tensor([4]))["group"].tolist() == [7]
    assert open_source(tmp_path / "x.npz", "series").groups.tolist() == group.tolist()  # type: ignore[union-attr]
    assert tuple(open_source(x[:, 0], "series").batch(everyone)["x"].shape) == (6, 1, 8)


def wide(rows: int = 20) -> pd.DataFrame:
    return pd.DataFrame(
        {"when": pd.date_range("2024-01-01", periods=rows, freq="h"), "a": np.arange(rows) * 1.0, "b": np.ones(rows)}
    )


def test_a_wide_table_is_cut_into_windows_in_order_of_time(tmp_path: Path) -> None:
    frame = wide()
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "t.csv", index=False)
    shuffled.to_parquet(tmp_path / "t.parquet")
    for data in (shuffled, tmp_path / "t.csv", tmp_path / "t.parquet"):
        source = open_source(data, "series", window=6, stride=4)
        x = source.batch(torch.arange(len(source)))["x"]
        assert x[:, 0, 0].tolist() == [0, 4, 8, 12]
        assert x[1, 0].tolist() == [4, 5, 6, 7, 8, 9]
        assert source.describe()["columns"] == ["a", "b"]


def test_a_long_table_has_a_series_for_each_id(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "who": ["x", "y", "x", "y", "y"],
            "t": [2, 3, 1, 1, 2],
            "v": [20.0, 3.0, 10.0, 1.0, 2.0],
            "kind": ["p", "q", "p", "q", "q"],
        }
    )
    rows.to_csv(tmp_path / "t.csv", index=False)
    source = open_source(tmp_path / "t.csv", "series", id="who", time="t", label="kind")
    assert list(source.names) == ["x", "y"]
    assert source.classes == ["p", "q"]
    batch = source.batch(torch.tensor([0, 1]))
    assert batch["length"].tolist() == [2, 3]
    assert batch["x"][:, 0].tolist() == [[10, 20, 0], [1, 2, 3]]
    assert batch["y"].tolist() == [0, 1]


def test_a_folder_of_tables_has_a_series_for_each_file(tmp_path: Path) -> None:
    for name, length in (("up/a", 4), ("up/b", 6), ("down/c", 5)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pd.DataFrame({"v": np.arange(length)}).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "down" / "broken.csv").write_text("v\n1,2\n")
    source = open_source(tmp_path, "series")
    assert list(source.names) == ["down/c.csv", "up/a.csv", "up/b.csv"]
    assert source.classes == ["down", "up"]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 1, 1]
    assert [name for name, _ in source.skipped] == ["down/broken.csv"]


def test_gaps_are_filled_from_before_and_marked() -> None:
    nan = np.nan
    values = np.array([[nan, 1, nan, nan, 4], [nan] * 5, [1, 2, 3, 4, 5]])
    filled, measured = whole(values, "fill", "data")
    assert filled.tolist() == [[1, 1, 1, 1, 4], [0] * 5, [1, 2, 3, 4, 5]]
    assert measured.tolist() == [[0, 1, 0, 0, 1], [0] * 5, [1] * 5]
    source = open_source(values[None], "series", missing="mask")
    assert source.batch(torch.tensor([0]))["x"].shape[1] == 6
    with pytest.raises(DataError, match="channel 0 has no value at step 0"):
        open_source(values[None], "series", missing="refuse")


def test_an_epoch_in_order_of_length_is_a_permutation_and_pads_little() -> None:
    sizes = np.random.default_rng(0).integers(4, 100, 1000)
    source = open_source([np.zeros((1, size), np.float32) for size in sizes], "series")
    shuffled = order(1000, 0, 3)
    arranged = source.arrange(shuffled, 32)
    assert sorted(arranged.tolist()) == list(range(1000))
    assert torch.equal(arranged, source.arrange(shuffled, 32))
    assert not torch.equal(arranged, source.arrange(order(1000, 0, 4), 32))
    lengths = torch.from_numpy(sizes)

    def padding(index: torch.Tensor) -> int:
        return sum(int((lengths[part].max() - lengths[part]).sum()) for part in index[:992].split(32))

    assert padding(arranged) < padding(shuffled) / 5
    firsts = [int(lengths[part].max()) for part in arranged[:992].split(32)]
    assert firsts != sorted(firsts)


def test_windows_of_one_series_lie_in_groups_side_by_side() -> None:
    source = open_source(wide(2000), "series", window=10)
    groups = source.groups
    assert groups is not None
    assert len(groups.unique()) == 20
    assert (groups.diff() >= 0).all()


BAD: list[tuple[str, str, dict[str, object], str]] = [
    ("semicolons.csv", "a;b\n1;2\n3;4\n", {}, "data.delimiter=';'"),
    ("words.csv", "a,b\n1,x\n2,y\n", {}, "column 'b' is not numeric"),
    ("rows.csv", "a,b\n1,2\n3\n", {}, "Expected 2 columns, got 1"),
    ("latin.csv", "a,b\n1,2\n3,4\n", {"columns": "c"}, "no column 'c'; it has a, b"),
    ("empty.csv", "", {}, "is empty"),
    ("header.csv", "a,b\n", {}, "has no rows"),
    ("short.csv", "a,b\n1,2\n3,4\n", {}, "no series has the 128 time steps"),
    ("infinite.csv", "a,b\n1,2\ninf,4\n", {}, "column 'a' holds infinite numbers"),
    ("void.csv", "a,b\n,2\n,4\n", {}, "column 'a' is empty"),
    ("id.csv", "id,a\n1,2\n,4\n", {"id": "id"}, "column 'id' has 1 empty cells"),
]


@pytest.mark.parametrize(("name", "text", "options", "said"), BAD, ids=[row[0] for row in BAD])
def test_a_table_that_cannot_be_read_is_named(
    name: str, text: str, options: dict[str, object], said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        open_source(tmp_path / name, "series", **options)
    assert said in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_another_encoding_and_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("größe,b\n1,2\n".encode("latin-1"))
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for name, said in (("latin.csv", "UTF-8"), ("cut.parquet", ""), ("cut.npz", ""), ("objects.npy", "Python objects")):
        with pytest.raises(DataError) as error:
            open_source(tmp_path / name, "series")
        assert name in str(error.value)
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "no series in it"),
        ([np.zeros((2, 3)), np.zeros((1, 3))], "series 1 has 1 channels, and those before 2"),
        ([np.zeros((2, 0))], "series 0 is empty"),
        (np.zeros((2, 3, 4, 5)), "[2, 3, 4, 5]"),
        (np.full((2, 1, 4), np.inf), "infinite"),
        ((np.zeros((2, 1, 4)), np.array([0.5, np.nan])), "NaN"),
    ],
)
def test_arrays_that_are_no_series_are_refused(data: object, said: str) -> None:
    with pytest.raises(DataError) as error:
        open_source(data, "series")
    assert said in str(error.value)


def test_options_are_checked() -> None:
    x = np.zeros((4, 1, 8), np.float32)
    for options, said in (
        ({"window": 0}, "window"),
        ({"missing": "guess"}, "missing must be one of fill, mask, refuse"),
        ({"id": "who"}, "id is for tables"),
        ({"windw": 3}, "did you mean 'window'"),
        ({"window": "long"}, "window='long'"),
    ):
        with pytest.raises(OptionError) as error:
            open_source(x, "series", **options)
        assert said in str(error.value)


def test_the_command_names_the_column_and_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    assert main(["pretrain", str(tmp_path / "t.csv"), "--modality", "series", "--steps", "1"]) == 2
    err = capsys.readouterr().err
    assert "column 'b' is not numeric" in err
    assert len(err.strip().splitlines()) == 1


def test_a_run_reads_other_tables_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide(60).to_csv(tmp_path / "t.csv", index=False)
    words = ["pretrain", str(tmp_path / "t.csv"), "--modality", "series", "--set", "data.window=16", "--set"]
    words += ["data.columns=b", "--steps", "1", "--batch-size", "2", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    assert "6 series, 1 channel, 16 time steps" in capsys.readouterr().err
    assert main([*words, "--resume", "--quiet"]) == 0
    out = tmp_path / "e.csv"
    assert main(["embed", str(tmp_path / "run"), str(tmp_path / "t.csv"), "-o", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 7
