"""Learning rates against their equations."""

import math
from itertools import pairwise

import pytest

from tacit import registry
from tacit.errors import OptionError
from tacit.training.schedules import Infinite, make_schedule


def rates(schedule, total):
    return [schedule.rate(step, total) for step in range(total)]


def card(n, peak, const, floor, w, c, d, t, shape):
    """The equations as published, with p the share of a phase."""
    if n <= w:
        return peak * n / w
    if n <= c:
        p = (n - w) / (c - w)
        if shape == "cosine":
            return const + (peak - const) / 2 * (1 + math.cos(math.pi * p))
        if shape == "linear":
            return peak - (peak - const) * p
        return peak + (const - peak) * ((1 + 10 * p) ** -0.5 - 1) / (11**-0.5 - 1)
    if n <= d:
        return const
    return const * (floor / const) ** ((n - d) / t)


@pytest.mark.parametrize("shape", ["cosine", "linear", "inverse-sqrt"])
def test_infinite_follows_its_equation(shape):
    schedule = make_schedule("infinite", 2e-3, constant=0.25, floor=0.01, shape=shape)
    expected = [card(n, 2e-3, 5e-4, 2e-5, 50, 150, 800, 200, shape) for n in range(1, 1001)]
    assert rates(schedule, 1000) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", ["cosine", "linear", "inverse-sqrt"])
def test_infinite_meets_its_joints_and_has_no_jumps(shape):
    total = 10_000
    schedule = make_schedule("infinite", 1.0, constant=0.4, floor=0.02, shape=shape)
    values = rates(schedule, total)
    ends = schedule.phases(total)
    assert ends == (500, 1500, 8000, 10_000)
    assert values[ends.warmup - 1] == pytest.approx(1.0)
    assert max(values) == pytest.approx(1.0)
    assert values[ends.cooldown - 1] == pytest.approx(0.4)
    assert set(values[ends.cooldown : ends.constant]) == {0.4}
    assert values[-1] == pytest.approx(0.02)
    steepest = 0.6 * 5 / (1 - 11**-0.5) / 1000  # the inverse square root's slope where it starts
    assert max(abs(a - b) for a, b in pairwise(values)) <= steepest
    assert schedule.rate(total + 50, total) == pytest.approx(0.02)


def test_lengths_may_be_steps():
    a = make_schedule("infinite", 1.0, warmup=50, cooldown=150, anneal=200)
    assert a.phases(1000) == make_schedule("infinite", 1.0).phases(1000)
    assert a.phases(5000) == (50, 150, 4800, 5000)
    assert a.phases(250) == (50, 50, 50, 250)


def test_a_continued_training_stays_constant_until_it_branches():
    schedule = make_schedule("infinite", 1.0, continued=True, constant=0.5)
    values = rates(schedule, 100)
    assert set(values[:80]) == {0.5}
    assert values[80] < 0.5
    assert values[-1] == pytest.approx(0.01)
    assert [schedule.phase(s, 100) for s in (0, 79, 80, 99, 100)] == [
        "constant", "constant", "anneal", "anneal", "done",
    ]  # fmt: skip


def test_phases_of_a_first_training():
    schedule = make_schedule("infinite", 1.0)
    names = [schedule.phase(s, 100) for s in range(100)]
    assert [names.count(n) for n in ("warmup", "cooldown", "constant", "anneal")] == [5, 10, 65, 20]
    assert names == sorted(names, key=["warmup", "cooldown", "constant", "anneal"].index)


def test_it_branches_once_at_the_end_of_the_constant_phase():
    schedule = make_schedule("infinite", 1.0)
    assert [s for s in range(100) if schedule.branches_at(s, 100)] == [80]
    assert not any(make_schedule("infinite", 1.0, anneal=0).branches_at(s, 100) for s in range(100))
    assert not any(make_schedule("cosine", 1.0).branches_at(s, 100) for s in range(100))


def test_annealing_goes_on_when_the_total_is_estimated_anew():
    schedule = make_schedule("infinite", 1.0, constant=0.5)
    assert schedule.branches_at(80, 100)
    assert schedule.phase(81, 1000) == "anneal"
    assert schedule.phases(120).constant == 80
    assert schedule.rate(119, 120) == pytest.approx(0.01)
    assert schedule.branches_at(80, 120)
    assert not schedule.branches_at(81, 120)


def test_annealing_can_start_at_any_step():
    schedule = make_schedule("infinite", 1.0, constant=0.5, floor=0.05)
    schedule.start_annealing(30, 10)
    values = rates(schedule, 100)
    assert values[29] == 0.5
    assert values[30:40] == pytest.approx([0.5 * 0.1 ** (k / 10) for k in range(1, 11)])
    assert values[40:] == pytest.approx([0.05] * 60)
    early = make_schedule("infinite", 1.0)
    early.start_annealing(0)
    assert early.rate(99, 100) == pytest.approx(0.01)


def test_state_survives_a_restart():
    a = make_schedule("infinite", 1.0, continued=True)
    a.start_annealing(30, 10)
    b = make_schedule("infinite", 1.0)
    b.load_state_dict(a.state_dict())
    assert rates(a, 100) == rates(b, 100)
    assert b.continued


@pytest.mark.parametrize("total", [1, 2, 3, 7])
@pytest.mark.parametrize("name", ["cosine", "infinite", "constant"])
def test_short_trainings_have_sane_rates(name, total):
    assert all(0 <= r <= 0.1 for r in rates(make_schedule(name, 0.1), total))


def test_no_warmup_is_allowed():
    assert make_schedule("infinite", 1.0, warmup=0, constant=0.5).rate(0, 1000) == pytest.approx(1.0, abs=1e-3)
    assert make_schedule("constant", 0.3).rate(0, 10) == 0.3


def test_cosine_rises_and_falls():
    values = rates(make_schedule("cosine", 2.0, warmup=10, floor=0.1), 110)
    assert values[:10] == pytest.approx([0.2 * n for n in range(1, 11)])
    assert values[59] == pytest.approx(1.1)
    assert values[-1] == pytest.approx(0.2)
    assert values[9:] == sorted(values[9:], reverse=True)


def test_cosine_is_the_same_for_every_task():
    first, second = make_schedule("cosine", 1.0), make_schedule("cosine", 1.0, continued=True)
    assert rates(first, 50) == rates(second, 50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup": 0.2, "cooldown": 0.1}, "cooldown"),
        ({"warmup": 100, "cooldown": 50}, "cooldown"),
        ({"floor": 0.0}, "floor"),
        ({"floor": 0.5, "constant": 0.3}, "floor"),
        ({"constant": 0.0}, "constant"),
        ({"constant": 1.5}, "constant"),
        ({"warmup": -1}, "warmup"),
        ({"anneal": 1.5}, "anneal"),
        ({"shape": "sqrt"}, "inverse-sqrt"),
        ({"warmpu": 3}, "'warmup'"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        make_schedule("infinite", 1.0, **options)


def test_other_bad_input():
    with pytest.raises(OptionError, match="'cosine'"):
        make_schedule("cosin", 1.0)
    with pytest.raises(OptionError, match="lr"):
        make_schedule("cosine", float("nan"))
    with pytest.raises(OptionError, match="step=-1"):
        make_schedule("infinite", 1.0).rate(-1, 10)
    with pytest.raises(OptionError, match="length"):
        Infinite(1.0).start_annealing(5, 0)


def test_infinite_is_registered():
    assert registry.find("infinite", "schedule") is Infinite
