"""Kinds of data, one folder each.

A kind's package offers, under these names:

* ``NOUN``: what one sample is called, singular and plural
* ``ENDINGS``: endings of files that are surely of this kind, lower case (``(".wav", ".flac")``)
* ``recognises(data) -> Claim``: how sure it is that ``data`` (an array, a list, a path whose ending no kind has for
  itself, ...) is of its kind, told without reading much and without importing optional libraries
* ``is_layout(folder) -> bool``, if the layout of a folder can tell that it is of this kind, whatever the endings of the
  files in it; may be left out
* ``open_source(data, **options) -> Source``; all have the options ``progress`` and ``once``
* ``Spec``: a frozen dataclass of what views and encoders must know of the data (channels, size, statistics), with
  ``as_dict``, ``from_dict``, ``reading`` (options to open other data alike) and ``words`` (for the announcement);
  ``spec_of(source, **options) -> Spec``
* ``ALONE``: options of ``open_source`` that need no ``data.`` before them and are given to ``spec_of`` too, if any
* ``RECIPES``: names of its view recipes; ``make_views(recipe, spec, **options) -> Views`` and
  ``evaluation_view(spec) -> Views``
* ``make_encoder(name, spec, **options) -> nn.Module``, ``encoder_names() -> list[str]``,
  ``default_encoder(spec, tokens, fast) -> str``, ``wrap_encoder(module, spec) -> nn.Module``
* ``raw(view) -> [B, D]``: samples without an encoder, for comparison

and has the modules ``plots`` (how the report draws a sample, see :mod:`tacit.modalities.drawing`), ``synthetic`` with
``sample(count, seed) -> data``, a small made-up data set with labels that ``open_source`` takes, and ``demo`` with
``DEMO``, a :class:`tacit.modalities.demo.Demo`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from tacit.data import Source
from tacit.errors import DataError, unknown
from tacit.modalities.looking import Claim, ending_of, endings_in, path_of, shown
from tacit.options import parameters, settle
from tacit.registry import modality_names

GENERAL = ("progress", "once")
"""Options of every reader that are not for users."""


def modality(name: str) -> ModuleType:
    """The package of one kind of data."""
    if name not in modality_names():
        raise unknown("modality", name, modality_names())
    return importlib.import_module(f"tacit.modalities.{name}")


def alone() -> list[str]:
    """Options of some kind that need no ``data.`` before them."""
    return [option for name in modality_names() for option in modality(name).ALONE]


def open_source(data: Any, kind: str | None = None, **options: Any) -> Source:
    """Open ``data`` as ``kind``, or as the kind that recognises it.

    Raises:
        DataError: if no kind recognises the data, or several do, naming it.
        OptionError: for an option that the kind does not have.
    """
    if isinstance(data, Source):
        return data
    other: list[str] = []
    if kind is None:
        kind, *other = recognised(data)
    read = modality(kind).open_source
    known = parameters(read, skip=1)
    for name in options:
        if name not in known:
            raise unknown(f"option of reading {kind} data", name, [name for name in known if name not in GENERAL])
    source = read(data, **settle(options, read, f"reading {kind} data", skip=1))
    source.also = tuple(other)
    return source


def recognised(data: Any) -> list[str]:
    """The kind that ``data`` is of, and after it those that it could be read as too.

    A file belongs to the kind that has its ending for itself, a folder to the one that knows its layout or has the most
    files in it; anything else to the kind that is surest of it.

    Raises:
        DataError: if there is none, or if several are equally sure.
    """
    kinds = {name: modality(name) for name in modality_names()}
    path = path_of(data)
    if path is not None:
        if not path.exists():
            raise DataError(f"there is no file or folder '{path}'")
        if path.is_dir():
            laid_out = [name for name, kind in kinds.items() if getattr(kind, "is_layout", _never)(path)]
            if len(laid_out) == 1:
                return laid_out
            counts = endings_in(path)
            found = {name: sum(counts[e] for e in kind.ENDINGS) for name, kind in kinds.items()}
        else:
            found = {name: int(ending_of(path, kind.ENDINGS) is not None) for name, kind in kinds.items()}
        best = [name for name, count in found.items() if count and count == max(found.values())]
        if len(best) == 1:
            return best
        if best:
            raise _several(data, best)
    claims = {name: Claim(int(kind.recognises(data))) for name, kind in kinds.items()}
    most = max(claims.values())
    best = [name for name, claim in claims.items() if claim == most]
    if most is Claim.NO:
        raise DataError(
            f"cannot tell what kind of data {shown(data)} is; give a folder of files, a file, an array, a tensor, a "
            f"list or a data set, and with --modality {'|'.join(kinds)} what it holds"
        )
    if len(best) > 1:
        raise _several(data, best)
    return best + [name for name, claim in claims.items() if claim and name not in best]


def _never(folder: Path) -> bool:
    return False


def _several(data: Any, kinds: list[str]) -> DataError:
    return DataError(f"{shown(data)} can be read as several kinds of data; say --modality {'|'.join(kinds)}")
