"""What a set of views is, whatever the data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch, joined
from tacit.errors import DataError, OptionError
from tacit.parts.draws import Draws

View = dict[str, Any]
"""``x``, ready for the encoder; ``length`` where it is padded (see :data:`tacit.data.Batch`); and what was done to each
sample, e.g. ``theta`` (the affine sampling grid, ``[B, 2, 3]``), ``grid`` (a dense one), or parameters under their own
names (``[B, ...]``)."""


def check_channels(x: Tensor, wanted: int, what: str, advice: str = "", unit: str = "channels") -> None:
    """Refuse samples ``[B, C, ...]`` of another number of channels, which arithmetic might broadcast.

    Raises:
        DataError: naming both numbers; ``what`` the samples are called, ``advice`` what may help.
    """
    if x.shape[1] != wanted:
        raise DataError(f"these {what} have {x.shape[1]} {unit}, and the encoder is for {wanted}{advice}")


class Views(ABC):
    """Turns a batch into views of it, all samples at once, on the device where the batch is.

    The same batch and draws give the same views. Views never carry gradients.
    """

    @torch.no_grad()
    def __call__(self, batch: Batch, draws: Draws | None = None) -> list[View]:
        """Views of the batch; each view's rows are the batch's rows in order."""
        return self.make(batch, draws or Draws(device=getattr(batch["x"], "device", "cpu")))

    @abstractmethod
    def make(self, batch: Batch, draws: Draws) -> list[View]:
        """Draw the parameters of every sample from ``draws`` and apply them."""


def signature(view: View) -> Any:
    """What views must share to go through an encoder together: the shape of a sample, save for the padding."""
    x = view["x"]
    if not isinstance(x, Tensor):
        return x.signature()
    return ("padded", x.shape[1:-1]) if "length" in view else x.shape[1:]


def alike(view: View, method: str) -> Tensor:
    """``x`` of a view whose samples are tensors of one shape.

    Raises:
        OptionError: if they are padded or no tensor; it names the method that needs them so.
    """
    if "length" in view or not isinstance(view["x"], Tensor):
        raise OptionError(f"{method} needs samples that are tensors of one shape, and these are not")
    return view["x"]


def join(views: list[View]) -> View:
    """Views of one :func:`signature` as a single larger one: what all of them carry, concatenated along the batch."""
    if len(views) == 1:
        return views[0]
    made: View = {}
    for key, first in views[0].items():
        parts: list[Any] = [view.get(key) for view in views]
        if key == "x" and not isinstance(first, Tensor):
            made[key] = type(first).join(parts)
        elif all(isinstance(part, Tensor) for part in parts):
            padded = key == "x" and "length" in views[0]
            made[key] = joined(parts) if padded else torch.cat(parts)
    return made
