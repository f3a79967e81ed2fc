"""Frames of many videos, in one tensor or in their files, and stretches of them as samples."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.errors import DataError
from tacit.modalities.video.decode import Unreadable
from tacit.modalities.video.seeking import Film

THREADS = 8


@dataclass
class Frames:
    """All frames of all videos.

    Attributes:
        pixels: ``[F, C, H, W]``, or ``[F, H, W, C]`` with ``channels_last``, of any real dtype.
        start, length: where each video begins among the frames, and how many of them it has, int64 ``[V]``.
        step: frames from one that is read to the next; ``length`` counts those that are read.
        channels_last: whether the channels are the last axis.
        mapped: whether the frames are in a file and not in memory.
        narrow: whether integers other than uint8 lie within 0..255 and are given as uint8.
    """

    pixels: Tensor
    start: Tensor
    length: Tensor
    step: int = 1
    channels_last: bool = False
    mapped: bool = False
    narrow: bool = False

    @property
    def dtype(self) -> torch.dtype:
        return self.pixels.dtype

    @property
    def kept(self) -> str:
        """Where the frames are."""
        return "mapped" if self.mapped else "memory"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        axes = tuple(self.pixels.shape[1:])
        return (axes[2], axes[0], axes[1]) if self.channels_last else axes  # type: ignore[return-value]

    def at(self, index: Tensor) -> Tensor:
        """Frames at ``index`` (int64 ``[B, T]``) as contiguous ``[B, C, T, H, W]``, uint8 or float32: uint16 is divided
        by 65535, bool becomes 0 and 255, and all else float32 as it is."""
        x = self.pixels.index_select(0, index.flatten()).unflatten(0, tuple(index.shape))
        x = x.permute(0, 4, 1, 2, 3) if self.channels_last else x.transpose(1, 2)
        if x.dtype == torch.uint16:
            x = x.to(torch.float32) / 65535
        elif x.dtype == torch.bool:
            x = x.to(torch.uint8) * 255
        elif x.dtype not in (torch.uint8, torch.float32):
            x = x.to(torch.uint8 if self.narrow else torch.float32)
        return x.contiguous()


class FilmFrames:
    """All frames of videos that stay in their files: what is asked for is decoded, and little else.

    Args:
        films: the videos.

    Attributes:
        start, length, step, shape, dtype, kept: as of :class:`Frames`.
    """

    step, dtype, kept = 1, torch.uint8, "files"

    def __init__(self, films: Sequence[Film]) -> None:
        self.films = films
        self.length = torch.tensor([len(film) for film in films])
        self.start = self.length.cumsum(0) - self.length
        shape = films[0].shape
        self.shape = (shape.channels, *shape.size)

    def at(self, index: Tensor) -> Tensor:
        """Frames at ``index`` (int64 ``[B, T]``, a row within one video) as ``[B, C, T, H, W]``, uint8.

        Raises:
            DataError: naming the video, if it cannot be decoded.
        """
        channels, height, width = self.shape
        x = np.empty((len(index), channels, index.shape[1], height, width), np.uint8)
        video = torch.searchsorted(self.start, index[:, 0].contiguous(), right=True) - 1

        def read(one: int) -> None:
            rows = (video == one).nonzero()[:, 0]
            film = self.films[one]
            try:
                with film:
                    for row in rows[index[rows, 0].argsort(stable=True)].tolist():
                        for t, place in enumerate((index[row] - self.start[one]).tolist()):
                            x[row, :, t] = film.frame(place)
            except Unreadable as error:
                raise DataError(f"{film.where} cannot be read: {error}; leave it out") from None

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(read, video.unique().tolist()))
        return torch.from_numpy(x)


class Windows:
    """Stretches of videos, all of ``window`` frames: a :class:`tacit.sources.Store`.

    Args:
        frames: of all videos.
        video: which video each stretch is of, int64 ``[N]``.
        place: its first frame, counted from that video's, int64 ``[N]``.
        window: frames of each.
    """

    def __init__(self, frames: Frames | FilmFrames, video: Tensor, place: Tensor, window: int) -> None:
        self.frames, self.window = frames, window
        self.first = frames.start[video] + frames.step * place

    def __len__(self) -> int:
        return len(self.first)

    def take(self, index: Tensor) -> dict[str, Any]:
        along = torch.arange(self.window) * self.frames.step
        return {"x": self.frames.at(self.first[index][:, None] + along)}


def windows(length: Tensor, window: int, hop: int) -> tuple[Tensor, Tensor]:
    """Stretches of ``window`` frames that begin every ``hop`` frames of each video and lie within it: which video each
    is of, and its first frame, int64 ``[N]`` each."""
    counts = (torch.div(length - window, hop, rounding_mode="floor") + 1).clamp_min(0)
    counts[length < window] = 0
    video = torch.arange(len(length)).repeat_interleave(counts)
    place = (torch.arange(len(video)) - (counts.cumsum(0) - counts)[video]) * hop
    return video, place
