"""Recordings that stay in their files: what is asked for is decoded, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tacit.errors import DataError
from tacit.modalities.audio.decode import Unreadable
from tacit.modalities.audio.recording import Recording

THREADS = 8


class Sought:
    """Stretches of recordings in files: a :class:`tacit.sources.Store`.

    Args:
        recordings: that stretches are of.
        channels: of all of them.
        length: of each recording, int64 ``[R]``; each is a sample until they are :meth:`cut`.
    """

    def __init__(self, recordings: Sequence[Recording], channels: int, length: NDArray[np.int64]) -> None:
        self.recordings, self.channels = recordings, channels
        self.file, self.start = torch.arange(len(recordings)), torch.zeros(len(recordings), dtype=torch.int64)
        self.length = torch.from_numpy(length)

    def cut(self, sample: Tensor, place: Tensor, length: Tensor) -> Sought:
        """Parts of samples: of which each is, where in it it begins and how long it is, int64 ``[N]`` each."""
        made = Sought(self.recordings, self.channels, length.numpy())
        made.file, made.start = self.file[sample], self.start[sample] + place
        return made

    @property
    def ragged(self) -> bool:
        """Whether samples differ in length."""
        return int(self.length.min()) < int(self.length.max())

    def __len__(self) -> int:
        return len(self.file)

    def take(self, index: Tensor) -> dict[str, Any]:
        """The samples at ``index``.

        Raises:
            DataError: naming the file, for one that cannot be decoded, and for numbers that are not finite.
        """
        length, start, file = self.length[index], self.start[index], self.file[index]
        x = torch.zeros(len(index), self.channels, int(length.max()))

        def read(one: int) -> None:
            rows = (file == one).nonzero()[:, 0]
            recording = self.recordings[one]
            try:
                with recording:
                    for row in rows[start[rows].argsort(stable=True)].tolist():
                        at = 0
                        for piece in recording.pieces(int(start[row]), int(start[row] + length[row])):
                            x[row, :, at : at + piece.shape[1]] = torch.from_numpy(piece)
                            at += piece.shape[1]
            except Unreadable as error:
                raise DataError(f"{recording.where} cannot be read: {error}; leave it out") from None

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(read, file.unique().tolist()))
        return {"x": x, "length": length} if self.ragged else {"x": x}
