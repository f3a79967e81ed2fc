"""How far a training goes."""

from __future__ import annotations

import math

FAR = 1_000_000
"""Steps that a training in seconds counts on before it knows how long a step takes."""
SLOW = 2
"""Steps at the start of a process that tell nothing: caches are cold, and kernels are chosen or compiled."""


class Horizon:
    """A number of steps, or seconds from which the number of steps is estimated as the training goes.

    The estimate is the steps that are done and those that the time left is enough for, at the mean speed of all
    steps but the first two of each process.

    Args:
        steps, seconds: the budget, one of them.
    """

    def __init__(self, steps: int | None = None, seconds: float | None = None) -> None:
        if (steps is None) == (seconds is None):
            raise ValueError("a horizon is a number of steps or of seconds")
        self.steps, self.seconds = steps, seconds
        self._timed, self._taken = 0, 0.0  # steps that were timed, and the seconds that they took
        self._seen, self._last = 0, 0.0  # steps of this process, and when the last one ended

    def stepped(self, elapsed: float) -> None:
        """Note that a step has ended, ``elapsed`` seconds after the start of the training."""
        self._seen += 1
        if self._seen > SLOW:
            self._timed += 1
            self._taken += elapsed - self._last
        self._last = elapsed

    def total(self, step: int, elapsed: float) -> int:
        """The number of steps in all, as known after ``step`` of them; always more than ``step``."""
        if self.steps is not None:
            return self.steps
        assert self.seconds is not None
        if not self._timed:
            return step + FAR
        left = max(self.seconds - elapsed, 0.0) * self._timed / max(self._taken, 1e-9)
        return step + max(1, math.ceil(left - 1e-6))

    def done(self, step: int, elapsed: float) -> bool:
        if self.steps is not None:
            return step >= self.steps
        assert self.seconds is not None
        return elapsed >= self.seconds

    def progress(self, step: int, elapsed: float) -> float:
        """0 at the start, 1 at the end."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, elapsed / self.seconds)

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps: the speed so far."""
        return {"timed": self._timed, "taken": self._taken}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self._timed, self._taken = int(state["timed"]), state["taken"]
