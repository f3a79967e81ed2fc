"""Sheets of many small pictures."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tacit.errors import DataError


@dataclass(frozen=True)
class Sheet:
    """Many pictures of one size in one PNG, row by row from the top left.

    Attributes:
        png: the encoded file.
        columns, rows: pictures across and down; the last row may end with empty places.
        width, height: of one picture, in pixels.
    """

    png: bytes
    columns: int
    rows: int
    width: int
    height: int


def sheet(pictures: NDArray[np.uint8]) -> Sheet:
    """Put pictures ``[n, h, w, 3]`` side by side into one PNG, as near to a square as it gets.

    Raises:
        DataError: if there are no pictures.
    """
    count, height, width, _ = pictures.shape
    if not pictures.size:
        raise DataError("a sheet needs at least one picture")
    columns = math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    grid = np.zeros((rows * columns, height, width, 3), np.uint8)
    grid[:count] = pictures
    grid = grid.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    canvas = grid.reshape(rows * height, columns * width, 3)
    image = Image.fromarray(canvas)
    if (canvas == canvas[..., :1]).all():
        image = image.convert("L")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=9)
    return Sheet(file.getvalue(), columns, rows, width, height)
