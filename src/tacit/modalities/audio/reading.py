"""Reading sound: files, folders, lists and arrays become one kind of source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.audio.decode import ENDINGS
from tacit.modalities.audio.files import RATE, read_files
from tacit.modalities.audio.folders import listed
from tacit.modalities.audio.recording import Samples, check_finite
from tacit.modalities.audio.stores import Sought
from tacit.modalities.looking import Claim, are_paths, ending_of, path_of, shown
from tacit.modalities.naming import known_of
from tacit.sources import Stored, Stretches, as_labels, unpacked

MOST = 384_000


def recognises(data: Any) -> Claim:
    """Lists of paths of sound files are sound; arrays could be anything, so one has to say that they are."""
    items = data if isinstance(data, (list, tuple)) else []
    paths = bool(items) and all(isinstance(item, (str, os.PathLike)) for item in items)
    return Claim.SURE if paths and all(ending_of(Path(item), ENDINGS) for item in items) else Claim.NO


def open_source(
    data: Any,
    *,
    rate: int | None = None,
    mono: bool = False,
    window: float | None = None,
    stride: float | None = None,
    pattern: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    memory: int | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open recordings of sound, of any length.

    Args:
        data: a folder of ``.wav``, ``.flac``, ``.ogg`` and ``.mp3`` files (class folders become labels), one such
            file, or a list of them; an array ``[N, T]`` or ``[N, C, T]``, or a list of arrays ``[T_i]`` or
            ``[C, T_i]``; a tuple of an array or a list and its labels (and, as a third part, its groups). Whole numbers
            are taken as fixed point, so that int16 has its full scale at 32768.
        rate: of sampling, in Hz. Files at another rate are resampled to it; by default it is that of most of the files,
            at most 16,000. Arrays are taken to be at this rate, by default 16,000.
        mono: whether channels are averaged into one. Without it all recordings must have equally many.
        window: length, in seconds, of the stretches that recordings are cut into; what is left at the end of one is a
            stretch too if it is at least half as long. By default recordings are left whole.
        stride: seconds from one stretch to the next; a window by default.
        pattern: a regular expression with groups named ``label`` or ``group`` (or both) that is searched for in each
            file's path, e.g. ``(?P<label>[a-z]+)_(?P<group>[0-9]+)`` for ``yes_0042.wav``.
        cache: folder for decoded recordings that do not fit in memory; by default ``$TACIT_CACHE`` or
            ``~/.cache/tacit``.
        memory: the most bytes of decoded files to hold in memory; 40% of what is available by default.
        progress: show a bar.
        once: the recordings are read a single time. Where their samples would take more than 64 MiB they stay in their
            files, and only the stretch that is asked for is decoded.

    Raises:
        DataError: for data that cannot be read, recordings of different numbers of channels, and numbers that are not
            finite; it names the file. Files that cannot be decoded are left out and counted.
        MissingExtra: for files where the library that decodes them is not installed.
        OptionError: for an impossible value of an option.
    """
    if rate is not None and not 100 <= rate <= MOST:
        raise OptionError(f"rate must be from 100 to {MOST} samples a second, not {rate}")
    for name, value in (("window", window), ("stride", stride)):
        if value is not None and not 0 < value < float("inf"):
            raise OptionError(f"{name} must be a positive number of seconds, not {value}")
    if memory is not None and memory < 0:
        raise OptionError(f"memory must be a number of bytes, not {memory}")
    if stride is not None and window is None:
        raise OptionError("stride is from one window to the next: give window too")
    again = {"rate": rate, "mono": mono, "window": window, "stride": stride, "pattern": pattern}
    again = {name: value for name, value in again.items() if value}
    x, y, groups = unpacked(data)
    if are_paths(x) or path_of(x) is not None:
        paths, names, where = listed(x)
        if y is not None and pattern is not None:
            raise OptionError("pattern takes labels from the files' paths: give it or labels, not both")
        read = read_files(paths, names, where, rate, mono, cache, memory, progress, once)
        store: Stretches | Sought = read.store
        rate, skipped = read.rate, read.skipped
        names = [names[i] for i in read.kept]
        labels, classes, grouped = known_of(names, (y, groups), len(paths), read.kept, pattern, where)
        facts: dict[str, Any] = {"kind": "folder" if isinstance(x, (str, os.PathLike)) else "files", "path": where}
        by, channels = "path", read.channels
    else:
        if pattern is not None:
            raise OptionError(f"pattern is for files, which {shown(x)} is not")
        where, by, skipped, names = shown(x), "index", [], None
        items, rate = _arrays(x, where, mono), rate or RATE
        labels, classes = as_labels(y, len(items), where) if y is not None else (None, None)
        grouped = as_labels(groups, len(items), f"groups of {where}")[0] if groups is not None else None
        facts = {"kind": "array"}
        store = Stretches.of([torch.from_numpy(item) for item in items])
        channels = len(items[0])
        del items
    if window is not None:
        steps = [max(1, round(seconds * rate)) for seconds in (window, stride or window)]
        called = names if names is not None else [str(i) for i in range(len(store))]
        sample, place, length = _windows(store.length, *steps)
        store = store.cut(sample, place, length)
        names = [f"{called[i]} {at / rate:g} s" for i, at in zip(sample.tolist(), place.tolist(), strict=True)]
        labels = None if labels is None else labels[sample]
        grouped = sample if grouped is None else grouped[sample]
    facts |= {"rate": rate, "channels": channels, "reading": again | {"rate": rate}}
    return Stored(
        "audio", store, facts, names=names, labels=labels, classes=classes, groups=grouped, skipped=skipped,
        named_by=by,
    )  # fmt: skip


def _arrays(x: Any, where: str, mono: bool) -> list[Samples]:
    """Recordings ``[C, T_i]`` as float32 arrays, with the same channels."""
    if isinstance(x, (np.ndarray, Tensor)):
        if x.ndim not in (2, 3):
            raise DataError(f"{where}: an array of sound is [N, T] or [N, C, T], not of shape {list(x.shape)}")
    elif not isinstance(x, (list, tuple)):
        raise DataError(f"cannot read sound from {where}; give files ({', '.join(ENDINGS)}) or arrays")
    if not len(x):
        raise DataError(f"{where} has no recordings in it")
    made: list[Samples] = []
    for i, item in enumerate(x):
        array = item.detach().cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
        array = array[None] if array.ndim == 1 else array
        if array.dtype.kind not in "fi" or array.ndim != 2:
            raise DataError(f"{where}, recording {i}: it should be numbers [T] or [C, T], not {array.dtype} "
                            f"{list(array.shape)}")  # fmt: skip
        if not array.size:
            raise DataError(f"{where}, recording {i} is empty")
        if array.dtype.kind == "i":
            array = array / float(np.iinfo(array.dtype).max + 1)
        array = array.astype(np.float32)
        check_finite(array, f"{where}, recording {i}")
        array = array.mean(0, keepdims=True) if mono else array
        if made and len(array) != len(made[0]):
            raise DataError(f"{where}, recording {i} has {len(array)} channels, and those before {len(made[0])}; say "
                            "mono=True to average the channels of all")  # fmt: skip
        made.append(array)
    return made


def _windows(length: Tensor, window: int, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which recording each stretch of a window is of, where in it it starts and how long it is, int64 ``[N]`` each; a
    recording that is no longer than a window is one of its own."""
    begun = torch.div((length - window).clamp_min(0), stride, rounding_mode="floor") + 1
    left = length - begun * stride
    counts = begun + ((left >= window / 2) & (length > window)).long()
    sample = torch.arange(len(counts)).repeat_interleave(counts)
    place = (torch.arange(len(sample)) - (counts.cumsum(0) - counts)[sample]) * stride
    return sample, place, (length[sample] - place).clamp_max(window)
