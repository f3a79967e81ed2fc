"""Small groups of changes that leave an image an image: quarter turns, and orders of the colours."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from tacit.errors import OptionError, unknown

Group = Literal[
    "rotation", "rotation2", "colour", "colour3", "rotation2-colour3", "rotation-colour3", "rotation-colour"
]
"""Quarter turns (4) or half turns (2), orders of red, green and blue (6, or the 3 cyclic ones), and their products."""

PLAIN = (0, 1, 2)
TURNS = {"rotation": (0, 1, 2, 3), "rotation2": (0, 2)}
ORDERS = {"colour": tuple(itertools.permutations(PLAIN)), "colour3": ((0, 1, 2), (1, 2, 0), (2, 0, 1))}


@dataclass(frozen=True)
class Change:
    """One element: ``turns`` quarter turns against the clock, then the channels in the given ``order``."""

    turns: int = 0
    order: tuple[int, ...] = PLAIN

    def __call__(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` changed, of the same shape.

        Raises:
            OptionError: for a quarter turn of what is not square, or an order of colours where there are not three.
        """
        if self.turns % 2 and x.shape[2] != x.shape[3]:
            raise OptionError(
                f"quarter turns need square images, not {x.shape[2]}x{x.shape[3]}; use transformations=rotation2"
            )
        if self.order != PLAIN:
            if x.shape[1] != 3:
                raise OptionError(f"orders of colours need 3 channels, not {x.shape[1]}; use transformations=rotation")
            x = x[:, list(self.order)]
        return torch.rot90(x, self.turns, (2, 3)) if self.turns else x


def changes(group: str) -> list[Change]:
    """The elements of a group by name, the identity first.

    Raises:
        OptionError: for an unknown name.
    """
    if group not in get_args(Group):
        raise unknown("group of transformations", group, get_args(Group))
    parts = group.split("-")
    turns = next((TURNS[part] for part in parts if part in TURNS), (0,))
    orders = next((ORDERS[part] for part in parts if part in ORDERS), (PLAIN,))
    return [Change(turn, order) for turn, order in itertools.product(turns, orders)]
