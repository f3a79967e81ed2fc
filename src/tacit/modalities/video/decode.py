"""One video, a file or a folder of pictures, as frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tacit.errors import needs
from tacit.modalities.video.containers import cut_short

ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v")
"""Of files that are surely videos."""
FILES = (*ENDINGS, ".gif")
"""Of files that can be read as videos."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
LOST = 0.05
"""Share of the frames that may be missing at the end: some programs count frames that they never wrote."""

Frame = NDArray[np.uint8]


class Unreadable(Exception):
    """A video that cannot be decoded; the message is the reason in a few words."""


@dataclass(frozen=True)
class Look:
    """What a video holds, told without decoding it.

    Attributes:
        size: height and width in pixels.
        grey: whether it has no colour.
        fps: frames a second; 0 where it does not say.
        picks: which of its frames are read, int64 ``[n]``, ascending; one may be there several times.
    """

    size: tuple[int, int]
    grey: bool
    fps: float
    picks: NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """How frames are stored: ``size`` (height, width), ``channels`` (1 or 3), and whether they are resized and cut at
    both ends of the longer side to come to it, or have that size."""

    size: tuple[int, int]
    channels: int
    resized: bool


def library() -> Any:
    """The library that decodes.

    Raises:
        MissingExtra: if it is not installed.
    """
    return needs("av", "video", f"reading {', '.join(FILES)} files", "PyAV")


def look(path: Path, stride: int, fps: float | None) -> Look:
    """What there is to read in a file or in a folder of pictures.

    Args:
        stride: every so many frames are read.
        fps: frames a second that are read, before ``stride``: at each time the last frame until then; None: every one.

    Raises:
        Unreadable: if it cannot be opened, is empty or has been cut short.
    """
    return _look_folder(path, stride) if path.is_dir() else _look_file(path, stride, fps)


def frames(path: Path, seen: Look, shape: Shape) -> Iterator[Frame]:
    """The frames of ``seen.picks``, uint8 ``[C, H, W]``, as many as there are.

    Raises:
        Unreadable: if they cannot be decoded.
    """
    yield from (_of_folder if path.is_dir() else _of_file)(path, seen, shape)


def _look_file(path: Path, stride: int, fps: float | None) -> Look:
    av = library()
    try:
        if not os.path.getsize(path):
            raise Unreadable("it is empty")
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise Unreadable("it has no pictures in it")
            stream = container.streams.video[0]
            context = stream.codec_context
            size = (int(context.height), int(context.width))
            rate = float(stream.average_rate or 0)
            # PyAV 17's pix_fmt ends the process where a damaged file does not say its format; its format is None
            grey = context.format is not None and context.format.name.startswith(("gray", "mono"))
            count = int(stream.frames)
            times = None
            if fps is not None or not count:
                times = [packet.pts for packet in container.demux(stream) if packet.size]
                count = len(times)
            if not count or not all(size):
                raise Unreadable("it has no pictures in it")
            if cut_short(path):
                raise Unreadable("it has been cut short")
            seconds = None
            if fps is not None and times is not None:
                seconds = _seconds(times, float(stream.time_base or 0), rate)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise Unreadable(reason(error)) from None
    picks = np.arange(count) if seconds is None or fps is None else at_rate(seconds, fps)
    return Look(size, grey, rate, picks[::stride])


def _seconds(times: list[int | None], base: float, rate: float) -> NDArray[np.float64]:
    """When each frame is shown, in order; by the rate where the file does not say."""
    known = [time for time in times if time is not None]
    if len(known) < len(times) or not base:
        if not rate:
            raise Unreadable("it does not say how fast it is played, which data.fps needs")
        return np.arange(len(times)) / rate
    return np.sort(np.array(known, dtype=np.float64)) * base


def at_rate(seconds: NDArray[np.float64], fps: float) -> NDArray[np.int64]:
    """Which frames are on the screen at times 0, 1 / fps, 2 / fps, ... after the first: int64 ``[n]``.

    Args:
        seconds: when each frame is first shown, ascending. The last one is shown as long as they are in the mean.
    """
    since = seconds - seconds[0]
    end = since[-1] * len(since) / max(len(since) - 1, 1) or 1 / fps
    wanted = np.arange(max(1, round(end * fps))) / fps
    return np.maximum(np.searchsorted(since, wanted + 1e-6, side="right") - 1, 0)


def _of_file(path: Path, seen: Look, shape: Shape) -> Iterator[Frame]:
    av = library()
    times = np.bincount(seen.picks)
    given, last = 0, len(times)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"  # files are read side by side
            for number, frame in enumerate(container.decode(stream)):
                if number >= last:
                    return
                if not times[number]:
                    continue
                pixels = pixels_of(frame, shape)
                for _ in range(times[number]):
                    given += 1
                    yield pixels
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise Unreadable(reason(error)) from None
    if given < (1 - LOST) * len(seen.picks) - 2:
        raise Unreadable(f"it has been cut short: {given} of {len(seen.picks)} frames are there")


def pixels_of(frame: Any, shape: Shape) -> Frame:
    """A decoded frame as uint8 ``[C, H, W]``.

    Raises:
        Unreadable: if it has another size than it should.
    """
    wanted = {"format": "gray" if shape.channels == 1 else "rgb24"}
    if shape.resized:
        height, width = _before_cut((frame.height, frame.width), shape.size)
        frame = frame.reformat(width=width, height=height, interpolation="AREA", **wanted)
    pixels = frame.to_ndarray(**wanted)
    return _cut(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), shape)


def pictures(folder: Path) -> list[str]:
    """Names of the pictures in a folder, in the order of the numbers in them: ``2.png`` before ``10.png``."""
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    return sorted((name for name in names if name.lower().endswith(PICTURES)), key=natural)


def natural(name: str) -> tuple[Any, ...]:
    """A key that sorts the numbers in names as numbers."""
    parts: list[str] = [""]
    for letter in name:
        if letter.isdecimal() != parts[-1][-1:].isdecimal():
            parts.append("")
        parts[-1] += letter
    return (*((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), (2, 0, name))


def _look_folder(path: Path, stride: int) -> Look:
    names = pictures(path)
    try:
        with Image.open(path / names[0]) as first:
            size, grey = (first.height, first.width), first.mode in ("L", "1", "I;16")
    except (OSError, ValueError, SyntaxError) as error:
        raise Unreadable(f"'{names[0]}' in it cannot be read: {reason(error)}") from None
    return Look(size, grey, 0.0, np.arange(len(names))[::stride])


def _of_folder(path: Path, seen: Look, shape: Shape) -> Iterator[Frame]:
    names = pictures(path)
    for number in seen.picks.tolist():
        try:
            with Image.open(path / names[number]) as picture:
                if (picture.height, picture.width) != seen.size:
                    raise Unreadable(
                        f"'{names[number]}' in it has {picture.height}x{picture.width} pixels, and the first has "
                        f"{seen.size[0]}x{seen.size[1]}"
                    )
                made = _eight_bits(picture).convert("L" if shape.channels == 1 else "RGB")
                if shape.resized:
                    height, width = _before_cut(seen.size, shape.size)
                    made = made.resize((width, height), Image.Resampling.BILINEAR)
                pixels = np.asarray(made)
        except (OSError, ValueError, SyntaxError) as error:
            raise Unreadable(f"'{names[number]}' in it cannot be read: {reason(error)}") from None
        yield _cut(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), shape)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits by its upper eight; Pillow would cut off at 255."""
    if picture.mode not in ("I;16", "I;16B", "I;16L", "I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _before_cut(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """Height and width at the true aspect that just cover the wanted ones."""
    scale = max(wanted[0] / size[0], wanted[1] / size[1])
    return max(wanted[0], round(size[0] * scale)), max(wanted[1], round(size[1] * scale))


def _cut(pixels: Frame, shape: Shape) -> Frame:
    """The middle of a frame ``[C, h, w]``, or all of one that was not resized."""
    (height, width), found = shape.size, pixels.shape[1:]
    if not shape.resized and found != shape.size:
        raise Unreadable(f"it changes from {height}x{width} to {found[0]}x{found[1]} pixels; give data.image_size")
    top, left = (found[0] - height) // 2, (found[1] - width) // 2
    return pixels[:, top : top + height, left : left + width]


def reason(error: Exception) -> str:
    """What a library says of a file, in a few words."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return text.rstrip(".") or "it is damaged"
