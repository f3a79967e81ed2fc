"""Order, intervals and sentences from figures whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tacit.comparison.verdict import agreed, agreement, difference, judged, measured, summary

Rows = dict[int, dict[str, object]]


def rows_of(accuracy: float, jitter: tuple[float, ...] = (0.0, 0.002, -0.001), n: int = 2000, seed: int = 0) -> Rows:
    """Rows of three seeds whose test samples are right with a probability."""
    random = np.random.default_rng(seed)
    hard = random.random(n)
    made: Rows = {}
    for i, off in enumerate(jitter):
        right = hard < accuracy + off
        bits = "".join("01"[int(hit)] for hit in right)
        made[i] = {
            "linear": float(right.mean()), "knn": float(right.mean()), "rankme": 10.0 + i, "uniformity": -1.0,
            "correct": {"linear": bits, "knn": bits},
        }  # fmt: skip
    return made


def test_summary_is_students_interval() -> None:
    values = [0.8, 0.83, 0.79]
    found = summary(values)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    assert summary([0.5]) == {"mean": 0.5, "low": None, "high": None, "values": [0.5]}


def test_shares_stay_shares() -> None:
    rows = {i: {"linear": value, "rankme": 1.0} for i, value in enumerate((0.99, 1.0, 0.9))}
    found = measured(rows)
    assert found["linear"]["high"] == 1.0
    assert list(found) == ["linear", "rankme"]


def test_a_clear_difference_is_told_and_a_small_one_is_not() -> None:
    arms = {"good": rows_of(0.9), "bad": rows_of(0.6), "nearly": rows_of(0.8995)}
    found = judged(arms, {name: rows_of(0.5) for name in arms}, "linear", 3)
    assert found["order"] == ["good", "nearly", "bad"]
    apart = {(p["a"], p["b"]): p["apart"] for p in found["pairs"]}
    assert apart == {("good", "nearly"): False, ("good", "bad"): True, ("nearly", "bad"): True}
    assert found["level"] == pytest.approx(1 - 0.05 / 3)
    said = " ".join(found["sentences"])
    assert "good comes first: linear probe accuracy" in said
    assert "It is better than bad" in said
    assert "cannot be told apart from nearly" in said
    assert "nearly from bad can be told apart" in said
    assert "All of them are better than an untrained encoder" in said


def test_seeds_alone_do_not_tell_where_test_samples_are_few() -> None:
    """Ten test samples, and every seed right on one more of them: no luck of seeds, but luck of samples."""
    few = {
        name: {s: {"linear": k / 10, "correct": {"linear": "1" * k + "0" * (10 - k)}} for s in range(3)}
        for name, k in (("a", 7), ("b", 6))
    }
    row = difference(few["a"], few["b"], "linear", 0.95)
    assert row["seeds"] == [pytest.approx(0.1), pytest.approx(0.1)]
    assert row["samples"][0] <= 0
    assert not row["apart"]


def test_one_seed_tells_nothing() -> None:
    arms = {name: {0: rows_of(value)[0]} for name, value in (("good", 0.9), ("bad", 0.5))}
    found = judged(arms, arms, "linear", 1)
    assert not any(pair["apart"] for pair in found["pairs"])
    assert "One seed cannot tell" in " ".join(found["sentences"])


def test_untrained_encoders_that_are_as_good_are_named() -> None:
    arms = {"a": rows_of(0.9), "b": rows_of(0.7)}
    found = judged(arms, {"a": rows_of(0.5), "b": rows_of(0.75)}, "linear", 3)
    assert "b cannot be shown to be better than an untrained encoder." in found["sentences"]
    assert found["gains"]["b"]["mean"] < 0


def test_without_labels_the_order_is_no_verdict() -> None:
    arms = {
        name: {s: {"rankme": value + s, "uniformity": -1.0} for s in range(3)}
        for name, value in (("a", 5.0), ("b", 50.0))
    }
    found = judged(arms, {}, "rankme", 3)
    assert found["order"] == ["b", "a"]
    assert found["sentences"][0] == "By RankMe the order is b (51.0), then a (6.0)."
    assert "cannot be told which of them is better" in found["sentences"][1]
    assert "no score" in found["sentences"][1]


def test_an_arm_that_never_finished_comes_last() -> None:
    found = judged({"lost": {}, "a": rows_of(0.8), "b": rows_of(0.7)}, {}, "linear", 3)
    assert found["order"] == ["a", "b", "lost"]
    assert "lost did not finish a training and is not ranked." in found["sentences"]
    assert [(p["a"], p["b"]) for p in found["pairs"]] == [("a", "b")]
    assert judged({"lost": {}}, {}, "linear", 3)["sentences"] == ["lost did not finish a training and is not ranked."]


def test_what_foretells_the_order_without_labels() -> None:
    figures = {"a": (0.9, 30, -2, 1.0), "b": (0.8, 40, -1, 1.5), "c": (0.7, 10, -3, 1.8), "d": (0.6, 5, -0.5, 2.5)}
    names = ("linear", "rankme", "uniformity", "loss")
    arms = {
        arm: {s: {name: v + 0.01 * s for name, v in zip(names, row, strict=True)} for s in range(2)}
        for arm, row in figures.items()
    }
    found = agreement(arms | {"lost": {}}, "linear", True)
    columns = list(zip(*figures.values(), strict=True))
    for name, column, sign in (("rankme", columns[1], 1), ("uniformity", columns[2], -1), ("loss", columns[3], -1)):
        assert found[name]["value"] == pytest.approx(sign * stats.spearmanr(columns[0], column).statistic)
        assert found[name]["n"] == 4
    assert found["loss"]["p"] == pytest.approx(2 / 24)
    assert "training loss 1.00 (p 0.08)" in agreed(found, "linear")[0]
    assert set(agreement(arms, "linear", False)) == {"rankme", "uniformity"}
    assert agreement({name: arms[name] for name in "ab"}, "linear", True) == {}
    assert agreement(arms, "rankme", True) == {}
    assert agreed({}, "linear") == []
