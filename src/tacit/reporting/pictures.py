"""Many small pictures from one embedded PNG."""

from __future__ import annotations

import base64
import html
import importlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError
from tacit.modalities import modality
from tacit.reporting.sheets import Sheet, sheet

PIXELS = 4_000_000
"""Pixels of one sheet, about: what keeps the file at a few megabytes."""
CRISP = 48
"""Pictures smaller than this are shown with hard pixels instead of blurred ones."""


def plots_of(kind: str) -> ModuleType | None:
    """The module that draws this kind of data, None where the modality is unknown or has none."""
    try:
        return importlib.import_module(".plots", modality(kind).__name__)
    except OptionError:
        return None
    except ModuleNotFoundError as error:
        if error.name != f"tacit.modalities.{kind}.plots":
            raise
        return None


def caption_of(plots: ModuleType, stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures; may be empty."""
    return plots.caption(stored) if hasattr(plots, "caption") else ""


def shrunk(stored: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures ``[n, h, w, 3]`` with sides of at most ``side`` pixels: averages over whole blocks, so that thin lines
    stay to be seen."""
    block = -(-max(stored.shape[1:3]) // side)
    if block == 1:
        return stored
    rows, columns = (-(-n // block) for n in stored.shape[1:3])
    spare = ((0, 0), (0, rows * block - stored.shape[1]), (0, columns * block - stored.shape[2]), (0, 0))
    whole = np.pad(stored, spare, mode="edge").reshape(len(stored), rows, block, columns, block, 3)
    return whole.mean((2, 4)).round().astype(np.uint8)


@dataclass(frozen=True)
class Sprite:
    """Pictures that the page shows by their position in one sheet.

    Attributes:
        name: the CSS class that carries the sheet.
        sheet: the pictures.
    """

    name: str
    sheet: Sheet

    @classmethod
    def of(cls, name: str, stored: NDArray[np.uint8], plots: ModuleType, largest: int) -> Sprite:
        """A sprite of stored thumbnails; with many of them the pictures shrink."""
        side = int(np.clip((PIXELS / max(len(stored), 1)) ** 0.5, 16, largest))
        return cls(name, sheet(getattr(plots, "tiles", shrunk)(stored, side)))

    def css(self) -> str:
        """The rule that gives elements of the class ``name`` the sheet, at any displayed size."""
        s = self.sheet
        data = base64.b64encode(s.png).decode("ascii")
        return (
            f".tile.{self.name}{{background-image:url(data:image/png;base64,{data});"
            f"background-size:{100 * s.columns}% {100 * s.rows}%;aspect-ratio:{s.width}/{s.height}}}"
        )

    def at(self, index: int) -> str:
        """The CSS background position of one picture."""
        s = self.sheet
        row, column = divmod(int(index), s.columns)
        x = 100 * column / (s.columns - 1) if s.columns > 1 else 0
        y = 100 * row / (s.rows - 1) if s.rows > 1 else 0
        return f"{x:.4f}% {y:.4f}%"

    def tile(self, index: int, label: str) -> str:
        """One picture as an element, described by ``label``."""
        crisp = " crisp" if max(self.sheet.width, self.sheet.height) < CRISP else ""
        text = html.escape(label)
        return (
            f'<span class="tile {self.name}{crisp}" role="img" aria-label="{text}" title="{text}" '
            f'style="background-position:{self.at(index)}"></span>'
        )
