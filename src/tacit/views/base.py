"""What a set of views is, whatever the data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch
from tacit.parts.draws import Draws

View = dict[str, Any]
"""``x``, ready for the encoder, and what was done to each sample, e.g. ``theta`` (the affine sampling grid,
``[B, 2, 3]``), ``grid`` (a dense one), or parameters under their own names (``[B, ...]``)."""


class Views(ABC):
    """Turns a batch into views of it, all samples at once, on the device where the batch is.

    The same batch and draws give the same views. Views never carry gradients.
    """

    @torch.no_grad()
    def __call__(self, batch: Batch, draws: Draws | None = None) -> list[View]:
        """Views of the batch; each view's rows are the batch's rows in order."""
        x = batch["x"]
        device = x.device if isinstance(x, Tensor) else torch.device("cpu")
        return self.make(batch, draws or Draws(device=device))

    @abstractmethod
    def make(self, batch: Batch, draws: Draws) -> list[View]:
        """Draw the parameters of every sample from ``draws`` and apply them."""


def join(views: list[View]) -> View:
    """Views of one shape as a single larger one: the tensors that all of them carry, concatenated along the batch."""
    if len(views) == 1:
        return views[0]
    shared = [k for k, v in views[0].items() if isinstance(v, Tensor) and all(k in other for other in views)]
    return {key: torch.cat([view[key] for view in views]) for key in shared}
