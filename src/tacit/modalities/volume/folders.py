"""Which files of volumes there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tacit.errors import DataError
from tacit.modalities.looking import ARRAYS, ending_of, path_of
from tacit.modalities.volume import decode, dicom
from tacit.modalities.volume.decode import NIFTI, Scan, Unreadable

READ = (*NIFTI, *ARRAYS, dicom.ENDING)
Found = tuple[list[str], list[Callable[[], Scan]], list[tuple[str, str]], str]


def listed(data: Any) -> Found:
    """The volumes of a folder at any depth (hidden files left out), of a file, or of a list of files.

    Returns:
        names, sorted; for each what looks at its header; names and reasons of what is no volume; and what an error
        calls them all.

    Raises:
        DataError: if there are none.
        MissingExtra: for DICOM series, if the library is not installed.
    """
    path = path_of(data)
    if path is None:
        paths = [Path(os.path.expanduser(item)).absolute() for item in data]
        slices = [p for p in paths if _is_slice(p)]
        if slices:
            found = _with_series(paths, slices, Path(os.path.commonpath([p.parent for p in paths])))
            return (*found, f"a list of {len(paths)} files")
        names = [os.fspath(item) for item in data]
        return names, [_opener(p) for p in paths], [], f"a list of {len(paths)} files"
    if path.is_file():
        return (*_with_series([path], [path] if _is_slice(path) else [], path.parent), f"'{path}'")
    if not path.is_dir():
        raise DataError(f"there is no file or folder '{path}'")
    files: list[Path] = []
    for folder, inner, names in os.walk(path, followlinks=False):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        files += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
    slices = [file for file in files if _is_slice(file)]
    volumes = [file for file in files if ending_of(file, (*NIFTI, *ARRAYS))]
    if not slices and not volumes:
        raise DataError(f"there are no volumes ({', '.join(READ)}) in '{path}'")
    return (*_with_series([*volumes, *slices], slices, path), f"'{path}'")


def _is_slice(path: Path) -> bool:
    """Whether a file is of DICOM: by its ending or, as many have none, by its first bytes."""
    if ending_of(path, (*NIFTI, *ARRAYS)):
        return False
    return bool(ending_of(path, (dicom.ENDING,))) or (has_no_ending(path) and dicom.has_preamble(path))


def has_no_ending(path: Path) -> bool:
    """Whether a file has no ending, or one of digits as in ``1.2.840.113619.2``."""
    return not path.suffix or path.suffix[1:].isdigit() or path.suffix.lower() == ".ima"


def _opener(path: Path) -> Callable[[], Scan]:
    return lambda: decode.looked(path)


def _with_series(
    paths: Sequence[Path], slices: Sequence[Path], base: Path
) -> tuple[list[str], list[Callable[[], Scan]], list[tuple[str, str]]]:
    """Files of volumes, and slices put together as series, by name."""
    known = set(slices)
    made: dict[str, Callable[[], Scan]] = {
        path.relative_to(base).as_posix(): _opener(path) for path in paths if path not in known
    }
    bad: list[tuple[str, str]] = []
    if slices:
        found, refused = dicom.series_in(slices)
        bad = [(path.relative_to(base).as_posix(), reason) for path, reason in refused]
        several = [folder for folder, _ in found]
        for (folder, series), headers in found.items():
            name = folder.relative_to(base).as_posix() if folder != base else base.name
            made[name if several.count(folder) == 1 else f"{name}/{series}"] = _series(headers)
    names = sorted(made)
    if not names:
        raise DataError(f"none of the {len(paths)} files can be read; '{bad[0][0]}': {bad[0][1]}")
    return names, [made[name] for name in names], bad


def _series(headers: Sequence[Any]) -> Callable[[], Scan]:
    return lambda: dicom.looked(headers)


__all__ = ["READ", "Unreadable", "has_no_ending", "listed"]
