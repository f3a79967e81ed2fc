"""Whether a video file ends before its own container says: what decoders do not always tell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tacit.modalities.looking import riff_end


def cut_short(path: Path) -> bool:
    """Whether a file is shorter than what it begins with promises.

    AVI (RIFF), MP4 and MOV (boxes), Matroska and WebM (EBML) and GIF are looked at; any other file is taken as whole.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(16)
        if start[:4] == b"RIFF":
            return riff_end(start) > size
        if start[:4] == b"\x1a\x45\xdf\xa3":
            return _segment_end(file) > size
        if start[:3] == b"GIF":
            file.seek(max(0, size - 16))
            return b"\x3b" not in file.read()  # the trailer; some programs write a few bytes more
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            return _boxes_end(file, size) > size
    return False


def _segment_end(file: BinaryIO) -> int:
    """Where a Matroska file's one segment ends; 0 where it does not say."""
    file.seek(4)
    header = _number(file)
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _number(file)
    return 0 if length < 0 else file.tell() + length


def _number(file: BinaryIO) -> int:
    """A number of variable length as EBML has it; -1 where it stands for "unknown"."""
    first = (file.read(1) or b"\x01")[0]
    size = 9 - first.bit_length()
    more = file.read(size - 1)
    value = int.from_bytes(bytes([first & (0xFF >> size)]) + more, "big")
    return -1 if value == (1 << 7 * size) - 1 else value


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last of an MP4 file's boxes ends."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:  # 64 bits
            length = int.from_bytes(head[8:16], "big")
        if length == 0:  # up to the end of the file
            return size
        if length < 8:
            return size + 1
        at += length
    return at
