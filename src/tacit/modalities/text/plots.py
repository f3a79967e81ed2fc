"""Documents for the report: their first words."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tacit.modalities.drawing import PAPER, Picture
from tacit.modalities.text.codec import codec_of
from tacit.modalities.text.spec import Spec
from tacit.views.base import View

STORED = 160
"""Bytes of a document that are kept for the report."""
LINE = 10
"""Height of a line of text, in pixels."""


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: the beginning of the text as UTF-8, filled up with zeros.

    Returns:
        uint8 ``[B, 160]``.
    """
    codec = codec_of(spec.tokenizer)
    stored = np.zeros((len(view["x"]), STORED), np.uint8)
    for row, ids, length in zip(stored, view["x"].tolist(), view["length"].tolist(), strict=True):
        told = codec.decode(ids[: min(length, STORED)]).encode()[:STORED]
        row[: len(told)] = np.frombuffer(told, np.uint8)
    return stored


def tiles(stored: NDArray[np.uint8], side: int) -> Picture:
    """The texts drawn, as much of each as there is room for: uint8 ``[n, side, side, 3]``."""
    return np.stack([_page(row.tobytes().rstrip(b"\0").decode(errors="ignore"), side) for row in stored])


@functools.cache
def _font() -> Any:
    return ImageFont.load_default(LINE - 1)


def _page(text: str, side: int) -> NDArray[np.uint8]:
    page = Image.new("L", (side, side), PAPER)
    pen, font = ImageDraw.Draw(page), _font()
    across, down = 1.0, 0
    for word in text.split():
        wide = font.getlength(word + " ")
        if across > 1 and across + wide > side:
            across, down = 1.0, down + LINE
        if down + LINE > side:
            break
        pen.text((across, down), word, fill=0, font=font)
        across += wide
    return np.asarray(page, np.uint8)[..., None].repeat(3, -1)


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return "The first words of each document, as many as there is room for."
