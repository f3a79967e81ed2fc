"""Reading videos: files, folders of them or of frames, lists and arrays become one kind of source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.data import Source
from tacit.errors import DataError, OptionError
from tacit.modalities.caches import cache_folder
from tacit.modalities.looking import ARRAYS, Claim, are_paths, ending_of, path_of, shape_of, shown
from tacit.modalities.naming import known_of
from tacit.modalities.video.arrays import CHANNELS, LAYOUTS, channels_last, load_array, read_arrays
from tacit.modalities.video.decode import ENDINGS
from tacit.modalities.video.files import read_files
from tacit.modalities.video.folders import listed
from tacit.modalities.video.stores import FilmFrames, Frames, Windows, windows
from tacit.sources import Stored, as_labels, unpacked

CLIP = 16
"""Frames of a clip, where videos are long enough and nothing else is said."""
SHORT = 4
"""Frames below which a video does not decide how long the clips of all are."""
MANY = 4
"""Clips that a sample is as long as, where videos are long enough and nothing else is said."""

__all__ = ["ENDINGS", "open_source", "recognises"]


def recognises(data: Any) -> Claim:
    """Arrays ``[N, T, C, H, W]``, lists of arrays ``[T, C, H, W]`` and lists of paths of video files are videos; one
    array ``[T, C, H, W]`` may be one too, and so may folders and files of pictures, which are images first."""
    shape = shape_of(data)
    if shape is not None:
        if len(shape) == 5:
            return _sure(shape[2:]) if shape[1] not in CHANNELS else Claim.PERHAPS
        return Claim.PERHAPS if len(shape) == 4 and channels_last(shape[1:]) is not None else Claim.NO
    x, _, _ = unpacked(data)
    if not isinstance(x, (list, tuple)) or not x:
        return Claim.NO
    if all(isinstance(item, (str, os.PathLike)) for item in x):
        return Claim.SURE if all(ending_of(Path(item), ENDINGS) for item in x) else Claim.NO
    if all(isinstance(item, (np.ndarray, Tensor)) and item.ndim == 4 for item in x[:10]):
        return _sure(tuple(x[0].shape[1:]))
    return Claim.NO


def _sure(shape: Sequence[int]) -> Claim:
    return Claim.SURE if channels_last(tuple(shape)) is not None else Claim.PERHAPS


def open_source(
    data: Any,
    *,
    frames: int | None = None,
    window: int | None = None,
    hop: int | None = None,
    stride: int = 1,
    fps: float | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    layout: str | None = None,
    pattern: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    memory: int | None = None,
    progress: bool = False,
    once: bool = False,
) -> Source:
    """Open videos. A sample is a stretch of a video; views are clips of it.

    Args:
        data: a folder of video files (``.mp4``, ``.avi``, ``.mkv``, ``.mov``, ``.webm``, ``.m4v``, ``.gif``) and of
            folders of pictures, at any depth, where a folder that holds pictures and no video file is one video (class
            folders become labels); one such file or folder, or a list of them; an array ``[N, T, C, H, W]`` or
            ``[T, C, H, W]``, also from an .npy or .npz file; a list of arrays ``[T_i, C, H, W]``; a tuple of an array
            or a list and its labels (and, as a third part, its groups).
        frames: of a clip, which is what an encoder sees. By default half of the shortest video's, at most 16, so that
            two clips of a video differ; videos of less than 4 frames do not count there.
        window: frames of a sample. By default as many as the shortest video has, at most four clips. A shorter video
            is left out.
        hop: frames from one sample of a video to its next; a window by default.
        stride: every so many frames are read; all other numbers of frames count those that are.
        fps: frames a second that are read of files, before ``stride``; by default every frame, however fast it is
            played. Folders of pictures have no time and are read whole.
        image_size: side in pixels that is trained at. Files are then stored as squares of it: resized, and cut at both
            ends of the longer side. By default frames stay as they are where all have one size with a shorter side of
            at most 128, and else become squares of the shortest side there is, at most 128.
        channels: 3 to read files in colour, 1 to read them in grey; by default in colour if any of them has it.
        layout: ``TCHW`` or ``THWC``, the axes of a video in an array whose shape does not tell.
        pattern: a regular expression with groups named ``label`` or ``group`` (or both) that is searched for in each
            video's path, e.g. ``v_(?P<label>[A-Za-z]+)_(?P<group>g[0-9]+)``.
        cache: folder for decoded frames that do not fit in memory; by default ``$TACIT_CACHE`` or ``~/.cache/tacit``.
        memory: the most bytes of frames to hold in memory; 40% of what is available by default.
        progress: show a bar.
        once: the videos are read a single time. An .npy file is mapped however small it is; where frames of files would
            take more than 64 MiB, only those that are asked for are decoded, from the key frame before them on.

    Raises:
        DataError: for data that cannot be read; it names the file or the video. Files that cannot be decoded, have been
            cut short or have too few frames are left out and counted.
        MissingExtra: for video files where the library that decodes them is not installed.
        OptionError: for an impossible value of an option.
    """
    for name, value in (("frames", frames), ("window", window), ("hop", hop), ("stride", stride),
                        ("image_size", image_size)):  # fmt: skip
        if value is not None and value < 1:
            raise OptionError(f"{name} must be a positive whole number, not {value}")
    if frames is not None and window is not None and frames > window:
        raise OptionError(f"a clip ({frames} frames) cannot be longer than the sample it is of ({window} frames)")
    if fps is not None and not 0 < fps < float("inf"):
        raise OptionError(f"fps must be a positive number of frames a second, not {fps}")
    if channels not in (None, 1, 3):
        raise OptionError(f"channels of files must be 1 or 3, not {channels}")
    if layout is not None and layout not in LAYOUTS:
        raise OptionError(f"layout must be TCHW or THWC, not '{layout}'")
    again = {
        "frames": frames, "window": window, "hop": hop, "stride": stride if stride > 1 else None, "fps": fps,
        "image_size": image_size, "channels": channels, "layout": layout, "pattern": pattern,
    }  # fmt: skip
    x, y, groups = unpacked(data)
    path = path_of(x)
    if are_paths(x) or (path is not None and path.suffix.lower() not in ARRAYS):
        if y is not None and pattern is not None:
            raise OptionError("pattern takes labels from the files' paths: give it or labels, not both")
        if layout is not None:
            raise OptionError(f"layout is for arrays, which {shown(x)} is not")
        paths, called, where = listed(x)
        store, kept, skipped, rates = read_files(
            paths, called, where, stride=stride, fps=fps, image_size=image_size, channels=channels,
            cache=cache_folder(cache), memory=memory, progress=progress, once=once,
        )  # fmt: skip
        named = [called[i] for i in kept]
        labels, classes, grouped = known_of(named, (y, groups), len(paths), kept, pattern, where)
        kind = "folder" if isinstance(x, (str, os.PathLike)) else "files"
        facts: dict[str, Any] = {"kind": kind, "path": where, "fps": rates}
        by = "path"
    else:
        for name, given in (("pattern", pattern), ("fps", fps), ("channels", channels)):
            if given is not None:
                raise OptionError(f"{name} is for files, which {shown(x)} is not")
        where, facts = shown(x), {"kind": "array"}
        if path is not None:
            where, facts = f"'{path}'", facts | {"path": str(path)}
            x, y, groups = load_array(path, 0 if once else memory)
        store, skipped, by = read_arrays(x, where, stride, layout), [], "index"
        count = len(store.length)
        named = [str(i) for i in range(count)]
        labels, classes = as_labels(y, count, where) if y is not None else (None, None)
        grouped = as_labels(groups, count, f"groups of {where}")[0] if groups is not None else None
    clip, span = _sizes(store.length, frames, window, where)
    for i, length in enumerate(store.length.tolist()):
        if length < span:
            skipped = [*skipped, (named[i], f"it has {length} frames, and a sample {span}")]
    video, place = windows(store.length, span, hop or span)
    names = _names(named, video, place, store)
    if grouped is not None:
        grouped = grouped[video]
    elif len(video) > len(video.unique()):
        grouped = video
    facts |= _facts(store, clip, span, image_size) | {"reading": _reading(again, clip, store, facts["kind"])}
    return Stored(
        "video", Windows(store, video, place, span), facts, names=names,
        labels=None if labels is None else labels[video], classes=classes, groups=grouped, skipped=skipped,
        named_by=by,
    )  # fmt: skip


def _sizes(length: Tensor, frames: int | None, window: int | None, where: str) -> tuple[int, int]:
    """Frames of a clip and of a sample."""
    enough = length[length >= (window or frames or SHORT)]
    if not len(enough):
        wanted, longest = window or frames, int(length.max())
        if wanted is not None:
            raise DataError(f"{where}: the longest video has {longest} frames, and a sample should have {wanted}; "
                            "give fewer (data.frames, data.window)")  # fmt: skip
        enough = length[length == longest]
    shortest = int(enough.min())
    clip = frames or max(1, min(CLIP, (window or shortest) // 2))
    return clip, window or min(MANY * clip, shortest)


def _names(named: Sequence[str], video: Tensor, place: Tensor, store: Frames | FilmFrames) -> list[str]:
    """Names of samples: that of the video, with the first frame where it has several."""
    several = torch.bincount(video, minlength=len(named)) > 1
    rows = zip(video.tolist(), place.tolist(), strict=True)
    return [f"{named[v]} frame {p * store.step}" if several[v] else named[v] for v, p in rows]


def _facts(store: Frames | FilmFrames, clip: int, window: int, image_size: int | None) -> dict[str, Any]:
    channels, height, width = store.shape
    return {
        "channels": channels,
        "stored": [height, width],
        "size": [image_size, image_size] if image_size else [height, width],
        "frames": clip,
        "window": window,
        "dtype": str(store.dtype).removeprefix("torch."),
        "store": store.kept,
    }


def _reading(again: dict[str, Any], clip: int, store: Frames | FilmFrames, kind: str) -> dict[str, Any]:
    """Options to read other videos alike: clips of as many frames, files at the size and in the colours of these."""
    made = {name: value for name, value in again.items() if value is not None and name != "pattern"}
    made["frames"] = clip
    channels, height, width = store.shape
    if kind != "array":
        made["channels"] = channels
        if height == width:
            made["image_size"] = height
    return made
