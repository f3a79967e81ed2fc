"""Checkpoints: written atomically, verified when read, the damaged ones passed over."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

import torch

from tacit.errors import RunError
from tacit.files import write

NAME = re.compile(r"step-(\d{9})-([0-9a-f]{8})\.pt")


def save(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Write the state after ``step`` steps and delete all but the ``keep`` newest checkpoints.

    The name carries the content's CRC-32, so one rename publishes both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = _pack(state)
    path = folder / f"step-{step:09d}-{zlib.crc32(content):08x}.pt"
    write(path, lambda file: file.write(content))
    for old in _listed(folder)[keep:]:
        old.unlink(missing_ok=True)
    return path


def latest(folder: Path) -> dict[str, Any] | None:
    """The newest intact state, or None where there is no checkpoint; a damaged one is named in a warning.

    Raises:
        RunError: if there are checkpoints and all of them are damaged.
    """
    paths = _listed(folder)
    for path in paths:
        try:
            return read(path)
        except RunError as error:
            warnings.warn(f"{error}; falling back to the checkpoint before it", stacklevel=2)
    if paths:
        raise RunError(f"every checkpoint in {folder} is damaged; start again with another --out")
    return None


def read(path: Path) -> dict[str, Any]:
    """Read one checkpoint; no code in it is run.

    Raises:
        RunError: if its content is not what was written.
    """
    content = path.read_bytes()
    match = NAME.fullmatch(path.name)
    if match and int(match[2], 16) != zlib.crc32(content):
        raise RunError(f"checkpoint {path} is damaged (its checksum differs)")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunError(f"checkpoint {path} cannot be read ({type(error).__name__})") from error


def write_plain(path: Path, state: dict[str, Any]) -> None:
    """Write a state under a name of its own, outside the rotation."""
    content = _pack(state)
    write(path, lambda file: file.write(content))


def _pack(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _listed(folder: Path) -> list[Path]:
    return sorted((p for p in folder.glob("step-*.pt") if NAME.fullmatch(p.name)), reverse=True)
