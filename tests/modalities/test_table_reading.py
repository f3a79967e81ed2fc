"""Reading tables: against what pandas and NumPy wrote, and with everything that can be wrong."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import tacit
from tacit.modalities import open_source, recognised, table
from tacit.modalities.looking import Claim


def people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [20.0, 40.0, None, 60.0, 30.0, 50.0],
            "visits": [1, 5, 2, 2, 9, 3],
            "city": ["Rome", "Oslo", "Rome", None, "Bonn", "Rome"],
            "member": [True, False, True, True, False, True],
            "since": pd.to_datetime(["2020-01-01", "2021-07-01", "2020-03-01", None, "2022-01-01", "2020-02-02"]),
            "nothing": [None] * 6,
            "same": [3] * 6,
            "row": range(6),
            "kind": ["a", "b", "a", "b", "a", "b"],
        }
    )


def features(data: Any, **options: Any) -> tuple[Any, torch.Tensor]:
    source = open_source(data, "table", **options)
    return source, source.batch(torch.arange(len(source)))["x"]


def by_name(source: Any, x: torch.Tensor, name: str) -> tuple[Any, np.ndarray]:
    """A column and its features, ``[N, width]``."""
    schema = source.store.schema
    i = [column.name for column in schema.columns].index(name)
    return schema.columns[i], x[:, schema.layout.column_of == i].numpy()


def test_numbers_are_standard_scores_with_a_flag_for_what_is_missing() -> None:
    source, x = features(people(), label="kind")
    frame = people()
    column, age = by_name(source, x, "age")
    expected = (frame.age - frame.age.mean()) / frame.age.std(ddof=0)
    assert column.missing
    np.testing.assert_allclose(age[:, 0], expected.fillna(0), atol=1e-6)
    np.testing.assert_array_equal(age[:, 1], frame.age.isna().astype(float))
    column, visits = by_name(source, x, "visits")
    assert not column.missing
    np.testing.assert_allclose(visits[:, 0], (frame.visits - frame.visits.mean()) / frame.visits.std(ddof=0), atol=1e-6)


def test_categories_and_booleans_are_centred_one_hot_features_of_total_variance_one() -> None:
    source, x = features(people(), label="kind")
    column, city = by_name(source, x, "city")
    hot = pd.get_dummies(people().city).to_numpy(float)  # in alphabetical order, a row of zeros where missing
    real = ~people().city.isna().to_numpy()
    share = hot[real].mean(0)
    assert column.values == ("Bonn", "Oslo", "Rome")
    np.testing.assert_allclose(city[real, :3], (hot[real] - share) / np.sqrt(1 - (share**2).sum()), atol=1e-6)
    assert city[real, :3].var(0).sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(city[~real], [[0, 0, 0, 1]])
    assert by_name(source, x, "member")[0].values == ("false", "true") or by_name(source, x, "member")[0].values == (
        "False",
        "True",
    )


def test_dates_are_taken_apart() -> None:
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=37 * i) for i in range(30)]
    source, x = features(pd.DataFrame({"day": pd.to_datetime(days), "other": np.random.default_rng(0).normal(size=30)}))
    column, found = by_name(source, x, "day")
    assert column.parts == ("since", "year-sine", "year-cosine", "week-sine", "week-cosine")  # all at midnight
    number = np.array([(day - datetime.date(1970, 1, 1)).days for day in days], float)
    for i, values in enumerate((number, np.sin(2 * np.pi * number / 365.2425), np.cos(2 * np.pi * number / 365.2425))):
        np.testing.assert_allclose(
            found[:, i] * np.sqrt(5), (values - values.mean()) / values.std(), rtol=1e-4, atol=1e-4
        )
    assert found.var(0).sum() == pytest.approx(1, abs=1e-4)
    hours = pd.DataFrame({"at": pd.to_datetime(["2020-01-01 03:00", "2020-01-02 15:00", "2020-05-01 09:30"])})
    assert "day-sine" in open_source(hours, "table").store.schema.columns[0].parts


def test_other_types_of_numbers_and_times_are_read() -> None:
    times = pd.to_datetime(["2020-01-01 01:00", "2020-01-02 13:00", "2020-03-01 05:30"])
    frame = pd.DataFrame(
        {
            "zoned": times.tz_localize("Europe/Rome"),
            "taken": times - times[0],
            "clock": [at.time() for at in times],
            "small": np.array([3, 1, 2], np.uint8),
            "level": pd.Categorical([3, 1, 3]),
        }
    )
    source, x = features(frame)
    assert {c.name: c.sort for c in source.store.schema.columns} == {
        "zoned": "date", "taken": "number", "clock": "number", "small": "number", "level": "category",
    }  # fmt: skip
    seconds = frame.taken.dt.total_seconds()
    np.testing.assert_allclose(
        by_name(source, x, "taken")[1][:, 0], (seconds - seconds.mean()) / seconds.std(ddof=0), atol=1e-5
    )
    clock = np.array([3600.0, 13 * 3600, 5.5 * 3600])
    np.testing.assert_allclose(by_name(source, x, "clock")[1][:, 0], (clock - clock.mean()) / clock.std(), atol=1e-5)


def test_large_numbers_keep_their_differences() -> None:
    values = 1_600_000_000 + np.arange(50.0) ** 2  # float32 would see steps of 128
    source, x = features(pd.DataFrame({"stamp": values, "b": np.arange(50) % 7}))
    np.testing.assert_allclose(
        by_name(source, x, "stamp")[1][:, 0], (values - values.mean()) / values.std(), rtol=1e-5, atol=1e-6
    )


def test_columns_that_say_nothing_are_left_out_and_listed() -> None:
    frame = people().assign(name=[f"person {i}" for i in range(6)])
    longer = pd.concat([frame] * 10, ignore_index=True)
    longer["name"], longer["row"] = [f"person {i}" for i in range(60)], range(60)
    source = open_source(longer, "table")
    assert set(source.describe()["left_out"]) == {"nothing", "same", "row", "name"}
    kept = open_source(longer, "table", categorical=("name", "visits"), leave_out="age")
    sorts = {column.name: column.sort for column in kept.store.schema.columns}
    assert sorts["name"] == sorts["visits"] == "category"
    assert "age" not in sorts


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "frame", "arrow"])
def test_every_format_gives_the_same_rows(ending: str, tmp_path: Path) -> None:
    frame = people().drop(columns="nothing")
    path = tmp_path / f"people.{ending}"
    data: Any = path
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif ending == "parquet":
        frame.to_parquet(path)
    elif ending == "frame":
        data = frame
    else:
        data = pa.Table.from_pandas(frame, preserve_index=False)
    source, x = features(data, label="kind")
    expected_source, expected = features(frame, label="kind")
    assert [c.name for c in source.store.schema.columns] == [c.name for c in expected_source.store.schema.columns]
    torch.testing.assert_close(x, expected)
    assert source.classes == ["a", "b"]
    assert source.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert recognised(data)[0] == "table"


def test_arrays_and_array_files(tmp_path: Path) -> None:
    rows, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    rows[3, 1] = np.nan
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "a.npz", X=rows, y=y, group=np.arange(20) // 5)
    _, expected = features(rows)
    for data in (torch.from_numpy(rows), tmp_path / "a.npy", tmp_path / "a.npz", (rows, y)):
        torch.testing.assert_close(features(data)[1], expected)
        assert table.recognises(data) is Claim.SURE
        assert recognised(data)[0] == "table"
    assert table.recognises((rows, rows)) is Claim.PERHAPS
    archive = open_source(tmp_path / "a.npz", "table")
    assert archive.labels.tolist() == y.tolist()
    assert archive.groups.tolist() == (np.arange(20) // 5).tolist()
    assert expected.shape == (20, 4)


def test_a_folder_is_one_table_in_parts(tmp_path: Path) -> None:
    frame = people().drop(columns="nothing")
    frame[:4].to_csv(tmp_path / "a.csv", index=False)
    frame[4:].to_csv(tmp_path / "b.csv", index=False)
    (tmp_path / "c.csv").write_text("x,y\n1,2\n")
    (tmp_path / "d.parquet").write_bytes(b"PAR1 but no more")
    source, x = features(tmp_path)
    assert [name for name, _ in source.skipped] == ["c.csv", "d.parquet"]
    torch.testing.assert_close(x, features(frame)[1])


def test_other_data_is_read_as_the_first_was() -> None:
    source, x = features(people(), label="kind")
    reading = table.spec_of(source).reading()
    reading = json.loads(json.dumps(reading))  # as it comes from a run's configuration
    part = people()[2:5].drop(columns="kind")[::-1]
    again, y = features(part, **reading)
    torch.testing.assert_close(y, x[[4, 3, 2]])
    assert again.labels is None
    reordered = people()[["kind", "since", "age", "member", "city", "visits"]]
    torch.testing.assert_close(features(reordered, **reading)[1], x)
    assert features(reordered, **reading)[0].classes == ["a", "b"]


def test_unseen_categories_count_as_missing_or_as_rare_ones(capsys: pytest.CaptureFixture[str]) -> None:
    source, _ = features(people())
    reading = table.spec_of(source).reading()
    other = people().assign(city="Atlantis", member=True)
    again, x = features(other, **reading)
    assert by_name(again, x, "city")[1].tolist() == [[0, 0, 0, 1]] * 6
    assert again.describe()["unseen"] == {"city": 6}
    assert "'city' has 6 cells" in capsys.readouterr().err
    few, x = features(pd.DataFrame({"word": list("aaabbbccdeaaabbbcc")}), categories=2)
    column, _ = by_name(few, x, "word")
    assert len(column.values) == 3
    assert sum(column.shares) == pytest.approx(1)
    unknown, z = features(pd.DataFrame({"word": list("ezc")}), **table.spec_of(few).reading())
    assert (by_name(unknown, z, "word")[1].argmax(1) == 2).all()
    assert z.isfinite().all()


def test_an_unseen_category_without_missing_cells_is_the_mean() -> None:
    source, _ = features(pd.DataFrame({"word": list("aabbabab"), "n": range(8, 0, -1)}))
    _, x = features(pd.DataFrame({"word": ["z"], "n": [4.5]}), **table.spec_of(source).reading())
    torch.testing.assert_close(x, torch.zeros(1, 3))


def test_labels_of_every_sort() -> None:
    frame = people().drop(columns="nothing")
    assert open_source(frame, "table", label="visits").labels.dtype == torch.int64
    assert open_source(frame.fillna({"age": 1.5}), "table", label="age").labels.dtype == torch.float32
    assert open_source(frame.astype({"kind": "category"}), "table", label="kind").classes == ["a", "b"]
    assert open_source((frame, list("aabbcc")), "table").classes == ["a", "b", "c"]
    assert open_source(frame, "table", group="kind").groups.tolist() == [0, 1, 0, 1, 0, 1]
    reading = table.spec_of(open_source(frame, "table", label="kind")).reading()
    half = open_source(frame[frame.kind == "b"], "table", **reading)
    assert half.labels.tolist() == [1, 1, 1]
    with pytest.raises(tacit.TacitError, match="label 'c' was not there"):
        open_source(frame.assign(kind="c"), "table", **reading)
    with pytest.raises(tacit.TacitError, match="'age' of labels has 1 empty"):
        open_source(frame, "table", label="age")
