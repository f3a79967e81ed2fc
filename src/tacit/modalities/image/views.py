"""Views of images: the whole batch at once on its device, each sample with its own parameters.

What comes out has the distribution of ``torchvision``'s per-sample transforms on float images: whole-pixel crop
boxes, antialiased resizing, colour changes in random order with a clamp after each, hue in HSV, Gaussian blur. All
parameters of all views are drawn in one call; samples are then worked on in chunks that stay in the processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch
from tacit.modalities.image import blur, colour, geometry
from tacit.modalities.image.recipes import RECIPES, Recipe, resolve
from tacit.modalities.image.spec import Spec
from tacit.parts.draws import Draws
from tacit.views.base import View, Views

__all__ = ["RECIPES", "Recipe", "evaluation_view", "make_views", "normalise"]

_CROP = geometry.NUMBERS
_JITTER = _CROP + colour.NUMBERS
_GRAY, _BLUR, _SIGMA, _SOLARIZE = range(_JITTER, _JITTER + 4)
_NUMBERS = _JITTER + 4


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES` for images of ``spec``.

    A batch is ``{"x": uint8 or float32 [B, C, h, w], "aspect": float32 [B] (optional)}``; ``aspect`` is the true width
    over height of images that were squashed to be stored. Each view has ``x`` (float32 ``[B, C, H, W]``, normalised),
    ``theta`` (``[B, 2, 3]``, the sampling grid from stored image to view, flip included) and what was drawn.

    uint8 pixels are scaled to [0, 1]. Float pixels stay as they are, and colour changes keep them in [0, 1] or, where
    an image leaves that, in its own range. Images that have not three channels get neither hue, saturation nor
    gray; their brightness and contrast change all channels together, around the mean of all channels.

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: channels, size and statistics of the views.
        options: fields of :class:`Recipe` to override in all views (``crop_scale=(0.2, 1.0)``, ``flip=0.5``,
            ``jitter=0.8``, ``strength=1.0``, ``gray=0.2``, ``blur=0.5``, ``solarize=0.0``, ...), and ``count``.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    if recipe == "random-field":
        from tacit.modalities.image.random_field import random_field_views

        return random_field_views(spec, **options)
    return ImageViews(spec, resolve(recipe, spec, **options))


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the largest centred box of the true geometry with the aspect of ``spec.size``,
    resized to it with antialiasing, normalised."""
    return CentralView(spec)


def normalise(x: Tensor, spec: Spec) -> Tensor:
    """``(x - mean) / std`` per channel, in place: ``[B, C, H, W]``."""
    scale = [1 / value for value in spec.std]
    shift = [-m * s for m, s in zip(spec.mean, scale, strict=True)]
    x.mul_(torch.tensor(scale, device=x.device)[:, None, None])
    return x.add_(torch.tensor(shift, device=x.device)[:, None, None])


class ImageViews(Views):
    """Views made by a list of recipes whose values are all filled in; see :func:`make_views`."""

    def __init__(self, spec: Spec, recipes: list[Recipe]) -> None:
        self.spec = spec
        self.recipes = recipes

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        x, count, views = batch["x"], len(batch["x"]), len(self.recipes)
        stored = (x.shape[2], x.shape[3])
        u = Draws(draws.generator).uniform(count, views, _NUMBERS).unbind(1)
        aspect = batch.get("aspect")
        each = [
            _Drawn.draw(part, recipe, stored, aspect) for part, recipe in zip(u, self.recipes, strict=True)
        ]
        drawn = geometry.join_rows(each)
        rows = {"x": self._render(x, drawn)} | self._params(drawn, stored, x.shape[1])
        split = {key: value.to(x.device).split(count) for key, value in rows.items()}
        return [{key: value[i] for key, value in split.items()} for i in range(views)]

    def _params(self, drawn: _Drawn, stored: tuple[int, int], channels: int) -> dict[str, Tensor]:
        """What was drawn, under the names that a view carries; changes that no view makes are left out."""
        params = {"theta": drawn.boxes.theta(stored), "flip": drawn.boxes.flip}
        made = {
            name
            for name in ("jitter", "gray", "blur", "solarize")
            if any(getattr(r, name) for r in self.recipes)
        }
        if "jitter" in made:
            params |= drawn.jitter.params(channels)
        if "gray" in made and channels == 3:
            params["gray"] = drawn.gray.float()
        if "blur" in made:
            params["blur"] = drawn.sigma
        if "solarize" in made:
            params["solarize"] = drawn.solarize.float()
        return params

    def _render(self, x: Tensor, drawn: _Drawn) -> Tensor:
        """All views, ``[views * B, C, H, W]``, worked on in order of the stage at which hue is turned."""
        height, width = self.spec.size
        rows = drawn.jitter.stage.argsort(stable=True)
        out = torch.empty(len(rows), x.shape[1], height, width, device=x.device)
        unit = x.dtype == torch.uint8
        size = geometry.chunk_rows(len(rows), out[0].numel(), x.device)
        for at, part in zip(out.split(size), rows.split(size), strict=True):
            source = x.index_select(0, (part % len(x)).to(x.device))
            at.copy_(self._one(source, drawn, part, unit))
        return out.index_select(0, rows.argsort().to(x.device))

    def _one(self, source: Tensor, drawn: _Drawn, rows: Tensor, unit: bool) -> Tensor:
        x = geometry.crop_resize(source, drawn.boxes[rows], self.spec.size)
        limits = colour.limits_of(x, unit)
        drawn.jitter.apply_(x, rows, limits)
        if x.shape[1] == 3:
            _on_rows(
                x, drawn.gray[rows], lambda part, _: part.copy_(colour.luma(part)[:, None].expand_as(part))
            )
        sigma = drawn.sigma[rows]
        _on_rows(x, sigma > 0, lambda part, at: blur.gaussian_blur(part, sigma[at].to(x.device)))
        _on_rows(x, drawn.solarize[rows], lambda part, at: colour.solarize_(part, _rows_of(limits, at)))
        return normalise(x, self.spec)


def _rows_of(limits: colour.Limits, at: Tensor) -> colour.Limits:
    low, high = limits
    if isinstance(low, Tensor) and isinstance(high, Tensor):
        return low[at.to(low.device)], high[at.to(high.device)]
    return limits


def _on_rows(x: Tensor, chosen: Tensor, change: Any) -> None:
    """Replace the chosen samples (bool ``[N]``, on the CPU) by ``change(samples, their rows)``."""
    at = chosen.nonzero()[:, 0]
    if len(at):
        rows = at.to(x.device)
        x.index_copy_(0, rows, change(x.index_select(0, rows), at))


@dataclass
class _Drawn:
    """All that was drawn for some views, on the CPU; one row a sample of a view.

    ``sigma`` is 0 where there is no blur; ``gray`` and ``solarize`` are bool.
    """

    boxes: geometry.Boxes
    jitter: colour.Jitter
    gray: Tensor
    sigma: Tensor
    solarize: Tensor

    @classmethod
    def draw(cls, u: Tensor, recipe: Recipe, stored: tuple[int, int], aspect: Tensor | None) -> _Drawn:
        assert recipe.crop_scale is not None
        low, high = recipe.sigma
        return cls(
            geometry.random_boxes(
                u[:, :_CROP], stored, aspect, recipe.crop_scale, recipe.crop_ratio, recipe.flip
            ),
            colour.Jitter.draw(u[:, _CROP:_JITTER], recipe.strengths, recipe.jitter),
            u[:, _GRAY] < recipe.gray,
            torch.where(u[:, _BLUR] < recipe.blur, low + (high - low) * u[:, _SIGMA], 0.0),
            u[:, _SOLARIZE] < recipe.solarize,
        )


class CentralView(Views):
    """See :func:`evaluation_view`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        x, size = batch["x"], self.spec.size
        stored = (x.shape[2], x.shape[3])
        boxes = geometry.central_boxes(len(x), stored, batch.get("aspect"), size)
        rows = geometry.chunk_rows(len(x), x[:1].numel(), x.device)
        parts = [
            geometry.crop_resize(x[i : i + rows], boxes[i : i + rows], size) for i in range(0, len(x), rows)
        ]
        return [{"x": normalise(torch.cat(parts), self.spec), "theta": boxes.theta(stored).to(x.device)}]
