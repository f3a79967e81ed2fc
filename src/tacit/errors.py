"""Errors that a user can act on: the command prints their one line and ends with exit code 2."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class TacitError(Exception):
    """Base of all errors that name what was wrong with the input and say what would be right."""


class DataError(TacitError, ValueError):
    """Data that cannot be read or trained on; the message names the file or the array."""


class OptionError(TacitError, ValueError):
    """An unknown name or an impossible value of an option."""


class RunError(TacitError):
    """A run folder that is missing, damaged, of another program, or in the way."""


class TrainingStopped(TacitError):
    """Training ended early to protect the weights: non-finite loss, or collapse with ``on_collapse='stop'``."""


class MissingExtra(TacitError, ImportError):
    """An optional dependency that is not installed; the message names the extra."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'tacit[{extra}]'")


def needs(module: str, extra: str, purpose: str, package: str | None = None) -> ModuleType:
    """Import an optional dependency where it is used: ``needs("av", "video", "reading .mp4 files", "PyAV")``.

    Args:
        module: what is imported.
        extra: the extra of this package that installs it.
        purpose: what it is needed for, the start of the message.
        package: its name where that is another than the module's.

    Raises:
        MissingExtra: if it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtra(package or module, extra, purpose) from None


def unknown(what: str, name: object, known: Iterable[str]) -> OptionError:
    """The error for a name that is not among ``known``, with the nearest ones suggested."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
    return OptionError(f"unknown {what} '{name}'; {hint}")
