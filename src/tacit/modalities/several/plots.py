"""Pictures of samples of several parts for the report: the parts side by side, each as its kind draws it."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.modalities.drawing import PAPER, Picture
from tacit.modalities.several.spec import Spec
from tacit.views.base import View
from tacit.views.bundle import Bundle

GAP = 1
"""White pixels between the parts."""


def as_seen(view: View, spec: Spec, side: int = 96) -> Picture:
    """What the encoder saw: a cell for each part of the data, in their order, row by row; one that the view has not
    stays white.

    Returns:
        uint8 ``[B, h, w, 3]``, of the same shape for every view.
    """
    bundle: Bundle = view["x"]
    across = math.ceil(math.sqrt(len(spec.names)))
    down = -(-len(spec.names) // across)
    cell = max((side - GAP * (across - 1)) // across, 8)
    canvas = np.full((len(bundle), *(n * (cell + GAP) - GAP for n in (down, across)), 3), PAPER, np.uint8)
    for i, name in enumerate(spec.names):
        if name not in bundle.parts:
            continue
        plots = importlib.import_module(f"{spec.package(name).__name__}.plots")
        drawn = _coloured(plots, plots.as_seen(bundle[name], spec.specs[name], cell), cell)
        row, column = (n * (cell + GAP) for n in divmod(i, across))
        height, width = min(cell, drawn.shape[1]), min(cell, drawn.shape[2])
        row, column = row + (cell - height) // 2, column + (cell - width) // 2
        canvas[:, row : row + height, column : column + width] = drawn[:, :height, :width]
    return canvas


def _coloured(plots: Any, stored: NDArray[np.uint8], cell: int) -> Picture:
    """What a kind stores, in colours."""
    made: Picture = plots.tiles(stored, cell) if hasattr(plots, "tiles") else stored
    return made


def caption(stored: Picture) -> str:
    """What a reader must know to read the pictures."""
    return "The parts of a sample stand side by side, in their order; one that a view does not have is white."
