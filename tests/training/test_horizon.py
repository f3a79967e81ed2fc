"""Where a training in seconds thinks it will end."""

from __future__ import annotations

import pytest

from tacit.training.horizon import Horizon
from tacit.training.schedules import make_schedule


def run(horizon: Horizon, times: list[float], step: int = 0, elapsed: float = 0.0) -> tuple[list[int], float]:
    """Totals as known before each step, for steps that take ``times`` seconds."""
    totals = []
    for taken in times:
        totals.append(horizon.total(step, elapsed))
        step, elapsed = step + 1, elapsed + taken
        horizon.stepped(elapsed)
    return totals, elapsed


def test_two_slow_first_steps_do_not_count() -> None:
    totals, elapsed = run(Horizon(seconds=60), [7.0, 3.0] + [0.1] * 500)
    assert set(totals[3:]) == {502}
    assert elapsed == pytest.approx(60)


def test_before_the_speed_is_known_no_phase_has_ended() -> None:
    """A first guess of a few steps would anneal at once, and what has begun to anneal goes on to."""
    totals, _ = run(Horizon(seconds=60), [7.0, 3.0, 0.1])
    for name in ("cosine", "infinite"):
        schedule = make_schedule(name, 1.0)
        assert all(schedule.rate(step, total) < 1e-3 for step, total in enumerate(totals))
        assert not any(schedule.branches_at(step, total) for step, total in enumerate(totals))


def test_a_changing_speed_is_followed_and_the_end_is_met() -> None:
    horizon = Horizon(seconds=30)
    totals, elapsed = run(horizon, [5.0, 5.0] + [0.1] * 100 + [0.2] * 50)
    assert elapsed == pytest.approx(30)
    assert horizon.done(152, elapsed + 1e-9)
    assert totals[50] == 202  # as if all steps took 0.1 s
    assert abs(totals[-1] - 152) <= 1
    assert horizon.progress(152, elapsed) == pytest.approx(1)


def test_what_resumes_remembers_the_speed() -> None:
    first = Horizon(seconds=60)
    _, elapsed = run(first, [7.0, 3.0] + [0.1] * 100)
    again = Horizon(seconds=60)
    again.load_state_dict(first.state_dict())
    assert again.total(102, elapsed) == first.total(102, elapsed) == 502
    totals, _ = run(again, [4.0, 1.0] + [0.1] * 10, 102, elapsed)
    assert set(totals[2:]) == {502 - 48}  # five seconds went into two steps that count as 0.1 s each


def test_a_number_of_steps_is_what_it_is() -> None:
    horizon = Horizon(steps=10)
    assert run(horizon, [1.0] * 3)[0] == [10, 10, 10]
    assert not horizon.done(9, 1e9)
    assert horizon.done(10, 0.0)
    with pytest.raises(ValueError, match="steps or of seconds"):
        Horizon(steps=10, seconds=3.0)
