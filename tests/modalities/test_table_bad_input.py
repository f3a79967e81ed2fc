"""Tables that cannot be read are told in words, and what is no table is not claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import tacit
from tacit.modalities import open_source, table
from tacit.modalities.looking import Claim


def people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [20.0, 40.0, None, 60.0],
            "visits": [1, 5, 2, 2],
            "city": ["Rome", "Oslo", "Rome", None],
            "since": pd.to_datetime(["2020-01-01", "2021-07-01", "2020-03-01", None]),
        }
    )


WRONG = {
    "delimiter": ("a;b;c\n1;2;3\n4;5;6\n", r"data.delimiter=';'"),
    "delimiter in rows too": ("a;b\n1,5;2,5\n3,5;4,5\n", r"data.delimiter=';'"),
    "tabs": ("a\tb\n1\t2\n3\t4\n", r"data.delimiter='\\t'"),
    "ragged": ("a,b\n1,2\n3\n", "cannot read"),
    "no rows": ("a,b\n", "has no rows"),
    "empty": ("", "is empty"),
    "two of one name": ("a,a\n1,2\n2,1\n", "several columns named 'a'"),
    "stray text": ("a,b\n" + "".join(f"{i / 7},{i % 3}\n" for i in range(40)) + "oops,1\n", "also 'oops'"),
    "decimal comma": ('a;b\n"1,5";1\n"2,5";2\n"4,25";1\n', "decimal comma"),
    "nothing to learn": ("a\n1\n1\n", "no column to learn from"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_text_files_are_told_in_words(case: str, tmp_path: Path) -> None:
    text, message = WRONG[case]
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    options = {"delimiter": ";"} if case == "decimal comma" else {}
    with pytest.raises(tacit.TacitError, match=message) as caught:
        open_source(path, "table", **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_errors_advise_works(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a;b\n"1,5";1\n"2,5";7\n"4,25";3\n')
    x = open_source(path, "table", delimiter=";", decimal=",").batch(torch.arange(3))["x"]
    values = np.array([1.5, 2.5, 4.25])
    np.testing.assert_allclose(x[:, 0], (values - values.mean()) / values.std(), rtol=1e-5)
    path.write_text("a,b\n" + "".join(f"{i / 7},{i % 3}\n" for i in range(40)) + "oops,1\n")
    assert open_source(path, "table", missing="oops").batch(torch.tensor([40]))["x"][0, :2].tolist() == [0, 1]


def test_wrong_encodings_and_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("a,b\nMünchen,1\nKöln,2\n".encode("latin-1"))
    with pytest.raises(tacit.TacitError, match=r"latin.csv.*UTF-8"):
        open_source(tmp_path / "latin.csv", "table")
    people().to_parquet(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    np.savez(tmp_path / "a.npz", x=np.eye(3))
    archive = (tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    for name, data in (("half.parquet", content[: len(content) // 2]), ("half.npz", archive[:100])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(tacit.TacitError, match=name):
            open_source(tmp_path / name, "table")
    with pytest.raises(tacit.TacitError, match="Python objects"):
        open_source(tmp_path / "objects.npy", "table")


def test_wrong_columns_are_named() -> None:
    frame = people()
    for options, message in (
        ({"label": "kin"}, "no column 'kin'"),
        ({"columns": "ages"}, "no column 'ages'"),
        ({"leave_out": "x"}, "no column 'x'"),
        ({"categories": 1}, "at least 2"),
    ):
        with pytest.raises(tacit.TacitError, match=message):
            open_source(frame, "table", **options)
    reading = table.spec_of(open_source(frame, "table")).reading()
    with pytest.raises(tacit.TacitError, match="no column 'visits'"):
        open_source(frame.drop(columns="visits"), "table", **reading)
    with pytest.raises(tacit.TacitError, match="'visits' is not numeric"):
        open_source(frame.assign(visits=list("abcd")), "table", **reading)
    with pytest.raises(tacit.TacitError, match="'since' should hold dates"):
        open_source(frame.assign(since=1.0), "table", **reading)
    with pytest.raises(tacit.TacitError, match=r"'visits' holds infinite numbers \(row 2\)"):
        open_source(frame.assign(visits=[1.0, np.inf, 2, 3]), "table")
    with pytest.raises(tacit.TacitError, match=r"'tags' holds list.*leave_out=tags"):
        open_source(frame.assign(tags=[[1, 2]] * 4), "table")
    with pytest.raises(tacit.TacitError, match="mixed"):
        open_source(frame.assign(mixed=pd.Series([1, "a", {}, 2], dtype=object)), "table")
    with pytest.raises(tacit.TacitError, match="holds numbers, not"):
        open_source(np.array([["a", "b"]]), "table")
    with pytest.raises(tacit.TacitError, match=r"\[N, D\]"):
        open_source(np.zeros((2, 3, 4)), "table")


def test_what_is_no_table_is_not_claimed(tmp_path: Path) -> None:
    for data in (np.zeros((2, 3, 4)), np.zeros(3), [np.zeros(3)], "nowhere.wav", object(), tmp_path):
        assert table.recognises(data) is Claim.NO
