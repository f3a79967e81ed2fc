"""Learning rates over a training.

A schedule is asked for the rate of the next step with ``rate(step, total)``: ``step`` steps are done, so the
rate is that of step ``n = step + 1`` of ``total``, and the last step has the schedule's final value.
``total`` may change while a training goes on (a budget in seconds), so boundaries are kept as shares of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

from tacit.errors import OptionError, unknown
from tacit.options import settle
from tacit.registry import register

Shape = Literal["cosine", "linear", "inverse-sqrt"]


class Schedule(ABC):
    """A learning rate over a training.

    Args:
        lr: peak rate, positive or 0.

    Attributes:
        continued: whether the training started from an earlier one's weights and optimiser state.
    """

    def __init__(self, lr: float) -> None:
        if not (math.isfinite(lr) and lr >= 0):
            raise OptionError(f"lr must be a finite number that is not negative, not {lr}")
        self.lr = lr
        self.continued = False

    @abstractmethod
    def rate(self, step: int, total: int) -> float:
        """Learning rate of the next step, after ``step`` of ``total`` are done."""

    def branches_at(self, step: int, total: int) -> bool:
        """Whether the weights and optimiser state after ``step`` steps are those that a later training
        continues."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps besides the step."""
        return {"continued": self.continued}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.continued = state["continued"]


class Constant(Schedule):
    """The same rate throughout, after a linear warm-up.

    Args:
        lr: the rate.
        warmup: share of the training below 1, or steps.
    """

    def __init__(self, lr: float, *, warmup: float = 0.0) -> None:
        super().__init__(lr)
        self.warmup = _length("warmup", warmup)

    def rate(self, step: int, total: int) -> float:
        _count(step, total)
        rise = _steps(self.warmup, total)
        return self.lr * min(1.0, (step + 1) / rise) if rise else self.lr


class WarmupCosine(Schedule):
    """Linear warm-up, then half a cosine down to the floor.

    A continued training warms up again: one of these a task is the repeated cosine that the infinite schedule
    is compared with.

    Args:
        lr: peak rate, reached at the end of the warm-up.
        warmup: share of the training below 1, or steps.
        floor: the last rate as a share of ``lr``, in [0, 1].
    """

    def __init__(self, lr: float, *, warmup: float = 0.05, floor: float = 0.0) -> None:
        super().__init__(lr)
        self.warmup = _length("warmup", warmup)
        if not 0 <= floor <= 1:
            raise OptionError(f"floor must be a share of lr in [0, 1], not {floor}")
        self.floor = floor

    def rate(self, step: int, total: int) -> float:
        _count(step, total)
        n, rise = step + 1, _steps(self.warmup, total)
        if n <= rise:
            return self.lr * n / rise
        progress = min(1.0, (n - rise) / max(total - rise, 1))
        return self.lr * (self.floor + (1 - self.floor) * _fall(progress, "cosine"))


class Phases(NamedTuple):
    """The last step of each phase of the infinite schedule (N_w, N_c, N_d, N_d + T_a)."""

    warmup: int
    cooldown: int
    constant: int
    anneal: int


@register(
    "infinite",
    kind="schedule",
    family="learning-rate",
    modalities=("any",),
    title=("Beyond Cosine Decay: On the effectiveness of Infinite Learning Rate Schedule for Continual Pre-training"),
    year=2025,
    url="https://arxiv.org/abs/2503.02844",
    basis="reading",
)
class Infinite(Schedule):
    """Warm-up, cooldown to a constant rate, and a short annealing as a branch off it.

    With n the step, p the share of the phase that is done, and f falling from 1 to 0 by cosine, line or
    inverse square root::

        warm-up   lr * n / N_w                                  n <= N_w
        cooldown  constant + (lr - constant) * f(p)             N_w < n <= N_c
        constant  constant                                      N_c < n <= N_d
        anneal    constant * (floor / constant) ** p            N_d < n <= N_d + T_a, and floor after it

    The weights and optimiser state at N_d are what a later training continues from; it stays at the constant
    rate from its first step on and branches off in the same way at its end. What was annealed is never
    continued.

    Lengths are shares of the training below 1 and steps from 1 on. Where they do not fit in a short training,
    annealing keeps its length and the earlier phases are cut.

    Args:
        lr: peak rate, positive.
        warmup: length of the warm-up (N_w).
        cooldown: end of the cooldown (N_c), from the start of the training; not before the end of the
            warm-up.
        anneal: length of the annealing (T_a); 0 for none.
        constant: the constant rate as a share of ``lr``, in (0, 1].
        floor: the last rate as a share of ``lr``, in (0, ``constant``].
        shape: of the cooldown: ``cosine``, ``linear`` or ``inverse-sqrt``.
    """

    def __init__(
        self,
        lr: float,
        *,
        warmup: float = 0.05,
        cooldown: float = 0.15,
        anneal: float = 0.2,
        constant: float = 0.3,
        floor: float = 0.01,
        shape: Shape = "cosine",
    ) -> None:
        super().__init__(lr)
        self.warmup, self.cooldown = _length("warmup", warmup), _length("cooldown", cooldown)
        self.anneal = _length("anneal", anneal)
        if lr == 0:
            raise OptionError("lr of the infinite schedule must be positive, not 0")
        if (warmup < 1) == (cooldown < 1) and cooldown < warmup:
            raise OptionError(f"cooldown ({cooldown}) must not end before the warm-up does (warmup={warmup})")
        if not 0 < constant <= 1:
            raise OptionError(f"constant must be a share of lr in (0, 1], not {constant}")
        if not 0 < floor <= constant:
            raise OptionError(f"floor must be a share of lr in (0, constant={constant}], not {floor}")
        if shape not in ("cosine", "linear", "inverse-sqrt"):
            raise unknown("shape", shape, ("cosine", "linear", "inverse-sqrt"))
        self.constant, self.floor, self.shape = constant, floor, shape
        self.annealing_from: int | None = None
        self.annealing_length: int | None = None

    def phases(self, total: int) -> Phases:
        """Where the phases of a training of ``total`` steps end."""
        _count(0, total)
        if self.annealing_from is None:
            end = total
            start = total - min(_steps(self.anneal, total), total)
        else:
            start = self.annealing_from
            end = max(total, start + 1) if self.annealing_length is None else start + self.annealing_length
        if self.continued:
            return Phases(0, 0, start, end)
        cool = min(_steps(self.cooldown, total), start)
        return Phases(min(_steps(self.warmup, total), cool), cool, start, end)

    def phase(self, step: int, total: int) -> str:
        """Name of the phase that the next step belongs to; ``done`` after the annealing."""
        ends = self.phases(total)
        return next((name for name, end in zip(ends._fields, ends, strict=True) if step < end), "done")

    def rate(self, step: int, total: int) -> float:
        _count(step, total)
        n, ends = step + 1, self.phases(total)
        constant = self.constant * self.lr
        if n <= ends.warmup:
            return self.lr * n / ends.warmup
        if n <= ends.cooldown:
            progress = (n - ends.warmup) / (ends.cooldown - ends.warmup)
            return constant + (self.lr - constant) * _fall(progress, self.shape)
        if n <= ends.constant or ends.anneal == ends.constant:
            return constant
        progress = min(1.0, (n - ends.constant) / (ends.anneal - ends.constant))
        return constant * (self.floor / self.constant) ** progress

    def start_annealing(self, step: int, length: int | None = None) -> None:
        """Anneal from now on, whatever the plan was.

        Args:
            step: steps done so far (N_d).
            length: steps to the floor (T_a); by default all that are left.
        """
        if step < 0 or (length is not None and length < 1):
            raise OptionError(f"annealing needs step >= 0 and length >= 1, not step={step}, length={length}")
        self.annealing_from, self.annealing_length = step, length

    def branches_at(self, step: int, total: int) -> bool:
        """Whether the annealing starts after ``step`` steps.

        Once it has started it goes on, also if ``total`` is later estimated anew.
        """
        if self.annealing_from is None and 0 < self.phases(total).constant <= step < total:
            self.start_annealing(step)
        return self.annealing_from == step

    def state_dict(self) -> dict[str, Any]:
        annealing = {"annealing_from": self.annealing_from, "annealing_length": self.annealing_length}
        return super().state_dict() | annealing

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.annealing_from, self.annealing_length = state["annealing_from"], state["annealing_length"]


SCHEDULES: dict[str, type[Schedule]] = {"cosine": WarmupCosine, "infinite": Infinite, "constant": Constant}


def make_schedule(name: str, lr: float, *, continued: bool = False, **options: Any) -> Schedule:
    """A schedule by name.

    Args:
        name: one of :data:`SCHEDULES`.
        lr: peak rate.
        continued: whether the training continues an earlier one's weights and optimiser state.
        options: the schedule's own.

    Raises:
        OptionError: for an unknown name or option, or an impossible value.
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    schedule = SCHEDULES[name](lr, **settle(options, SCHEDULES[name], f"schedule {name}", skip=1))
    schedule.continued = continued
    return schedule


def _fall(progress: float, shape: Shape) -> float:
    """From 1 at 0 to 0 at 1."""
    if shape == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    if shape == "linear":
        return 1 - progress
    bend = 10.0
    return 1 - (1 / math.sqrt(1 + bend * progress) - 1) / (1 / math.sqrt(1 + bend) - 1)


def _length(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0) or (value > 1 and value != int(value)):
        raise OptionError(f"{name} must be a share of the training below 1 or a number of steps, not {value}")
    return value


def _steps(length: float, total: int) -> int:
    return round(length * total) if length < 1 else int(length)


def _count(step: int, total: int) -> None:
    if step < 0 or total < 1:
        raise OptionError(f"a schedule needs step >= 0 and total >= 1, not step={step} and total={total}")
