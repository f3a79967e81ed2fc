"""Views whose random numbers several samples share."""

from __future__ import annotations

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.parts.draws import Draws
from tacit.views.base import View, Views


class AndShared(Views):
    """Ordinary views, and then as many more that are the same change for all samples of a chunk.

    A chunk is so many samples in a row, counted over all ranks; a batch's last one may be smaller. A shared view has
    the entry ``chunk``: the number of samples in a chunk.

    Args:
        views: makes both halves; all its randomness comes from :class:`tacit.parts.draws.Draws`.
        chunk: samples in a chunk, at least 2.

    Raises:
        OptionError: for a chunk below 2.
    """

    def __init__(self, views: Views, chunk: int = 16) -> None:
        if not isinstance(chunk, int) or chunk < 2:
            raise OptionError(f"chunk must be a whole number of samples, at least 2, not {chunk!r}")
        self.views = views
        self.chunk = chunk

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        own = self.views.make(batch, draws)
        return own + [view | {"chunk": self.chunk} for view in self.views.make(batch, draws.in_chunks(self.chunk))]
