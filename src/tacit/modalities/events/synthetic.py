"""Made-up logs of events whose classes are known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError

MOST = 8
"""Habits that there are."""
START = np.datetime64("2024-01-01", "us")  # a Monday
DAY = 86400.0


def habits(
    count: int,
    seed: int = 0,
    *,
    classes: int = 5,
    kinds: int = 20,
    events: tuple[int, int] = (60, 120),
    order: float = 0.8,
    week: float = 0.7,
    taste: float = 0.5,
    pace: float = 0.3,
    level: float = 0.3,
    first: int = 0,
) -> Any:
    """A log of what people do, whose class is their habit: what follows what, and what on which day of the week.

    An event is one of ``kinds`` and has an amount. A habit says which kind is likely after which (a random permutation
    of the kinds), which kinds are likely on which day of the week, and which kinds cost much. Over all events of a
    class every kind, every day and every amount is as frequent as in any other class, so that neither counts nor
    averages tell the habit. Each person has a taste for some kinds, a pace, a level of amounts and a first day of
    their own, whatever their habit; these do not tell it either.

    Args:
        count: number of persons, N.
        seed: of everything but the habits, which are always the same.
        classes: number of habits, at most eight.
        kinds: number of kinds of event.
        events: a person has from so many to so many.
        order: how much of what comes next is ruled by what was before, in [0, 1).
        week: how much the day of the week rules what is done, in [0, 1).
        taste: standard deviation of the logarithm of a person's liking of each kind.
        pace, level: standard deviations of the logarithms of a person's mean time between events and of the amounts.
        first: number of the first person.

    Returns:
        a ``pyarrow.Table`` in order of time, the events of all persons mixed, with the columns ``entity`` (text),
        ``time``, ``kind`` (text), ``amount`` and ``label`` (the habit, from 0).

    Raises:
        OptionError: for a number or a share out of range.
    """
    import pyarrow as pa

    if not 2 <= classes <= MOST:
        raise OptionError(f"classes must be from 2 to {MOST}, not {classes}")
    if kinds < 3 or not 1 <= events[0] <= events[1]:
        raise OptionError(f"there must be 3 kinds and 1 event at least, not {kinds} and {events!r}")
    for name, value in (("order", order), ("week", week)):
        if not 0 <= value < 1:
            raise OptionError(f"{name} must be at least 0 and below 1, not {value}")
    for name, value in (("taste", taste), ("pace", pace), ("level", level)):
        if value < 0:
            raise OptionError(f"{name} must not be negative, not {value}")
    follows, days, dear = rules(kinds)
    random = np.random.default_rng([seed, first, 0xE7E275])
    y = random.integers(0, classes, count)
    length = random.integers(events[0], events[1] + 1, count)
    steps = int(length.max())
    liking = np.exp(taste * random.normal(size=(count, kinds)))
    waiting = np.exp(random.normal(np.log(0.6), pace, (count, 1)))  # mean days between events
    time = random.uniform(0, 28, (count, 1)) + (waiting * random.exponential(1, (count, steps))).cumsum(1)
    weekday = time.astype(np.int64) % 7
    chance = random.uniform(size=(count, steps))
    kind = np.empty((count, steps), np.int64)
    kind[:, 0] = random.integers(0, kinds, count)
    everyone = np.arange(count)
    for step in range(1, steps):
        likely = np.full((count, kinds), (1 - order) / kinds)
        likely[everyone, follows[y, kind[:, step - 1]]] += order
        likely *= 1 - week + week * kinds * days[y, weekday[:, step]]
        below = (likely * liking).cumsum(1)
        kind[:, step] = (below < chance[:, step, None] * below[:, -1:]).sum(1)
    amount = np.exp(
        random.normal(3, level, (count, 1)) + 0.5 * dear[y[:, None], kind] + random.normal(0, 0.5, kind.shape)
    )
    there = np.arange(steps) < length[:, None]
    person, _ = np.nonzero(there)
    sequence = time[there].argsort(kind="stable")
    when = START + (time[there][sequence] * DAY * 1e6).astype("timedelta64[us]")
    person = person[sequence]
    return pa.table(
        {
            "entity": pa.DictionaryArray.from_arrays(person, [f"person {first + i}" for i in range(count)]).cast(
                "string"
            ),
            "time": when,
            "kind": pa.DictionaryArray.from_arrays(kind[there][sequence], [f"kind {i:02}" for i in range(kinds)]).cast(
                "string"
            ),
            "amount": amount[there][sequence].round(2),
            "label": y[person],
        }
    )


def rules(kinds: int = 20) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """What the habits are, exactly.

    Returns:
        what follows each kind, int64 ``[8, kinds]``, a permutation of them in each habit; the share of each kind on
        each day of the week, ``[8, 7, kinds]``, over all days the same for all kinds; how dear each kind is,
        ``[8, kinds]``, the same numbers in each habit in another order.
    """
    random = np.random.default_rng(0x4AB175)
    follows = np.stack([random.permutation(kinds) for _ in range(MOST)])
    # a kind has one day a week on which it is likely; as many kinds have each day as can be
    day_of = np.stack([random.permutation(kinds) % 7 for _ in range(MOST)])
    on = (day_of[:, None] == np.arange(7)[None, :, None]).astype(np.float64)
    days = 0.3 / kinds + 0.7 * on * 7 / kinds
    dear = np.stack([random.permutation(np.linspace(-1.7, 1.7, kinds)) for _ in range(MOST)])
    return follows, days, dear


def sample(count: int = 64, seed: int = 0) -> Any:
    """A small log with labels: what ``open_source`` takes."""
    return habits(count, seed, classes=4, kinds=8, events=(15, 40))
