"""Where a run goes, and that it does not overwrite another."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from tacit.errors import RunError

RUN_VARIABLE = "TACIT_RUN"
"""Tells processes that a run starts itself which folder the first one made."""


def early_rank() -> int:
    """This process's rank before the process group exists, from what launchers set; 0 in a single process."""
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or os.environ.get("LOCAL_RANK") or 0)


def shared_folder(out: str | Path | None) -> Path:
    """The folder that the first process made, for one of another rank.

    Raises:
        RunError: if it cannot be known.
    """
    found = out or os.environ.get(RUN_VARIABLE)
    if not found:
        raise RunError("several processes need to be told the run folder; give --out RUN")
    return Path(found)


def new_folder(out: str | Path | None, method: str, data: dict[str, Any]) -> Path:
    """Create the folder of a new run: ``out``, or the next free ``runs/<data>-<method>-<n>``.

    Raises:
        RunError: if ``out`` already holds something, or cannot be made.
    """
    if out is None:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data.get("path") or "data").stem) or "data"
        number = 1
        while Path("runs", f"{stem}-{method}-{number}").exists():
            number += 1
        folder = Path("runs", f"{stem}-{method}-{number}")
    else:
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file; --out names a folder")
        if (folder / "config.json").exists():
            raise RunError(f"{folder} already holds a run; add --resume to continue it, or choose another --out")
        if folder.exists() and any(folder.iterdir()):
            raise RunError(f"{folder} is not empty and holds no run of tacit; choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run folder {folder}: {error.strerror}") from error
    os.environ[RUN_VARIABLE] = str(folder)
    return folder


def differences(stored: dict[str, Any], asked: dict[str, Any], path: str = "") -> list[str]:
    """What a resumed run was asked to do otherwise than its configuration says, as ``name: was A, now B``."""
    rows: list[str] = []
    for key in sorted(stored.keys() | asked.keys()):
        name = f"{path}{key}"
        old, new = stored.get(key), asked.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            rows += differences(old, new, f"{name}.")
        elif _plain(old) != _plain(new):
            rows.append(f"{name}: was {old!r}, now {new!r}")
    return rows


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
