"""What the bytes of a sound file tell before any decoder does: whether it is one, and whether all of it is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tacit.modalities.looking import riff_end

RATES = (44_100, 48_000, 32_000)
"""In Hz, of MPEG 1; half of these in MPEG 2, a quarter in MPEG 2.5."""
BITS = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits a second of layer III by their number from 1, in MPEG 1 and not (ISO/IEC 11172-3 and 13818-3)."""
LOOKED = 1 << 16
"""Bytes in which the first frame of an MP3 file must begin, after what ID3 puts before it."""


def cut_short(path: Path) -> bool:
    """Whether a file ends before its own container says; what the decoder does not tell of by itself."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF":
            return riff_end(start) > size
        if start[:4] == b"OggS":
            file.seek(max(0, size - (1 << 16)))  # a page has less than 65,308 bytes
            tail = file.read()
            last = tail.rfind(b"OggS")
            if last < 0 or last + 27 > len(tail):
                return True
            ends, segments = tail[last + 5] & 4, tail[last + 26]
            body = last + 27 + segments + sum(tail[last + 27 : last + 27 + segments])
            return not ends or body > len(tail)
        first = _first_frame(file, start)
        return first is not None and _promised(file, first) > size - first
    return False


def is_mp3(path: Path) -> bool:
    """Whether a file has frames of MPEG audio, or begins as one of another sort does."""
    with open(path, "rb") as file:
        start = file.read(12)
        return start[:4] in (b"RIFF", b"OggS", b"fLaC") or _first_frame(file, start) is not None


def _first_frame(file: BinaryIO, start: bytes) -> int | None:
    """Where the first of two frames of layer III in a row begins; None where there are none."""
    tags = 0
    if start[:3] == b"ID3" and len(start) >= 10:  # seven bits of each byte count
        tags = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
    file.seek(tags)
    held = file.read(LOOKED)
    at = held.find(0xFF)
    while at >= 0:
        length = _frame_length(held[at : at + 4])
        after = held[at + length : at + length + 4]
        if length and (_frame_length(after) or len(after) < 4):
            return tags + at
        at = held.find(0xFF, at + 1)
    return None


def _frame_length(head: bytes) -> int:
    """Bytes of a frame of layer III by its first four; 0 where they begin none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2 or head[1] >> 3 & 3 == 1:
        return 0
    version, bits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if not 0 < bits < 15 or rate == 3:
        return 0
    first = version == 3
    hertz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if first else 72) * 1000 * BITS[first][bits - 1] // hertz + (head[2] >> 1 & 1)


def _promised(file: BinaryIO, first: int) -> int:
    """Bytes from the first frame on that the tag in it says there are; 0 where it has none."""
    file.seek(first)
    frame = file.read(64)
    mono, one = frame[3] >> 6 == 3, frame[1] >> 3 & 3 == 3
    at = 4 + ((17 if mono else 32) if one else (9 if mono else 17))
    if frame[at : at + 4] not in (b"Xing", b"Info") or frame[at + 7] & 2 == 0:
        return 0
    place = at + 8 + 4 * (frame[at + 7] & 1)
    return int.from_bytes(frame[place : place + 4], "big")
