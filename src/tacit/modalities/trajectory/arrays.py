"""Trajectories from arrays: of one length, padded, of many lengths, or all in a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import DataError

STATES = ("state", "states", "observation", "observations", "obs")
ACTIONS = ("action", "actions")
REWARDS = ("reward", "rewards")
EPISODES = ("episode", "episodes", "episode_id", "episode_ids", "episode_index")
ENDS = ("terminals", "timeouts", "dones", "done", "terminated", "truncated", "terminations", "truncations")
LENGTHS = ("length", "lengths")
LABELS = ("label", "labels", "y", "target", "targets")
GROUPS = ("group", "groups")
"""Names of arrays, in order of preference."""


@dataclass(frozen=True)
class Episodes:
    """Steps of all episodes, one episode after the other.

    Attributes:
        state, action, reward: ``[rows, k]``; a missing one has no columns.
        length: steps of each episode, int64 ``[N]``.
        names: of the episodes.
        label, group: one an episode, or None.
    """

    state: NDArray[Any]
    action: NDArray[Any]
    reward: NDArray[Any]
    length: NDArray[np.int64]
    names: list[str]
    label: Any = None
    group: Any = None


def named(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """The first of the ``wanted`` names that there is."""
    there = set(names)
    return next((name for name in wanted if name in there), None)


def from_mapping(arrays: Mapping[str, Any], where: str) -> Episodes:
    """Episodes from named arrays; see :func:`tacit.modalities.trajectory.open_source`.

    Raises:
        DataError: for arrays that are missing, do not fit or hold no numbers, by their names.
    """
    state = named(arrays, STATES)
    if state is None:
        raise DataError(f"{where} has no array named {', '.join(STATES)}; it has {', '.join(map(str, arrays))}")
    parts = {"state": state, "action": named(arrays, ACTIONS), "reward": named(arrays, REWARDS)}
    if _is_list(arrays[state]):
        count = len(arrays[state])
        for name in parts.values():
            if name is not None and len(arrays[name]) != count:
                raise DataError(f"{where}: there are {count} episodes of {state} and {len(arrays[name])} of {name}")
        rows = [{n: arrays[n][i] for n in parts.values() if n is not None} for i in range(count)]
        found = from_episodes(rows, where)
    else:
        whole = {part: _array(arrays[name], f"{where}: {name}") for part, name in parts.items() if name is not None}
        if (name := named(arrays, EPISODES)) is not None:
            found = _by_number(whole, np.asarray(arrays[name]), name, where)
        elif any(name in arrays for name in ENDS):
            found = _by_ends(whole, {name: np.asarray(arrays[name]) for name in ENDS if name in arrays}, where)
        else:
            found = _padded(whole, named(arrays, LENGTHS), arrays, where)
    label, group = (None if n is None else arrays[n] for n in (named(arrays, LABELS), named(arrays, GROUPS)))
    for name, value in (("label", label), ("group", group)):
        if value is not None and len(value) != len(found.length):
            raise DataError(
                f"{where}: there are {len(found.length)} episodes and {len(value)} of {name}; give one an episode"
            )
    return Episodes(found.state, found.action, found.reward, found.length, found.names, label, group)


def from_episodes(episodes: Sequence[Mapping[str, Any]], where: str) -> Episodes:
    """Episodes from a dictionary each.

    Raises:
        DataError: naming the episode, for arrays that are missing or differ in length or width.
    """
    made: dict[str, list[NDArray[Any]]] = {"state": [], "action": [], "reward": []}
    lengths: list[int] = []
    labels: list[Any] = []
    for i, episode in enumerate(episodes):
        here = f"{where}, episode {i}"
        names = {"state": STATES, "action": ACTIONS, "reward": REWARDS}
        found = {part: named(episode, wanted) for part, wanted in names.items()}
        if found["state"] is None:
            raise DataError(f"{here} has no array named {', '.join(STATES)}; it has {', '.join(map(str, episode))}")
        rows = {p: _wide(_array(episode[n], f"{here}: {n}"), f"{here}: {n}") for p, n in found.items() if n is not None}
        rows = _without_end(rows)
        size = len(rows["state"])
        if not size:
            raise DataError(f"{here} has no steps")
        for part, values in made.items():
            row = rows.get(part, np.zeros((size, 0)))
            if len(row) != size:
                raise DataError(f"{here}: there are {size} states and {len(row)} of {part}; give one a step")
            if values and row.shape[1] != values[0].shape[1]:
                raise DataError(f"{here}: {part} has {row.shape[1]} numbers a step, and before it {values[0].shape[1]}")
            values.append(row)
        lengths.append(size)
        name = named(episode, LABELS)
        labels += [] if name is None else [episode[name]]
    if labels and len(labels) != len(lengths):
        raise DataError(f"{where}: {len(labels)} of {len(lengths)} episodes have a label; give all or none of them one")
    state, action, reward = (np.concatenate(values) for values in made.values())
    return Episodes(state, action, reward, *_counted(lengths), np.asarray(labels) if labels else None)


def _counted(lengths: Sequence[int] | NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    return np.asarray(lengths, np.int64), [str(i) for i in range(len(lengths))]


def _is_list(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and bool(values) and hasattr(values[0], "shape")


def _array(values: Any, where: str) -> NDArray[Any]:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where} should hold numbers, not {array.dtype} of shape {list(array.shape)}")
    return array


def _wide(array: NDArray[Any], where: str) -> NDArray[Any]:
    """``[T]`` as ``[T, 1]``."""
    if array.ndim not in (1, 2):
        raise DataError(f"{where} of an episode should be [T, k] or [T], not of shape {list(array.shape)}")
    return array[:, None] if array.ndim == 1 else array


def _without_end(rows: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    if "action" in rows and len(rows["state"]) == len(rows["action"]) + 1:
        rows["state"] = rows["state"][:-1]
    return rows


def _padded(whole: dict[str, NDArray[Any]], lengths: str | None, arrays: Mapping[str, Any], where: str) -> Episodes:
    """Arrays ``[N, T, k]``."""
    shaped = {}
    for part, array in whole.items():
        if array.ndim not in (2, 3):
            raise DataError(
                f"{where}: {part} should be [N, T, k] or [N, T], not of shape {list(array.shape)}; rows of all "
                f"episodes one after the other need an array named {EPISODES[0]} or {ENDS[0]}"
            )
        shaped[part] = array[..., None] if array.ndim == 2 else array
    state = shaped["state"]
    if "action" in shaped and state.shape[1] == shaped["action"].shape[1] + 1:
        state = shaped["state"] = state[:, :-1]
    count, steps = state.shape[:2]
    for part, array in shaped.items():
        if array.shape[:2] != (count, steps):
            raise DataError(
                f"{where}: state has {count} episodes of {steps} steps, and {part} {array.shape[0]} of {array.shape[1]}"
            )
    length = np.full(count, steps)
    if lengths is not None:
        length = np.asarray(arrays[lengths]).astype(np.int64)
        if length.shape != (count,) or (length < 1).any() or (length > steps).any():
            raise DataError(
                f"{where}: {lengths} should be {count} numbers from 1 to {steps}, the steps of each episode"
            )
    real = np.arange(steps) < length[:, None]
    parts = [shaped[p][real] if p in shaped else np.zeros((int(real.sum()), 0)) for p in ("state", "action", "reward")]
    state, action, reward = parts
    return Episodes(state, action, reward, *_counted(length))


def _in_a_row(whole: dict[str, NDArray[Any]], rows: int, what: str, where: str) -> list[NDArray[Any]]:
    parts = []
    for part in ("state", "action", "reward"):
        array = _wide(whole[part], f"{where}: {part}") if part in whole else np.zeros((rows, 0))
        if len(array) != rows:
            raise DataError(f"{where}: there are {rows} rows of {what} and {len(array)} of {part}; give one a step")
        parts.append(array)
    return parts


def _by_number(whole: dict[str, NDArray[Any]], episode: NDArray[Any], name: str, where: str) -> Episodes:
    """Rows of all episodes, in order of their steps, with the number of the episode of each."""
    if episode.ndim != 1:
        raise DataError(f"{where}: {name} should be [rows], not of shape {list(episode.shape)}")
    parts = _in_a_row(whole, len(episode), name, where)
    which, first, number = np.unique(episode, return_index=True, return_inverse=True)
    rank = first.argsort().argsort()  # in order of first appearance
    order = rank[number].argsort(kind="stable")
    names = [str(value) for value in which[first.argsort()]]
    state, action, reward = (part[order] for part in parts)
    return Episodes(state, action, reward, np.bincount(rank[number]).astype(np.int64), names)


def _by_ends(whole: dict[str, NDArray[Any]], ends: dict[str, NDArray[Any]], where: str) -> Episodes:
    """Rows of all episodes with marks at the last of each; what comes after the last mark is an episode too."""
    rows = len(whole["state"])
    last = np.zeros(rows, bool)
    for name, marks in ends.items():
        if marks.shape != (rows,):
            raise DataError(
                f"{where}: there are {rows} states and {name} of shape {list(marks.shape)}; give one a step"
            )
        last |= marks.astype(bool)
    parts = _in_a_row(whole, rows, "state", where)
    edges = np.flatnonzero(last) + 1
    edges = np.unique(np.concatenate([[0], edges, [rows]]))
    state, action, reward = parts
    return Episodes(state, action, reward, *_counted(np.diff(edges)))
