"""What every objective shares: precision, checks, and the words for crossing ranks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from tacit.parts import ranks

Crossing = Literal["gather", "sum", "local"]
F = TypeVar("F", bound=Callable[..., Any])


class Objective(nn.Module):
    """A loss on tensors, without state that changes.

    With R ranks of B/R samples, the value averaged over ranks and the averaged gradients are those of one
    rank with B samples, provided that every rank holds equally many.

    An objective of several terms also offers ``terms(*tensors)``: named scalars whose sum is the value, for
    logs.

    Attributes:
        crosses: what it needs of the other ranks: their samples (``gather``), sums of statistics (``sum``),
            or nothing (``local``).
    """

    crosses: ClassVar[Crossing]

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in vars(self).items() if isinstance(v, (int, float)) and k != "training")


def full_precision(compute: F) -> F:
    """Decorate a method of an objective: autocast is off inside, and floating inputs are at least float32."""

    @functools.wraps(compute)
    def wrapped(self: nn.Module, *args: Any, **named: Any) -> Any:
        first = next(value for value in (*args, *named.values()) if isinstance(value, Tensor))
        with torch.autocast(first.device.type, enabled=False):
            return compute(self, *map(widened, args), **{name: widened(value) for name, value in named.items()})

    return cast(F, wrapped)


def widened(value: Any) -> Any:
    """A tensor of a half-precision type as float32; anything else as it is."""
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.half, torch.bfloat16) else value


def check_positive(**values: float) -> None:
    """Make sure that every value is above 0.

    Raises:
        ValueError: for the first that is not, by its name.
    """
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, not {value}")


def check_not_negative(**values: float) -> None:
    """Make sure that every value is at least 0.

    Raises:
        ValueError: for the first that is not, by its name.
    """
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, but is {value}")


def check_pairs(*projections: Tensor) -> int:
    """The number of samples on all ranks, once the projections are known to be ``[B, D]`` and of one shape.

    Raises:
        ValueError: for another rank of tensor, unequal shapes, or fewer than two samples.
    """
    shapes = [tuple(z.shape) for z in projections]
    if len(shapes[0]) != 2 or len(set(shapes)) > 1:
        raise ValueError(f"projections must all have one shape [batch, width], not {', '.join(map(str, shapes))}")
    samples = shapes[0][0] * ranks.world()[1]
    if samples < 2:
        raise ValueError(f"a batch must hold at least 2 samples to compare, not {samples}")
    return samples


def total_of(terms: dict[str, Tensor]) -> Tensor:
    """The sum of named scalars."""
    return torch.stack(list(terms.values())).sum()


def widest(device: torch.device) -> torch.dtype:
    """float64, or float32 where the device has no float64 (MPS): for factorisations and differences of near points."""
    return torch.float32 if device.type == "mps" else torch.float64
