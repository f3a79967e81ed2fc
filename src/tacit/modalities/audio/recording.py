"""One open sound file, of which any stretch can be had at any rate without decoding the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import DataError
from tacit.modalities.audio.decode import Unreadable, library, reason

BLOCK = 1 << 18
"""Samples a channel that are made at a time."""
TAPS = 10
"""Zeros of the sinc on either side of its middle that SciPy's filter has, counted at the lower of both rates."""
SETTLE = 1 << 15
"""Samples that an MP3 decoder is given before those that are wanted: a frame of 1,152 samples may take bits from those
before it (ISO/IEC 11172-3), at low bit rates from many."""

Samples = NDArray[np.float32]


def check_finite(samples: Samples, where: str, first: int = 0) -> None:
    """Refuse numbers ``[C, T]`` that are not finite; ``first`` is the number of the first sample.

    Raises:
        DataError: it names the first.
    """
    bad = ~np.isfinite(samples)
    if bad.any():
        channel, at = (int(place[0]) for place in np.nonzero(bad))
        raise DataError(f"{where}: sample {first + at} of channel {channel} is {samples[channel, at]}; leave it out")


def resampled_length(length: int, rate: int, wanted: int) -> int:
    """How many samples at the rate ``wanted`` there are of ``length`` at ``rate``."""
    return -(-length * wanted // rate)


class Recording:
    """A sound file at a wanted rate, open while it is used as a context.

    Stretches of it are those of the whole recording resampled at once (by a windowed sinc that takes out what the new
    rate cannot hold), since as much around them is decoded as the filter is long. Of pieces in order nothing is decoded
    twice.

    Args:
        path: of the file.
        facts: rate in Hz, channels and samples a channel, as its header has them.
        rate: that is wanted, in Hz.
        mono: whether channels are averaged.
        where: what messages call it.

    Raises:
        Unreadable: if it cannot be decoded, ends before its header says or was changed since that was read.
        DataError: for numbers that are not finite.
    """

    def __init__(self, path: Path, facts: tuple[int, int, int], rate: int, mono: bool, where: str) -> None:
        self.path, self.facts, self.mono, self.where = path, facts, mono, where
        common = math.gcd(facts[0], rate)
        self.up, self.down = rate // common, facts[0] // common
        self.length = resampled_length(facts[2], facts[0], rate)
        self._forget()

    def _forget(self) -> None:
        self.held: Samples = np.zeros((1 if self.mono else self.facts[1], 0), np.float32)
        self.at = 0  # where in the file the first of those that are held is

    def __enter__(self) -> Recording:
        soundfile = library()
        try:
            self.file: Any = soundfile.SoundFile(str(self.path))
        except (OSError, soundfile.SoundFileError) as error:
            raise Unreadable(reason(error)) from None
        if (self.file.samplerate, self.file.channels, self.file.frames) != self.facts:
            self.file.close()
            raise Unreadable("it was changed while it was read")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._forget()

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[Samples]:
        """Samples ``start`` to ``stop``, counted at the wanted rate, some at a time: float32 ``[C, n]``."""
        stop = self.length if stop is None else stop
        for begin in range(start, stop, BLOCK):
            yield self._made(begin, min(begin + BLOCK, stop))

    def _made(self, start: int, stop: int) -> Samples:
        if self.up == self.down:
            return self._decoded(start, stop)
        from scipy.signal import resample_poly

        reach = -(-TAPS * max(self.up, self.down) // self.up) + 1
        # the first sample that is decoded lies on a place that both rates share
        shared = max(0, (start * self.down // self.up - reach) // self.down)
        stop_at = min(self.facts[2], -(-stop * self.down // self.up) + reach)
        decoded = self._decoded(shared * self.down, stop_at)
        made = resample_poly(decoded, self.up, self.down, axis=-1)
        first = start - shared * self.up
        return made[:, first : first + stop - start].astype(np.float32, copy=False)

    def _decoded(self, first: int, last: int) -> Samples:
        """Samples of the file, counted at its own rate; what was decoded for the last call is not decoded again."""
        end = self.at + self.held.shape[1]
        if not self.at <= first <= end:
            self.held, self.at, end = self.held[:, :0], first, first
            self._seek(first)
        kept = self.held[:, first - self.at :]
        if last > end:
            kept = np.concatenate([kept, self._read(end, last)], axis=1)
        self.held, self.at = kept, first
        return kept[:, : last - first]

    def _seek(self, first: int) -> None:
        soundfile = library()
        before = min(first, SETTLE) if self.file.format == "MP3" else 0
        try:
            self.file.seek(first - before)
            self.file.read(before, dtype="float32")
        except (OSError, soundfile.SoundFileError) as error:
            raise Unreadable(reason(error)) from None

    def _read(self, first: int, last: int) -> Samples:
        soundfile = library()
        try:
            found = self.file.read(last - first, dtype="float32", always_2d=True).T
        except (OSError, soundfile.SoundFileError) as error:
            raise Unreadable(reason(error)) from None
        if found.shape[1] < last - first:
            raise Unreadable(f"it has been cut short: {first + found.shape[1]} of {self.facts[2]} samples are there")
        check_finite(found, self.where, first)
        return found.mean(0, keepdims=True) if self.mono else np.ascontiguousarray(found)
