"""Kinds of data, one folder each.

A modality's package offers, under these names:

* ``open_source(data, **options) -> Source`` and ``recognises(data) -> bool``; all have the options ``progress``
  and ``once``
* ``Spec``: a dataclass of what views and encoders must know of the data (channels, size, statistics), with
  ``as_dict``, ``from_dict`` and ``reading`` (options to open other data alike); ``spec_of(source, **options) -> Spec``
* ``RECIPES``: names of its view recipes; ``make_views(recipe, spec, **options) -> Views`` and
  ``evaluation_view(spec) -> Views``
* ``make_encoder(name, spec, **options) -> nn.Module``, ``encoder_names() -> list[str]``,
  ``default_encoder(spec, tokens, fast) -> str``, ``wrap_encoder(module, spec) -> nn.Module``
* ``raw(view) -> [B, D]``: samples without an encoder, for comparison
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

from tacit.data import Source
from tacit.errors import DataError, unknown
from tacit.registry import modality_names


def modality(name: str) -> ModuleType:
    """The package of one kind of data."""
    if name not in modality_names():
        raise unknown("modality", name, modality_names())
    return importlib.import_module(f"tacit.modalities.{name}")


def open_source(data: Any, kind: str | None = None, **options: Any) -> Source:
    """Open ``data`` as the modality that recognises it, or as ``kind``.

    Raises:
        DataError: if no modality recognises the data, naming it.
    """
    if isinstance(data, Source):
        return data
    kinds = [kind] if kind else [name for name in modality_names() if modality(name).recognises(data)]
    if not kinds:
        raise DataError(
            f"cannot tell what kind of data {_shown(data)} is; give a folder of images, an .npy or .npz file, "
            "an array, a tensor, a list or a data set"
        )
    return modality(kinds[0]).open_source(data, **options)


def _shown(data: Any) -> str:
    """A value in a few words: its text where that is short, else its type with its shape or length."""
    name = type(data).__name__
    if hasattr(data, "shape"):
        return f"{name} of shape {list(data.shape)}"
    if isinstance(data, (str, os.PathLike)):
        return f"'{os.fspath(data)!s:.200}'"
    return f"{name} of length {len(data)}" if hasattr(data, "__len__") else name
