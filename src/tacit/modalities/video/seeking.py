"""One open video, of which any frame can be had without decoding all before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.modalities.video.decode import Frame, Look, Shape, Unreadable, library, pixels_of, reason

ONE_EACH = frozenset(
    {"av1", "dnxhd", "ffv1", "h264", "hevc", "huffyuv", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "png", "prores"}
    | {"rawvideo", "theora", "vp9"}
)
"""Codecs of whose packets each is one frame that is shown; the GIF's frames build on all before, VP8 hides some."""


@dataclass(frozen=True)
class Numbered:
    """When each frame of a file is shown, in units of its stream, ascending, and the numbers of its key frames, int64
    ``[n]`` and ``[k]``."""

    shown: NDArray[np.int64]
    keys: NDArray[np.int64]


def numbered(path: Path) -> Numbered | None:
    """The frames of a file, told without decoding them; None where that cannot be told for sure, and for a folder.

    Raises:
        Unreadable: if it cannot be opened.
    """
    if path.is_dir():
        return None
    av = library()
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.codec_context.name not in ONE_EACH:
                return None
            packets = [(p.pts, p.is_keyframe, p.is_discard) for p in container.demux(stream) if p.size]
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise Unreadable(reason(error)) from None
    if not packets or any(time is None or discarded for time, _, discarded in packets):
        return None
    times = np.array([time for time, _, _ in packets], np.int64)
    order = times.argsort(kind="stable")
    shown = times[order]
    keys = np.flatnonzero(np.array([key for _, key, _ in packets])[order])
    if (np.diff(shown) == 0).any() or not len(keys):
        return None
    return Numbered(shown, keys)


class Film:
    """A video, open while it is used as a context.

    A frame is decoded from the key frame before it on, so that it is the one that decoding the whole gives; frames in
    ascending order are decoded once.

    Args:
        path: of the file.
        seen: which frames are read.
        shape: what they become.
        frames: of the file.
        where: what messages call it.

    Raises:
        Unreadable: if it cannot be decoded, or has not the frames that it says.
    """

    def __init__(self, path: Path, seen: Look, shape: Shape, frames: Numbered, where: str) -> None:
        self.path, self.seen, self.shape, self.frames, self.where = path, seen, shape, frames, where

    def __len__(self) -> int:
        return len(self.seen.picks)

    def __enter__(self) -> Film:
        av = library()
        try:
            self.container: Any = av.open(str(self.path))
        except (OSError, ValueError, av.error.FFmpegError) as error:
            raise Unreadable(reason(error)) from None
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "SLICE"  # files are read side by side
        self.decoded: Any = self.container.decode(self.stream)
        self.number, self.key = -1, 0  # the last frame that was decoded, and the key frame that it was decoded from
        self.pixels: Frame | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self.decoded = self.pixels = self.last = None
        self.container.close()

    def frame(self, place: int) -> Frame:
        """The frame at a place among those that are read: uint8 ``[C, H, W]``."""
        av = library()
        number = int(self.seen.picks[place])
        try:
            self._reach(number)
            if self.pixels is None:
                self.pixels = pixels_of(self.last, self.shape)
        except (OSError, ValueError, av.error.FFmpegError) as error:
            raise Unreadable(reason(error)) from None
        return self.pixels

    def _reach(self, number: int) -> None:
        at = int(np.searchsorted(self.frames.keys, number, side="right")) - 1
        if number < self.number or (at >= 0 and self.frames.keys[at] > self.number + 1):
            while at >= 0:
                self._seek(int(self.frames.keys[at]))
                self._next()
                if self.number <= number:
                    break
                at -= 1  # the container led beyond
            else:
                self._seek(0)
        while self.number < number:
            self._next()

    def _seek(self, key: int) -> None:
        self.container.seek(int(self.frames.shown[key]), stream=self.stream, backward=True)
        self.decoded, self.number, self.key, self.pixels = self.container.decode(self.stream), -1, key, None

    def _next(self) -> None:
        frame = next(self.decoded, None)
        if frame is None:
            raise Unreadable(f"it has been cut short: frame {self.number + 1} of {len(self.frames.shown)} is not there")
        number = -1 if frame.pts is None else int(np.searchsorted(self.frames.shown, frame.pts))
        there = 0 <= number < len(self.frames.shown) and self.frames.shown[number] == frame.pts
        # what is shown before the key frame may lack what it was made from, and is not asked for
        if not there or (self.number >= self.key - 1 and number != self.number + 1):
            raise Unreadable(f"its frame after {self.number} is not there")
        self.last, self.number, self.pixels = frame, number, None
