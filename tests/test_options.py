from __future__ import annotations

from typing import Literal

import pytest

from tacit.errors import OptionError
from tacit.options import checked, duration, parse, settle


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("None", None),
        ("(0.2, 1)", (0.2, 1)),
        ("adamw", "adamw"),
    ],
)
def test_text_becomes_the_value_it_means(text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), (30, 30), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "-5m", "0", "5 weeks"])
def test_bad_durations_are_named(text: str) -> None:
    with pytest.raises(OptionError, match="not a duration"):
        duration(text)


@pytest.mark.parametrize(
    ("value", "hint", "result"),
    [
        (1, float, 1.0),
        (2.0, int, 2),
        ([1, 2], tuple[float, float], (1.0, 2.0)),
        ((1, 2, 3), tuple[int, ...], (1, 2, 3)),
        (None, float | None, None),
        ("a", Literal["a", "b"], "a"),
        (True, bool, True),
    ],
)
def test_values_are_fitted_to_their_type(value: object, hint: object, result: object) -> None:
    assert checked(value, hint, "x") == result


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("x", float),
        (1.5, int),
        (True, int),
        (1, bool),
        ((1, 2), tuple[float, float, float]),
        (None, float),
        (3, Literal["a"]),
    ],
)
def test_values_of_the_wrong_type_are_refused(value: object, hint: object) -> None:
    with pytest.raises(OptionError, match="x="):
        checked(value, hint, "x")


def test_an_unknown_option_suggests_the_nearest() -> None:
    def target(*, temperature: float = 0.5, hidden: int = 512) -> None: ...

    assert settle({"hidden": 64}, target, "method simclr") == {"temperature": 0.5, "hidden": 64}
    with pytest.raises(OptionError, match="did you mean 'temperature'"):
        settle({"temprature": 0.1}, target, "method simclr")
