"""The gallery of a run: a sample of the data with its embeddings, and some views as the encoder saw them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tacit import files
from tacit.errors import DataError, RunError


@dataclass(frozen=True)
class Gallery:
    """What the report shows of the data.

    Attributes:
        thumbnails: uint8 ``[n, ...]``, what the modality's ``plots`` module draws (images: ``[n, C, h, w]``).
        names: ``[n]`` text, what identifies each sample to a person.
        labels: int64 ``[n]``, -1 where unknown; for looking at only.
        classes: ``[k]`` text, the names of labels 0 to k-1; may be empty.
        embeddings: float32 ``[n, D]``.
        views: uint8 ``[v, m, ...]``: m samples in v views each.
        view_sources: int64 ``[m]``, the positions among the thumbnails that the views were made of.
    """

    thumbnails: NDArray[np.uint8]
    names: NDArray[np.str_]
    labels: NDArray[np.int64]
    classes: NDArray[np.str_]
    embeddings: NDArray[np.float32]
    views: NDArray[np.uint8]
    view_sources: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.thumbnails)
        for what in ("names", "labels", "embeddings"):
            if len(getattr(self, what)) != count:
                raise DataError(f"a gallery of {count} thumbnails needs as many {what}, not {len(getattr(self, what))}")
        if self.embeddings.ndim != 2:
            raise DataError(f"embeddings must be [n, D], not of shape {list(self.embeddings.shape)}")
        shown = self.views.shape[1] if self.views.ndim > 1 else 0
        if len(self.view_sources) != shown:
            raise DataError(f"view_sources must name the {shown} samples that the views are of")
        if shown and not 0 <= self.view_sources.min() <= self.view_sources.max() < count:
            raise DataError(f"view_sources must be positions from 0 to {count - 1}")

    def class_name(self, index: int) -> str | None:
        """The class of a sample in words, None where it is unknown."""
        label = int(self.labels[index])
        if label < 0:
            return None
        return str(self.classes[label]) if label < len(self.classes) else str(label)


def make_gallery(
    folder: Path,
    thumbnails: ArrayLike,
    names: Sequence[str],
    labels: ArrayLike | None,
    classes: Sequence[str] | None,
    embeddings: ArrayLike,
    views: ArrayLike | None = None,
    view_sources: ArrayLike | None = None,
) -> Path:
    """Write ``gallery.npz`` into a run folder, atomically; :class:`Gallery` has the shapes.

    Floating-point thumbnails and views are taken to lie in [0, 1]. Labels and views may be missing.

    Raises:
        DataError: if the arrays do not belong together.
        RunError: if the file cannot be written.
    """
    pictures = _pixels(thumbnails)
    gallery = Gallery(
        thumbnails=pictures,
        names=np.asarray([str(name) for name in names], dtype=np.str_),
        labels=np.full(len(pictures), -1, np.int64) if labels is None else np.asarray(labels, dtype=np.int64),
        classes=np.asarray([str(name) for name in classes or ()], dtype=np.str_),
        embeddings=np.asarray(embeddings, dtype=np.float32),
        views=np.zeros((0, 0), np.uint8) if views is None else _pixels(views),
        view_sources=np.asarray([] if view_sources is None else view_sources, dtype=np.int64),
    )
    path = Path(folder) / "gallery.npz"
    arrays = {field.name: getattr(gallery, field.name) for field in fields(gallery)}
    try:
        files.write(path, lambda file: np.savez_compressed(file, **arrays))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def load_gallery(path: Path) -> Gallery:
    """Read ``gallery.npz``; nothing in it is unpickled.

    Raises:
        RunError: naming the file, when it is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays: dict[str, Any] = {field.name: stored[field.name] for field in fields(Gallery)}
        for name in ("thumbnails", "views"):
            arrays[name] = _pixels(arrays[name])
        return Gallery(**arrays)
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no {path.name}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged: {error}") from None


def _pixels(pictures: ArrayLike) -> NDArray[np.uint8]:
    values = np.asarray(pictures)
    if values.dtype == np.uint8:
        return values
    return (np.nan_to_num(values).clip(0, 1) * 255).round().astype(np.uint8)
