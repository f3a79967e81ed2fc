"""Reading trajectories: tables, array files, dictionaries and lists become one kind of source."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.columns import TABLES, is_frame
from tacit.modalities.looking import Claim, array_problem, ending_of, path_of, shown
from tacit.modalities.trajectory.arrays import ACTIONS, STATES, Episodes, from_episodes, from_mapping, named
from tacit.modalities.trajectory.tables import Columns, from_table
from tacit.sources import Stored, Stretches, as_labels

ENDINGS: tuple[str, ...] = ()
"""None of its own: a table or an array file may hold anything."""
DISCRETE = 64
"""Different whole numbers up to which actions are taken for names of what was done."""


def recognises(data: Any) -> Claim:
    """Named arrays of states and actions are surely trajectories; a table may be."""
    path = path_of(data)
    if is_frame(data) or (path is not None and ending_of(path, TABLES)):
        return Claim.PERHAPS
    if path is not None and path.suffix.lower() == ".npz" and path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
        except (OSError, zipfile.BadZipFile):
            return Claim.NO  # the reader says what is wrong with it
        return Claim.SURE if _has_both(names) else Claim.NO
    first = data[0] if isinstance(data, (list, tuple)) and data else data
    return Claim.SURE if isinstance(first, Mapping) and _has_both(first) else Claim.NO


def _has_both(names: Any) -> bool:
    return named(names, STATES) is not None and named(names, ACTIONS) is not None


def open_source(
    data: Any,
    *,
    episode: str | None = None,
    step: str | None = None,
    state: tuple[str, ...] | str | None = None,
    action: tuple[str, ...] | str | None = None,
    reward: str | None = None,
    label: str | None = None,
    group: str | None = None,
    window: int | None = None,
    discrete: int | None = None,
    delimiter: str | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open trajectories.

    Args:
        data: a ``.csv``, ``.tsv`` or ``.parquet`` table, or one of pandas, polars or PyArrow, with a row a step; an
            ``.npz`` file or a dictionary of arrays called ``state`` (or ``states``, ``observations``, ``obs``),
            ``action`` and ``reward``, of which the last two may be missing; a list of such dictionaries, one an
            episode. Arrays are ``[N, T, k]`` or ``[N, T]``, with ``length`` ``[N]`` where episodes are padded, or
            ``[rows, k]`` of all episodes one after the other, with ``episode`` ``[rows]`` or ``terminals`` and
            ``timeouts`` ``[rows]``, which say where one ends. Besides there may be ``label`` and ``group``, one an
            episode. One state more than there are actions is the one at the end; it is left out.
        episode, step: columns of a table: which episode a row belongs to, and what to order rows by; by default ones
            called ``episode``, ``episode_id`` or ``episode_index``, and ``step``, ``t``, ``frame_index`` or ``time``.
        state, action: columns of a table; by default those whose names begin with ``state`` or ``obs``, and with
            ``action``. A column of lists is as many numbers.
        reward: the column of rewards; by default one called ``reward`` or the like.
        label, group: columns with a label and a group of the episode, the same in all its rows; by default none, and a
            column called ``label``.
        window: episodes of more steps are cut into stretches of at most so many, of about equal length.
        discrete: number of different actions, where they are names; by default whole numbers from 0 to at most 63, one
            a step, are. They become 0s with a 1.
        delimiter: between the columns of a text file.
        progress, once: as for every reader; nothing here takes long.

    Raises:
        DataError: for data that cannot be read; it names the file, and the column or the episode.
        OptionError: for an impossible value of an option.
    """
    for name, value in (("window", window), ("discrete", discrete)):
        if value is not None and value < 1:
            raise OptionError(f"{name} must be at least 1, not {value}")
    path = path_of(data)
    where = f"'{path}'" if path is not None else shown(data)
    columns = Columns(episode, step, _several(state), _several(action), reward, label, group, delimiter)
    if is_frame(data) or (path is not None and ending_of(path, TABLES)):
        found, used = from_table(data, columns)
    else:
        asked = next((name for name, value in vars(columns).items() if value is not None), None)
        if asked is not None:
            raise OptionError(f"{asked} is for tables with named columns, which {where} is not")
        used = {}
        if path is not None:
            found = _from_file(path)
        elif isinstance(data, Mapping):
            found = from_mapping(data, "the dictionary")
        elif isinstance(data, (list, tuple)) and data and all(isinstance(item, Mapping) for item in data):
            found = from_episodes(data, "the list")
        else:
            raise DataError(
                f"cannot read trajectories from {where}; give a table, an .npz, a dictionary or a list of them"
            )
    return _source(found, where, path, used, window, discrete)


def _several(names: tuple[str, ...] | str | None) -> tuple[str, ...] | None:
    return (names,) if isinstance(names, str) else names


def _from_file(path: Path) -> Episodes:
    if path.suffix.lower() != ".npz" or not path.is_file():
        raise DataError(f"cannot read trajectories from '{path}'; give a table ({', '.join(TABLES)}) or an .npz")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return from_mapping({name: archive[name] for name in archive.files}, f"'{path}'")
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read '{path}': {array_problem(path, error)}") from None


def _source(
    found: Episodes, where: str, path: Path | None, used: dict[str, Any], window: int | None, discrete: int | None
) -> Source:
    if not len(found.length):
        raise DataError(f"{where} has no steps")
    action, discrete = _actions(found, where, discrete)
    rows = [found.state, action, found.reward]
    for name, values in zip(("state", "action", "reward"), rows, strict=True):
        bad = ~np.isfinite(values).all(1)
        if bad.any():
            at = int(bad.argmax())
            which = int(np.searchsorted(found.length.cumsum(), at, side="right"))
            begin = int(found.length[:which].sum())
            raise DataError(
                f"{where}: {name} of episode {found.names[which]} is missing or infinite at step {at - begin}; leave "
                "this episode out, or fill the gap"
            )
    flat = torch.from_numpy(np.concatenate(rows, 1).T.astype(np.float32).copy())
    length = torch.from_numpy(found.length)
    start, sample = length.cumsum(0) - length, torch.arange(len(length))
    if window is not None:
        start, length, sample = _windows(start, length, window)
    labels, classes = as_labels(found.label, len(found.length), where) if found.label is not None else (None, None)
    groups = None if found.group is None else as_labels(found.group, len(found.length), f"groups of {where}")[0]
    cut = len(sample) > len(found.length)
    if groups is not None:
        groups = groups[sample]
    elif cut:
        groups = sample
    names = [found.names[i] for i in sample.tolist()]
    if cut:
        names = [f"{name}:{at}" for name, at in zip(names, (start - start[0]).tolist(), strict=True)]
    again = {"window": window, "discrete": discrete, **used}
    facts = {
        "kind": "table" if used else "arrays", "path": str(path) if path is not None else None,
        "state": found.state.shape[1], "action": action.shape[1], "reward": found.reward.shape[1],
        "reading": {name: value for name, value in again.items() if value is not None},
    }  # fmt: skip
    return Stored(
        "trajectory", Stretches(flat, start, length), facts, names=names,
        labels=None if labels is None else labels[sample], classes=classes, groups=groups,
    )  # fmt: skip


def _actions(found: Episodes, where: str, discrete: int | None) -> tuple[np.ndarray, int | None]:
    """Actions as numbers; names of actions as 0s with a 1."""
    action = found.action
    whole = action.shape[1] == 1 and action.dtype.kind in "iub"
    if discrete is None:
        few = whole and len(action) > 0 and int(action.min()) >= 0 and int(action.max()) < DISCRETE
        if not few:
            return action.astype(np.float64), None
        discrete = max(int(action.max()) + 1, 2)
    if not whole or int(action.min()) < 0 or int(action.max()) >= discrete:
        raise DataError(
            f"{where}: actions should be one whole number a step from 0 to {discrete - 1}, and are {action.dtype} "
            f"[{action.shape[1]}]" + (f" up to {action.max()}" if action.size else "")
        )
    return np.eye(discrete)[action[:, 0].astype(np.int64)], discrete


def _windows(start: Tensor, length: Tensor, window: int) -> tuple[Tensor, Tensor, Tensor]:
    """Stretches of at most ``window`` steps: where each begins, how long it is, and of which episode."""
    pieces = -(-length // window)
    sample = torch.arange(len(length)).repeat_interleave(pieces)
    place = torch.arange(len(sample)) - (pieces.cumsum(0) - pieces)[sample]
    begin = place * length[sample] // pieces[sample]
    end = (place + 1) * length[sample] // pieces[sample]
    return start[sample] + begin, end - begin, sample
