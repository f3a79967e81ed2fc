"""Pictures that come one at a time: files, lists and data sets."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from tacit.errors import DataError
from tacit.modalities.image.read_pixels import as_picture, open_picture

Picture: TypeAlias = Image.Image | np.ndarray


class Items(ABC):
    """Pictures by position, each with a label where there is one.

    Attributes:
        names: one a picture.
        headers: whether looking at a picture is far cheaper than decoding it.
        threads: whether pictures may be opened in several threads at once.
    """

    names: Sequence[str]
    headers = True
    threads = True

    @abstractmethod
    def open(self, position: int) -> tuple[Picture, int | None]:
        """The picture and its label. Raises whatever the file gives cause for."""

    @abstractmethod
    def close(self, picture: Picture) -> None:
        """Let go of what :meth:`open` opened."""


class Files(Items):
    """Image files."""

    def __init__(self, paths: Sequence[str], names: Sequence[str]) -> None:
        self.paths, self.names = paths, names

    def open(self, position: int) -> tuple[Picture, int | None]:
        return open_picture(self.paths[position]), None

    def close(self, picture: Picture) -> None:
        assert isinstance(picture, Image.Image)
        picture.close()


class Objects(Items):
    """A list, a torch ``Dataset`` or a Hugging Face data set; ``names`` are the positions as text.

    Args:
        data: gives an item for every position below ``len(data)``: a picture, ``(picture, label, ...)``, or a
            mapping with a picture under ``image``, ``x`` or ``img`` and a label under ``label`` or ``y``.
        keys: the names of picture and label in a mapping, where they are known.
    """

    headers = False
    threads = False  # a user's data set need not allow it

    def __init__(
        self,
        data: Any,
        where: str = "item",
        layout: str | None = None,
        keys: tuple[str, str | None] | None = None,
    ) -> None:
        self.data, self.where, self.layout = data, where, layout
        self.images = (keys[0],) if keys else ("image", "x", "img")
        self.labels = (keys[1],) if keys else ("label", "y")
        self.names = [str(i) for i in range(len(data))]

    def open(self, position: int) -> tuple[Picture, int | None]:
        item, where = self.data[position], f"{self.where} {position}"
        label = None
        if isinstance(item, dict):
            label = next((item[key] for key in self.labels if key in item), None)
            present = [key for key in self.images if key in item]
            if not present:
                raise DataError(f"{where} has no picture under {' or '.join(self.images)}, only {list(item)}")
            item = item[present[0]]
        elif isinstance(item, (tuple, list)) and item:
            item, label = item[0], (item[1] if len(item) > 1 else None)
        if isinstance(item, (str, os.PathLike)):
            return open_picture(os.fspath(item)), _whole(label)
        return as_picture(item, where, self.layout), _whole(label)

    def close(self, picture: Picture) -> None:
        """Nothing: the pictures are the user's."""


def _whole(label: Any) -> int | None:
    """A label as an int, or None where it is not a single integer."""
    if isinstance(label, torch.Tensor) and label.numel() == 1 and not label.is_floating_point():
        return int(label)
    if isinstance(label, np.ndarray) and label.size == 1 and label.dtype.kind in "iub":
        return int(label.item())
    return int(label) if isinstance(label, (int, np.integer)) else None
