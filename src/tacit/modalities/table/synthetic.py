"""Made-up tables whose hidden factors are known exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError

WORLD = 0x7AB1E
"""What columns there are and how they depend on the factors is the same whatever the seed."""
WORDS = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath")
DAYS = 1461
"""Dates lie within four years from the first of January 2020."""


class Made(NamedTuple):
    """A table with all that is true of it.

    Attributes:
        table: ``pyarrow.Table`` of N rows.
        labels: the class of each row, int64 ``[N]``.
        factors: what its columns are made from, in [-1, 1], float64 ``[N, k]``.
        relevant: names of the columns that depend on the factors; the others are independent of everything.
    """

    table: Any
    labels: NDArray[np.int64]
    factors: NDArray[np.float64]
    relevant: tuple[str, ...]


def hidden_factors(
    count: int,
    seed: int = 0,
    *,
    factors: int = 3,
    numbers: int = 18,
    categories: int = 6,
    irrelevant: int = 18,
    classes: int = 6,
    noise: float = 0.4,
    missing: float = 0.05,
) -> Made:
    """Rows whose columns are noisy waves of a few hidden factors, beside columns that mean nothing.

    The factors are uniform in [-1, 1]. A row's class is the nearest of ``classes`` fixed points in their space, so it
    is a function of the factors alone. Each number is a wave along a direction of its own, ``cos(w . factors + phase)``
    with Gaussian noise, some of them on a skewed scale: no single column tells a factor, several together do. A
    category is the interval that such a wave falls into, one row in ten by mistake; a boolean its sign; the date's
    time of year goes round with the first factor while its year is random. Cells are missing at random.

    Args:
        count: number of rows, N.
        seed: of everything but how columns depend on factors, which is always the same.
        factors: k.
        numbers, categories: columns of each sort that depend on the factors; besides there are two booleans and a date.
        irrelevant: columns that do not, a third of them categories.
        classes: number of classes.
        noise: standard deviation of the noise, where the waves have about 0.7.
        missing: share of cells that are missing, in all columns but every third.

    Raises:
        OptionError: for sizes or a share that cannot be.
    """
    if min(factors, classes) < 2 or min(numbers, categories, irrelevant) < 0:
        raise OptionError("a table needs at least two factors and two classes, and no negative number of columns")
    if not 0 <= missing < 1 or noise < 0:
        raise OptionError(f"missing must lie in [0, 1) and noise not be negative, not {missing!r} and {noise!r}")
    import pyarrow as pa

    random, world = np.random.default_rng([seed, WORLD]), np.random.default_rng(WORLD)
    hidden = random.uniform(-1, 1, (count, factors))
    points = _spread(world, classes, factors)
    labels = ((hidden[:, None] - points) ** 2).sum(2).argmin(1)

    def wave(spread: float = noise) -> NDArray[np.float64]:
        direction = world.normal(0, 1, factors)
        direction *= world.uniform(3.0, 5.0) / np.linalg.norm(direction)
        phase = world.uniform(0, 2 * np.pi)
        return np.cos(hidden @ direction + phase) + spread * random.normal(0, 1, count)

    columns: dict[str, Any] = {}
    for i in range(numbers):
        value = wave()
        columns[f"number_{i}"] = np.exp(1.5 * value) * 100 if i % 4 == 3 else value * 10 ** (i % 5) + 5 * i
    for i in range(categories):
        values = 3 + i % (len(WORDS) - 3)
        place = np.digitize(wave(0.0), np.cos(np.pi * np.arange(values - 1, 0, -1) / values))
        wrong = random.uniform(size=count) < 0.1
        place = np.where(wrong, random.integers(0, values, count), place)
        columns[f"category_{i}"] = np.array(WORDS)[place]
    for i in range(2):
        columns[f"boolean_{i}"] = wave() > 0
    around = (hidden[:, 0] + noise / 4 * random.normal(0, 1, count)) / 2 % 1
    columns["date"] = (around + random.integers(0, 4, count)) * DAYS / 4
    relevant = tuple(columns)
    for i in range(irrelevant):
        if i % 3 == 2:
            columns[f"unrelated_{i}"] = np.array(WORDS)[random.integers(0, 5, count)]
        else:
            columns[f"unrelated_{i}"] = random.normal(0, 1, count) if i % 2 else random.exponential(3.0, count)

    made: dict[str, Any] = {}
    for i, (name, values) in enumerate(columns.items()):
        gone = random.uniform(size=count) < missing if i % 3 else np.zeros(count, bool)
        if name == "date":
            values = np.datetime64("2020-01-01", "s") + (values * 86_400).astype("timedelta64[s]")
        made[name] = pa.array(values, mask=gone)
    order = world.permutation(len(made))
    names = list(made)
    return Made(pa.table({names[i]: made[names[i]] for i in order}), labels, hidden, relevant)


def _spread(world: np.random.Generator, count: int, factors: int) -> NDArray[np.float64]:
    """Points in the cube, each the farthest of some random ones from those before it."""
    points = [world.uniform(-0.8, 0.8, factors)]
    for _ in range(count - 1):
        tried = world.uniform(-0.8, 0.8, (64, factors))
        points.append(tried[np.linalg.norm(tried[:, None] - np.array(points), axis=2).min(1).argmax()])
    return np.array(points)


def rows(count: int, seed: int = 0, **options: Any) -> tuple[Any, NDArray[np.int64]]:
    """:func:`hidden_factors` as a table and its labels."""
    made = hidden_factors(count, seed, **options)
    return made.table, made.labels


def sample(count: int = 64, seed: int = 0) -> tuple[Any, NDArray[np.int64]]:
    """A small data set with labels: what ``open_source`` takes."""
    return rows(count, seed, numbers=5, categories=2, irrelevant=3, classes=3)
