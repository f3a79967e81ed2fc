"""What the numbers of a point are: their names, and telling them from a table without names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError

PLACE = ("x", "y", "z")
GROUPS: dict[str, tuple[str, ...]] = {
    "normals": ("nx", "ny", "nz"),
    "colours": ("r", "g", "b"),
    "intensity": ("intensity",),
}
"""Features that belong together, in the order in which samples have them; anything else stands for itself."""
OTHER_NAMES: dict[str, str] = {
    "red": "r", "green": "g", "blue": "b", "diffuse_red": "r", "diffuse_green": "g", "diffuse_blue": "b",
    "normal_x": "nx", "normal_y": "ny", "normal_z": "nz",
    "i": "intensity", "scalar_intensity": "intensity", "reflectance": "intensity", "remission": "intensity",
}  # fmt: skip
UNIT = 0.05
"""How far from 1 the length of a normal may be."""


class Unreadable(Exception):
    """A file that cannot be read; the message is the reason in a few words."""


@dataclass(frozen=True)
class Cloud:
    """One cloud as it was read.

    Attributes:
        names: of the columns, ``x``, ``y`` and ``z`` among them.
        values: float64 or float32 ``[n, k]``.
    """

    names: tuple[str, ...]
    values: NDArray[np.floating]

    def has(self, feature: str) -> bool:
        """Whether it has a feature (a name of :data:`GROUPS` or a column)."""
        return set(parts_of(feature)) <= set(self.names)

    def features(self) -> list[str]:
        """The features that it has: groups first, and then columns that are in none."""
        grouped = [name for name in GROUPS if self.has(name)]
        inside = {*PLACE, *(part for name in grouped for part in GROUPS[name])}
        return grouped + [name for name in self.names if name not in inside]

    def take(self, features: Sequence[str]) -> NDArray[np.floating]:
        """Places and the columns of some features, ``[n, 3 + F]``."""
        wanted = [*PLACE, *(part for name in features for part in parts_of(name))]
        return self.values[:, [self.names.index(name) for name in wanted]]


def parts_of(feature: str) -> tuple[str, ...]:
    """The columns of a feature."""
    return GROUPS.get(feature, (feature,))


def plain_name(name: str) -> str:
    """A column's name as it is known here: ``Red`` is ``r``."""
    name = name.strip().lower()
    return OTHER_NAMES.get(name, name)


def checked_columns(columns: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """Names of columns as an option has them: text with spaces or commas, or one by one; ``-`` is left out.

    Raises:
        OptionError: without x, y and z, or for a name that comes twice.
    """
    if columns is None:
        return None
    parts = columns.replace(",", " ").split() if isinstance(columns, str) else list(columns)
    names = tuple(plain_name(part) for part in parts)
    missing = [name for name in PLACE if name not in names]
    if missing:
        raise OptionError(f"columns must say which are x, y and z; '{' '.join(parts)}' has no {missing[0]}")
    twice = next((name for name in names if name != "-" and names.count(name) > 1), None)
    if twice:
        raise OptionError(f"columns must each be named once; '{' '.join(parts)}' has {twice} twice")
    return names


def named(values: NDArray[np.floating], columns: tuple[str, ...] | None) -> Cloud:
    """A table of points ``[n, k]`` with names for its columns: those given, or what its numbers look like.

    Raises:
        Unreadable: if there are more or fewer columns than names, or it cannot be told what they are.
    """
    count = values.shape[1]
    if columns is None:
        columns = told(values)
    if len(columns) != count:
        raise Unreadable(f"it has {count} columns, and there should be {len(columns)} ({' '.join(columns)})")
    kept = [i for i, name in enumerate(columns) if name != "-"]
    return Cloud(tuple(columns[i] for i in kept), values[:, kept])


def told(values: NDArray[np.floating]) -> tuple[str, ...]:
    """Names of the columns of a table by their number and values.

    Raises:
        Unreadable: for numbers of columns that leave too much to guess.
    """
    count = values.shape[1]
    if count == 3:
        return PLACE
    if count == 4:
        return (*PLACE, "intensity")
    if count in (6, 9):
        found = tuple(_triple(values[:, i : i + 3]) for i in range(3, count, 3))
        if None not in found and len(set(found)) == len(found):
            return (*PLACE, *(name for group in found if group for name in GROUPS[group]))
    raise Unreadable(
        f"it cannot be told what its {count} columns are; say so, e.g. --set data.columns='x y z r g b intensity' "
        "('-' for one to leave out)"
    )


def _triple(values: NDArray[np.floating]) -> str | None:
    finite = values[np.isfinite(values).all(1)]
    if not len(finite):
        return None
    if np.mean(np.abs(np.linalg.norm(finite, axis=1) - 1) < UNIT) > 0.95:
        return "normals"
    return "colours" if finite.min() >= 0 and finite.max() <= 255 else None


def unit_colours(values: NDArray[np.floating], most: float | None) -> NDArray[np.floating]:
    """Colours ``[n, 3]`` in [0, 1]: divided by ``most``, the largest that their type holds, or, where that is not
    known, by 255 if any is above 1 (by 65,535 if any is above 255)."""
    if most is None:
        top = float(np.nanmax(values, initial=0.0))
        most = 1.0 if top <= 1 else 255.0 if top <= 255 else 65535.0
    return values / most
