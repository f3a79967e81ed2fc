"""An encoder's maps of all resolutions as one, for heads that say something of every place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.assessment.taps import EMBEDDING, layers_of
from tacit.errors import OptionError
from tacit.methods.base import embed
from tacit.parts.tokens import TokenEncoder, tokens_of

Self = TypeVar("Self", bound="Joined")


class Joined(nn.Module):
    """An encoder whose maps are each brought to ``width`` channels by a 1x1 convolution and to one resolution, and
    added.

    Args:
        encoder: any whose layers give maps ``[B, C, H, W]``, or tokens of patches in a grid; it is changed in place.
        view: what it will be shown, two samples or more.
        width: channels of the sum.
        frozen: keep the encoder as it is, in evaluation mode.
        purpose: what an error calls the use of it.
        grid: height and width of the sum; by default those of the finest map.

    Attributes:
        finest: height and width of the sum.

    Raises:
        OptionError: for an encoder without such maps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        view: Mapping[str, Any],
        width: int,
        frozen: bool,
        purpose: str,
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.frozen = encoder.eval(), frozen
        encoder.requires_grad_(not frozen)
        self.found: dict[str, Tensor] = {}
        self.patches = _patches(encoder, view)
        with torch.inference_mode():
            names = [name for name in layers_of(encoder, view) if name != EMBEDDING]
            self._tap(names)
            embed(encoder, dict(view))
        shapes = {name: out.shape for name, out in self.found.items() if out.ndim == 4}
        if not shapes:
            raise OptionError(f"{purpose} needs an encoder whose layers give maps [B, C, H, W], such as convnet")
        self.names = list(shapes)
        self.found.clear()
        rows, columns = max((shape[2:] for shape in shapes.values()), key=math.prod)
        self.finest: tuple[int, int] = grid or (rows, columns)
        self.join = nn.ModuleList(nn.Conv2d(shape[1], width, 1) for shape in shapes.values())

    def _tap(self, names: Sequence[str]) -> None:
        known = dict(self.encoder.named_modules())

        def keep(name: str) -> Any:
            def hook(_: nn.Module, inputs: Any, out: Any) -> None:
                if isinstance(out, Tensor) and out.ndim == 3 and self.patches is not None:
                    out = out[:, -math.prod(self.patches) :].mT.unflatten(2, self.patches)
                # a copy, as the next layer may work in place
                self.found[name] = out.clone() if isinstance(out, Tensor) else torch.empty(0)

            return hook

        for name in names:
            known[name].register_forward_hook(keep(name))

    def train(self: Self, mode: bool = True) -> Self:
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, view: Mapping[str, Any]) -> Tensor:
        """A view to maps ``[B, width, H, W]``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            embed(self.encoder, dict(view))
        found = [self.found[name] for name in self.names]
        self.found.clear()
        total, *rest = (self._brought(part, x) for part, x in zip(self.join, found, strict=True))
        for one in rest:
            total = total + one
        return total

    def _brought(self, part: nn.Module, x: Tensor) -> Tensor:
        """A map with the channels and at the resolution of the sum."""
        if math.prod(x.shape[2:]) > math.prod(self.finest):
            return part(F.adaptive_avg_pool2d(x, self.finest))
        return F.interpolate(part(x), self.finest, mode="bilinear", align_corners=False)


def _patches(encoder: nn.Module, view: Mapping[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of an encoder's tokens, where these are patches in a grid, row by row."""
    if not isinstance(encoder, TokenEncoder):
        return None
    with torch.inference_mode():
        place = tokens_of(encoder, dict(view)).position
    if place.ndim != 2 or place.shape[1] != 2:
        return None
    rows, columns = (len(place[:, axis].unique()) for axis in (0, 1))
    return (rows, columns) if rows * columns == len(place) else None


__all__ = ["Joined"]
