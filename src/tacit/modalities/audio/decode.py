"""What a sound file says of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tacit.errors import needs
from tacit.modalities.audio.containers import cut_short, is_mp3

ENDINGS = (".wav", ".flac", ".ogg", ".mp3")


class Unreadable(Exception):
    """A file that cannot be decoded; the message is the reason in a few words."""


def library() -> Any:
    """The library that decodes.

    Raises:
        MissingExtra: if it is not installed.
    """
    return needs("soundfile", "audio", f"reading {', '.join(ENDINGS)} files")


def header(path: Path) -> tuple[int, int, int]:
    """Rate (Hz), number of channels and number of samples a channel of a file.

    Raises:
        Unreadable: if it cannot be decoded, or has been cut short.
    """
    soundfile = library()
    try:
        if not os.path.getsize(path):
            raise Unreadable("it is empty")
        if path.suffix.lower() == ".mp3" and not is_mp3(path):
            raise Unreadable("it has no frames of MPEG audio in it")
        if cut_short(path):
            raise Unreadable("it has been cut short")
        facts = soundfile.info(str(path))
        if not facts.frames:
            raise Unreadable("it has no samples in it")
    except (OSError, soundfile.SoundFileError) as error:
        raise Unreadable(reason(error)) from None
    return facts.samplerate, facts.channels, facts.frames


def reason(error: Exception) -> str:
    """What a library says of a file, in a few words."""
    said = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
    text = " ".join(str(said).split()).rstrip(".").removeprefix("Error : ")
    return text or "it is damaged"
