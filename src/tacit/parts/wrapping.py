"""Any module as an encoder."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError


class Wrapped(nn.Module):
    """A module that gives ``[B, dim]`` or ``[B, dim, ...]``, which is averaged over what comes after.

    ``length`` is passed on where the module has a parameter of that name.
    """

    def __init__(self, model: nn.Module, dim: int) -> None:
        super().__init__()
        self.model, self.dim = model, dim
        self._takes_length = "length" in inspect.signature(model.forward).parameters

    def forward(self, x: Any, length: Tensor | None = None) -> Tensor:
        """``x -> [B, dim]``."""
        out = self.model(x, length=length) if self._takes_length else self.model(x)
        return averaged(out, self.model, len(x))


def wrapped(module: nn.Module, sample: Any) -> nn.Module:
    """The user's own module as an encoder.

    Args:
        module: gives ``[B, D]`` or ``[B, D, ...]``.
        sample: an input of two samples; the module sees it once, in evaluation mode, to tell ``D``.

    Returns:
        ``module`` itself if it has the right ``dim``, gives ``[B, dim]`` and takes ``length``, else :class:`Wrapped`.

    Raises:
        OptionError: if it gives something else.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            out = module(sample.to(device))
    finally:
        for part, mode in modes.items():
            part.training = mode
    dim = averaged(out, module, len(sample)).shape[1]
    fits = isinstance(out, Tensor) and out.ndim == 2 and getattr(module, "dim", None) == dim
    return module if fits and "length" in inspect.signature(module.forward).parameters else Wrapped(module, dim)


def averaged(out: Any, module: nn.Module, batch: int) -> Tensor:
    """``[B, D]`` as it is, ``[B, D, ...]`` averaged over what comes after.

    Raises:
        OptionError: for anything else.
    """
    if isinstance(out, Tensor) and out.ndim >= 2 and len(out) == batch:
        return out if out.ndim == 2 else out.flatten(2).mean(2)
    got = f"shape {list(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
    raise OptionError(f"encoder {type(module).__name__} must give [B, D] or [B, D, ...] (here B = {batch}), not {got}")
