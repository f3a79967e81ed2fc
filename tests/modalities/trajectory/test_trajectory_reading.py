"""Reading trajectories: the same numbers from every source, and what is said of those that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities import modality, open_source, recognised

LENGTHS = (4, 6, 3, 6)


def episodes(seed: int = 0) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [
        {
            "state": random.normal(size=(steps, 2)).astype(np.float32),
            "action": random.normal(size=(steps, 1)).astype(np.float32),
            "reward": random.normal(size=steps).astype(np.float32),
        }
        for steps in LENGTHS
    ]


def wanted(items: list[dict[str, np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate([item["state"], item["action"], item["reward"][:, None]], 1).T for item in items]


def check(source: Source, expected: list[np.ndarray]) -> None:
    batch = source.batch(torch.arange(len(source)))
    assert len(source) == len(expected)
    lengths = batch["length"].tolist() if "length" in batch else [batch["x"].shape[2]] * len(source)
    assert lengths == [x.shape[1] for x in expected]
    for found, x in zip(batch["x"], expected, strict=True):
        np.testing.assert_allclose(found[:, : x.shape[1]].numpy(), x, rtol=1e-6)
        assert not found[:, x.shape[1] :].any()


def frame(items: list[dict[str, np.ndarray]]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "episode": f"run {i}",
                "step": range(len(item["state"])),
                "state_x": item["state"][:, 0],
                "state_v": item["state"][:, 1],
                "action": item["action"][:, 0],
                "reward": item["reward"],
                "label": i % 2,
            }
        )
        for i, item in enumerate(items)
    ]
    return pd.concat(parts, ignore_index=True)


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    items = episodes()
    expected = wanted(items)
    flat = {name: np.concatenate([item[name] for item in items]) for name in items[0]}
    number = np.repeat([7, 3, 9, 1], LENGTHS)
    padded = {
        "observations": np.full((4, 6, 2), np.nan),
        "actions": np.full((4, 6, 1), np.nan),
        "rewards": np.full((4, 6), np.nan),
        "length": np.array(LENGTHS),
    }
    for i, item in enumerate(items):
        for name, key in (("observations", "state"), ("actions", "action"), ("rewards", "reward")):
            padded[name][i, : LENGTHS[i]] = item[key]
    ends = np.zeros(19, bool)
    ends[[3, 12]] = True
    timeouts = np.zeros(19, bool)
    timeouts[9] = True
    flat_ends = {"observations": flat["state"], "actions": flat["action"], "rewards": flat["reward"]}
    flat_ends |= {"terminals": ends, "timeouts": timeouts}
    lists = {name: [item[name] for item in items] for name in items[0]}
    np.savez(tmp_path / "flat.npz", **flat_ends)
    np.savez(tmp_path / "padded.npz", **padded)
    table = frame(items)
    table.sample(frac=1, random_state=0).sort_values("episode", kind="stable").to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet")
    for data in (
        items, lists, padded, flat | {"episode": number}, flat_ends, tmp_path / "flat.npz", tmp_path / "padded.npz",
        {name: torch.from_numpy(value) for name, value in flat.items()} | {"episode": number},
    ):  # fmt: skip
        assert recognised(data)[0] == "trajectory"
        check(open_source(data), expected)
    for data in (table, tmp_path / "a.csv", tmp_path / "a.parquet"):
        source = open_source(data, "trajectory")
        check(source, expected)
        assert source.labels is not None
        assert source.labels.tolist() == [0, 1, 0, 1]
        assert list(source.names) == [f"run {i}" for i in range(4)]
        spec = modality("trajectory").spec_of(source)
        check(open_source(data, "trajectory", **spec.reading()), expected)


def test_columns_of_lists_are_as_many_numbers(tmp_path: Path) -> None:
    items = episodes()
    flat = {name: np.concatenate([item[name] for item in items]) for name in items[0]}
    for kind in (pa.list_(pa.float32()), pa.list_(pa.float32(), 2)):
        table = pa.table(
            {
                "observation.state": pa.array(flat["state"].tolist(), kind),
                "action": flat["action"][:, 0],
                "reward": flat["reward"],
                "episode_index": np.repeat(range(4), LENGTHS),
                "frame_index": np.concatenate([np.arange(n) for n in LENGTHS]),
            }
        )
        parquet.write_table(table, tmp_path / "lists.parquet")
        check(open_source(tmp_path / "lists.parquet", "trajectory"), wanted(items))
    ragged = table.set_column(0, "observation.state", pa.array([[0.0]] * 3 + [[0.0, 1.0]] * 16))
    with pytest.raises(DataError, match=r"column 'observation\.state' have from 1 to 2"):
        open_source(ragged, "trajectory")


def test_a_state_more_than_actions_is_the_end() -> None:
    items = episodes()
    longer = [item | {"state": np.concatenate([item["state"], np.full((1, 2), 9.0)])} for item in items]
    check(open_source(longer), wanted(items))
    whole = {"state": np.zeros((3, 6, 2)), "action": np.ones((3, 5, 1))}
    assert open_source(whole).batch(torch.arange(3))["x"].shape == (3, 3, 5)


def test_whole_numbers_are_names_of_actions() -> None:
    random = np.random.default_rng(0)
    action = random.integers(0, 4, (5, 7))
    data = {"state": random.normal(size=(5, 7, 2)), "action": action}
    source = open_source(data)
    x = source.batch(torch.arange(5))["x"]
    np.testing.assert_array_equal(x[:, 2:].numpy().argmax(1), action)
    assert (x[:, 2:].sum(1) == 1).all()
    spec = modality("trajectory").spec_of(source)
    other = open_source({"state": data["state"], "action": action % 2}, **spec.reading())
    assert modality("trajectory").spec_of(other).action == spec.action == 4
    with pytest.raises(DataError, match="from 0 to 1"):
        open_source(data, discrete=2)
    assert open_source(data | {"action": action * 100}).describe()["action"] == 1


def test_windows_are_all_of_an_episode_in_parts_of_about_one_length() -> None:
    random = np.random.default_rng(0)
    states = [random.normal(size=(n, 1)).astype(np.float32) for n in (3, 10, 7)]
    source = open_source({"state": states, "action": [np.zeros((len(s), 1)) for s in states], "y": [0, 1, 2]}, window=4)
    batch = source.batch(torch.arange(len(source)))
    sizes = batch["length"].tolist()
    assert max(sizes) <= 4
    assert source.groups is not None
    assert source.labels is not None
    assert source.labels.tolist() == source.groups.tolist()
    for i, state in enumerate(states):
        own = [batch["x"][j, 0, : sizes[j]].numpy() for j in range(len(source)) if source.groups[j] == i]
        np.testing.assert_array_equal(np.concatenate(own), state[:, 0])
        assert max(map(len, own)) - min(map(len, own)) <= 1


def test_states_alone_will_do() -> None:
    source = open_source({"state": np.random.default_rng(0).normal(size=(4, 5))}, "trajectory")
    spec = modality("trajectory").spec_of(source)
    assert spec.parts == (1,)
    assert spec.words() == "5 steps of state [1]"


def bad(**change: Any) -> dict[str, Any]:
    return {"state": np.zeros((3, 4, 2)), "action": np.zeros((3, 4, 1))} | change


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"pixels": np.zeros((2, 3))}, "no array named state"),
        (bad(action=np.zeros((3, 2, 1))), r"state has 3 episodes of 4 steps, and action 3 of 2"),
        (bad(action=np.array([["a"] * 4] * 3)), "action should hold numbers"),
        (bad(length=np.array([4, 0, 2])), "length should be 3 numbers from 1 to 4"),
        (bad(state=np.zeros((3, 4, 2, 2))), "should be"),
        (bad(label=[1, 2]), "3 episodes and 2 of label"),
        (bad(state=np.full((3, 4, 2), np.nan)), "state of episode 0 is missing or infinite at step 0"),
        ({"state": np.zeros((3, 2)), "episode": np.zeros(5)}, "5 rows of episode and 3 of state"),
        (bad(terminals=np.zeros(5)), "terminals of shape"),
        ([{"state": np.zeros((3, 2))}, {"state": np.zeros((3, 1))}], "episode 1: state has 1 numbers a step"),
        ([{"state": np.zeros((3, 2)), "reward": np.zeros(2)}], "there are 3 states and 2 of reward"),
        ([{"state": np.zeros((0, 2))}], "episode 0 has no steps"),
        ([{"state": np.zeros((2, 1)), "label": 1}, {"state": np.zeros((2, 1))}], "1 of 2 episodes have a label"),
        (np.zeros((3, 4, 5)), "cannot read trajectories"),
    ],
)
def test_bad_arrays_are_named(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_source(data, "trajectory")


def test_a_gap_is_named_by_its_episode_and_step() -> None:
    items = episodes()
    items[2]["action"][1] = np.inf
    with pytest.raises(DataError, match="action of episode 2 is missing or infinite at step 1"):
        open_source(items)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda f: f.drop(columns="episode"), {}, "no column named episode"),
        (lambda f: f.drop(columns="step"), {}, "no column named step"),
        (lambda f: f.drop(columns=["state_x", "state_v"]), {}, "no columns named state"),
        (lambda f: f, {"state": ("position",)}, "no column 'position'"),
        (lambda f: f.assign(state_x="far"), {}, "column 'state_x' is not numeric"),
        (lambda f: f.assign(step=0), {}, "two rows of step 0"),
        (lambda f: f, {"label": "reward"}, "column 'reward' changes within episode run 0"),
    ],
)
def test_bad_columns_are_named(change: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_source(change(frame(episodes())), "trajectory", **options)


def test_damaged_files_and_files_with_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, state=np.zeros((2, 3, 1)), action=np.zeros((2, 3, 1)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot read '.*a\.npz'"):
        open_source(path, "trajectory")
    np.savez(path, state=np.array([{"a": 1}], dtype=object), action=np.zeros(1))
    with pytest.raises(DataError, match="Python objects"):
        open_source(path, "trajectory")
    with pytest.raises(DataError, match=r"a table .* or an \.npz"):
        modality("trajectory").open_source(tmp_path / "a.txt")


def test_options_that_cannot_be_are_refused() -> None:
    for options in ({"window": 0}, {"discrete": 0}, {"step": "t"}):
        with pytest.raises(OptionError):
            open_source(episodes(), "trajectory", **options)
