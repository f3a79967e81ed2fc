"""Reading sound: files, folders, lists and arrays become one kind of source."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.console import Bar
from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.audio.decode import ENDINGS, Unreadable, decoded, header, library, resampled
from tacit.modalities.audio.folders import listed
from tacit.modalities.looking import Claim, are_paths, ending_of, path_of, shown
from tacit.modalities.naming import known_of
from tacit.sources import Stored, Stretches, as_labels, unpacked

RATE = 16_000
"""In Hz: the highest that files are read at, and the one that arrays are taken to have, where none is given."""
MOST = 384_000
THREADS = 8

Samples = NDArray[np.float32]


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
        progress: show a bar.
        once: as for every reader; nothing here is kept for later.

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
    if stride is not None and window is None:
        raise OptionError("stride is from one window to the next: give window too")
    again = {"rate": rate, "mono": mono, "window": window, "stride": stride, "pattern": pattern}
    again = {name: value for name, value in again.items() if value}
    x, y, groups = unpacked(data)
    if are_paths(x) or path_of(x) is not None:
        paths, names, where = listed(x)
        if y is not None and pattern is not None:
            raise OptionError("pattern takes labels from the files' paths: give it or labels, not both")
        items, kept, skipped, rate = _files(paths, names, where, rate, mono, progress)
        names = [names[i] for i in kept]
        labels, classes, grouped = known_of(names, (y, groups), len(paths), kept, pattern, where)
        facts: dict[str, Any] = {"kind": "folder" if isinstance(x, (str, os.PathLike)) else "files", "path": where}
        by = "path"
    else:
        if pattern is not None:
            raise OptionError(f"pattern is for files, which {shown(x)} is not")
        where, by, skipped, names = shown(x), "index", [], None
        items, rate = _arrays(x, where, mono), rate or RATE
        labels, classes = as_labels(y, len(items), where) if y is not None else (None, None)
        grouped = as_labels(groups, len(items), f"groups of {where}")[0] if groups is not None else None
        facts = {"kind": "array"}
    store = Stretches.of([torch.from_numpy(item) for item in items])
    del items
    if window is not None:
        steps = [max(1, round(seconds * rate)) for seconds in (window, stride or window)]
        called = names if names is not None else [str(i) for i in range(len(store))]
        store, sample, place = _windows(store, *steps)
        names = [f"{called[i]} {at / rate:g} s" for i, at in zip(sample.tolist(), place.tolist(), strict=True)]
        labels = None if labels is None else labels[sample]
        grouped = sample if grouped is None else grouped[sample]
    facts |= {"rate": rate, "channels": int(store.flat.shape[0]), "reading": again | {"rate": rate}}
    return Stored(
        "audio", store, facts, names=names, labels=labels, classes=classes, groups=grouped, skipped=skipped,
        named_by=by,
    )  # fmt: skip


def _files(
    paths: Sequence[Path], names: Sequence[str], where: str, rate: int | None, mono: bool, progress: bool
) -> tuple[list[Samples], list[int], list[tuple[str, str]], int]:
    """Decoded files ``[C, T_i]``, which of the paths they are, what was left out and why, and the rate."""
    library()

    def looked(path: Path) -> tuple[int, int] | str:
        try:
            return header(path)
        except Unreadable as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        facts = list(pool.map(looked, paths))
    good = [i for i, fact in enumerate(facts) if not isinstance(fact, str)]
    skipped = {i: fact for i, fact in enumerate(facts) if isinstance(fact, str)}
    heard = {i: fact for i, fact in enumerate(facts) if not isinstance(fact, str)}
    if not mono and len(counts := Counter(fact[1] for fact in heard.values())) > 1:
        usual = counts.most_common(1)[0][0]
        odd = next(i for i in good if heard[i][1] != usual)
        raise DataError(
            f"'{names[odd]}' in {where} has {heard[odd][1]} channels, and most files have {usual}; say --set "
            "data.mono=true to average the channels of all"
        )
    if rate is None and heard:
        rates = Counter(fact[0] for fact in heard.values())
        rate = min(RATE, max(rates, key=lambda found: (rates[found], found)))
    wanted = rate or RATE

    def read(i: int) -> Samples | str:
        try:
            samples, found = decoded(paths[i])
        except Unreadable as error:
            return str(error)
        _check_finite(samples, f"'{names[i]}' in {where}")
        return resampled(samples.mean(0, keepdims=True) if mono else samples, found, wanted)

    items: list[Samples] = []
    kept: list[int] = []
    with Bar("read", total=len(good), quiet=not progress) as bar, ThreadPoolExecutor(THREADS) as pool:
        for done, (i, got) in enumerate(zip(good, pool.map(read, good), strict=True)):
            if isinstance(got, str):
                skipped[i] = got
            else:
                items.append(got)
                kept.append(i)
            bar.at(done + 1)
    if not items:
        first = min(skipped)
        raise DataError(f"none of the {len(paths)} files of {where} can be read; '{names[first]}': {skipped[first]}")
    return items, kept, [(names[i], skipped[i]) for i in sorted(skipped)], wanted


def _check_finite(samples: Samples, where: str) -> None:
    bad = ~np.isfinite(samples)
    if bad.any():
        channel, at = (int(place[0]) for place in np.nonzero(bad))
        raise DataError(f"{where}: sample {at} of channel {channel} is {samples[channel, at]}; leave it out")


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
        _check_finite(array, f"{where}, recording {i}")
        array = array.mean(0, keepdims=True) if mono else array
        if made and len(array) != len(made[0]):
            raise DataError(f"{where}, recording {i} has {len(array)} channels, and those before {len(made[0])}; say "
                            "mono=True to average the channels of all")  # fmt: skip
        made.append(array)
    return made


def _windows(store: Stretches, window: int, stride: int) -> tuple[Stretches, Tensor, Tensor]:
    """Stretches of a window, which recording each is of and where in it it starts, int64 ``[N]`` each; a recording that
    is no longer than a window is one of its own."""
    begun = torch.div((store.length - window).clamp_min(0), stride, rounding_mode="floor") + 1
    left = store.length - begun * stride
    counts = begun + ((left >= window / 2) & (store.length > window)).long()
    sample = torch.arange(len(counts)).repeat_interleave(counts)
    place = (torch.arange(len(sample)) - (counts.cumsum(0) - counts)[sample]) * stride
    length = (store.length[sample] - place).clamp_max(window)
    return Stretches(store.flat, store.start[sample] + place, length), sample, place
