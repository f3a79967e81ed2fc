"""Small pictures drawn with numpy: what lies where."""

from __future__ import annotations

import itertools

import numpy as np

from tacit.modalities.drawing import COLOURS, PAPER, dots, heat, lines


def rows_of(picture: np.ndarray, colour: np.ndarray) -> list[tuple[int, int]]:
    """First and last row of a colour in each column."""
    inked = (picture == colour).all(-1)
    return [(int(col.argmax()), len(col) - 1 - int(col[::-1].argmax())) for col in inked.T]


def test_a_line_rises_from_the_bottom_to_the_top() -> None:
    values = np.linspace(-3, 3, 400)[None, None]
    picture = lines(values, None, 40)[0]
    edges = rows_of(picture, COLOURS[0])
    assert edges[0][1] == 39
    assert edges[-1][0] == 0
    for before, now in itertools.pairwise(edges):
        assert now[0] <= before[0]
        assert now[1] >= before[0] - 1  # no holes


def test_what_is_padding_or_missing_is_not_drawn() -> None:
    short = lines(np.zeros((1, 1, 10)), np.arange(10)[None] < 4, 20)[0]
    assert rows_of(short, COLOURS[0]) == [(10, 10)] * 20 or len({r for r, _ in rows_of(short, COLOURS[0])}) == 1
    nothing = lines(np.full((1, 2, 10), np.nan), None, 20)
    assert (nothing == PAPER).all()
    longer = np.pad(np.random.default_rng(0).normal(size=(2, 3, 9)), ((0, 0), (0, 0), (0, 30)))
    valid = np.arange(39) < 9
    both = np.stack([valid, valid])
    assert np.array_equal(lines(longer, both, 32), lines(longer[..., :20], both[:, :20], 32))


def test_extremes_of_a_long_series_are_seen() -> None:
    values = np.zeros((1, 1, 5000))
    values[0, 0, 2503] = 2.9
    picture = lines(values, None, 50)[0]
    assert min(first for first, _ in rows_of(picture, COLOURS[0])) <= 1


def test_dots_lie_where_they_should() -> None:
    xy = np.array([[[0.0, 0.0], [1.0, 1.0], [0.5, 2.0]]])
    picture = dots(xy, np.array([0, 0, 0], np.uint8), None, 11)[0]
    assert {tuple(place) for place in np.argwhere((picture == 0).all(-1))} == {(10, 0), (0, 10), (0, 5)}
    hidden = dots(xy, np.array([0, 0, 0], np.uint8), np.array([[True, False, False]]), 11)[0]
    assert int((hidden == 0).all(-1).sum()) == 1


def test_heat_is_dark_where_it_is_high() -> None:
    picture = heat(np.array([[[0.0, 1.0], [0.5, np.nan]]]), 8, 0.0, 1.0)[0]
    assert picture[:, :, 0].tolist() == [[255, 0], [128, 255]]
    assert heat(np.zeros((2, 100, 30)), 20, 0, 1).shape == (2, 20, 20, 3)
