"""Views of images: the whole batch at once on its device, each sample with its own parameters.

What comes out has the distribution of ``torchvision``'s per-sample transforms on float images: whole-pixel crop
boxes, antialiased resizing, colour changes in random order with a clamp after each, hue in HSV, Gaussian blur. All
parameters of all views are drawn in one call; samples are then worked on in chunks that stay in the processor's cache.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch
from tacit.modalities.image import blur, colour, geometry, memory
from tacit.modalities.image.boxes import NUMBERS, Boxes, central_boxes, join_rows, random_boxes, take_rows
from tacit.modalities.image.overlay import overlay
from tacit.modalities.image.recipes import RECIPES, Recipe, resolve
from tacit.modalities.image.spec import Spec
from tacit.modalities.image.turn import draw_turns, turned
from tacit.parts.draws import Draws
from tacit.views.base import View, Views, check_channels
from tacit.views.shared import AndShared

__all__ = ["RECIPES", "Recipe", "evaluation_view", "make_views", "normalise"]

_SLAB = 1 << 21
"""Numbers that are reordered together on a CPU: they stay in the third-level cache."""
_CROP = NUMBERS
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
            ``jitter=0.8``, ``strength=1.0``, ``gray=0.2``, ``blur=0.5``, ``solarize=0.0``, ...), or in the smaller
            views of ``multi-crop`` alone (``local_crop_scale=(0.05, 0.14)``, ...), and ``count``; for
            ``pair-and-shared`` also ``chunk``, the number of images in a row that share a change.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    if recipe == "random-field":
        from tacit.modalities.image.random_field import random_field_views

        return random_field_views(spec, **options)
    if recipe == "policy":
        from tacit.modalities.image.policy import PolicyViews

        return PolicyViews(spec, **options)
    if recipe == "lightness":
        from tacit.modalities.image.lightness import LightnessView

        return LightnessView(spec, **options)
    if recipe == "pair-and-shared":
        shared = {"chunk": options.pop("chunk")} if "chunk" in options else {}
        return AndShared(ImageViews(spec, resolve("pair", spec, **options)), **shared)
    return ImageViews(spec, resolve(recipe, spec, **options))


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the largest centred box of the true geometry with the aspect of ``spec.size``,
    resized to it with antialiasing, normalised."""
    return CentralView(spec)


def normalise(x: Tensor, spec: Spec, out: Tensor | None = None) -> Tensor:
    """``(x - mean) / std`` per channel of ``[B, C, H, W]``; to ``out``, or in place."""
    scale, shift = _scale_shift(spec, x.device)
    return torch.mul(x, scale, out=x if out is None else out).add_(shift)


@functools.lru_cache(maxsize=16)
def _scale_shift(spec: Spec, device: torch.device) -> tuple[Tensor, Tensor]:
    scale = 1.0 / torch.tensor(spec.std, device=device)[:, None, None]
    return scale, -scale * torch.tensor(spec.mean, device=device)[:, None, None]


class ImageViews(Views):
    """Views made by a list of recipes whose values are all filled in; see :func:`make_views`."""

    def __init__(self, spec: Spec, recipes: list[Recipe]) -> None:
        self.spec = spec
        self.recipes = recipes
        names = ("jitter", "gray", "blur", "solarize")
        self._turn = [recipe.turn for recipe in recipes]
        self._overlay = max(recipe.overlay for recipe in recipes)
        self._made = {name for name in names if any(getattr(recipe, name) for recipe in recipes)}

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        x, count = batch["x"], len(batch["x"])
        stored = (x.shape[2], x.shape[3])
        drawn = self._draw(draws, count, stored, batch.get("aspect"))
        if self._overlay:
            x = overlay(x, draws, len(self.recipes), self._overlay)
        params = self._params(drawn, stored, x.shape[1])
        if any(self._turn):
            turns = draw_turns(draws, count, self._turn, stored)
            x = turned(x if self._overlay else x.repeat(len(self.recipes), 1, 1, 1), turns)
            params["theta"] = turns @ params["theta"]
        split = {key: value.to(x.device).split(count) for key, value in params.items()}
        return [
            {"x": seen} | {key: value[i] for key, value in split.items()}
            for i, seen in enumerate(self._seen(x, drawn, count))
        ]

    def _seen(self, x: Tensor, drawn: _Drawn, count: int) -> Iterator[Tensor]:
        """Each view, ``[B, C, H, W]``; those of one size that follow each other are made together."""
        at = 0
        for size, same in itertools.groupby(recipe.size(self.spec.size) for recipe in self.recipes):
            rows = slice(at, at := at + len(list(same)) * count)
            yield from self._render(x[rows] if len(x) > count else x, take_rows(drawn, rows), size).split(count)

    def _draw(self, draws: Draws, count: int, stored: tuple[int, int], aspect: Tensor | None) -> _Drawn:
        """Rows of all views, one view after the other; consecutive views of one recipe are drawn together."""
        u = draws.on("cpu").uniform(count, len(self.recipes), _NUMBERS).unbind(1)
        parts, at = [], 0
        for recipe, same in itertools.groupby(self.recipes):
            views = len(list(same))
            repeated = None if aspect is None else aspect.repeat(views)
            parts.append(_Drawn.draw(torch.cat(u[at : at + views]), recipe, stored, repeated))
            at += views
        return join_rows(parts)

    def _params(self, drawn: _Drawn, stored: tuple[int, int], channels: int) -> dict[str, Tensor]:
        """What was drawn, under the names that a view carries; changes that no view makes are left out."""
        params = {"theta": drawn.boxes.theta(stored), "flip": drawn.boxes.flip}
        made = self._made
        if "jitter" in made:
            params |= drawn.jitter.params(channels)
        if "gray" in made and channels == 3:
            params["gray"] = drawn.gray.float()
        if "blur" in made:
            params["blur"] = drawn.sigma
        if "solarize" in made:
            params["solarize"] = drawn.solarize.float()
        return params

    def _render(self, x: Tensor, drawn: _Drawn, view: tuple[int, int]) -> Tensor:
        """All views of one size, ``[views * B, C, H, W]``.

        Rows are taken a slab at a time, ordered inside it so that samples of a chunk have as much as possible in common
        (above all the stage at which hue is turned), and put back in order at the end of the slab.
        """
        total, cpu = len(drawn.gray), x.device.type == "cpu"
        out = memory.fresh(total, x.shape[1], *view, device=x.device)
        one = out[:1].numel()
        slab = min(max(1, _SLAB // one), total) if cpu else total
        size = geometry.chunk_rows(total, one, x.device)
        work = memory.scratch("slab", slab, *out.shape[1:], device=x.device)
        room = memory.scratch("room", min(size, slab), *out.shape[1:], device=x.device)
        height, width = view
        averaged = (drawn.boxes.height > height) | (drawn.boxes.width > width)
        key = ((drawn.jitter.stage * 2 + averaged) * 2 + (drawn.sigma > 0.0)) * 2 + drawn.gray
        for start in range(0, total, slab):
            rows = key[start : start + slab].argsort(stable=True)
            ordered = take_rows(drawn, rows + start)
            crops = geometry.Crops.of(ordered.boxes, view)
            changes = ordered.jitter.changes(x.shape[1], x.device)
            source = ((rows + start) % len(x)).to(x.device)
            for low in range(0, len(rows), size):
                part = slice(low, min(low + size, len(rows)))
                chunk = x.index_select(0, source[part])
                at = geometry.crop_resize(chunk, take_rows(crops, part), work[part])
                limits = colour.limits_of(at, chunk.dtype == torch.uint8)
                made = changes.apply(at, part, limits, room[: len(at)])
                self._finish(made, ordered, part, limits)
                normalise(made, self.spec, work[part])
            back = rows.argsort().to(x.device)
            torch.index_select(work[: len(rows)], 0, back, out=out[start : start + slab])
        return out

    def _finish(self, x: Tensor, drawn: _Drawn, rows: slice, limits: colour.Limits) -> None:
        """Gray, blur and solarize, in place; ``x`` are the samples drawn at ``rows``."""
        made = self._made
        if "gray" in made and x.shape[1] == 3:
            _on_rows(x, drawn.gray[rows], lambda part, _: part.copy_(colour.luma(part)[:, None].expand_as(part)))
        if "blur" in made:
            sigma = drawn.sigma[rows]
            _on_rows(x, sigma > 0.0, lambda part, at: blur.gaussian_blur(part, sigma[at].to(x.device), out=part))
        if "solarize" in made:
            _on_rows(x, drawn.solarize[rows], lambda part, at: colour.solarize_(part, colour.limits_rows(limits, at)))


def _on_rows(x: Tensor, chosen: Tensor, change_: Callable[[Tensor, Tensor], Tensor]) -> None:
    """``change_(samples, their rows)``, in place, for the chosen samples (bool ``[N]``, on the CPU)."""
    at = chosen.nonzero()[:, 0]
    if not len(at):
        return
    first, last = int(at[0]), int(at[-1])
    if last - first + 1 == len(at):
        change_(x[first : last + 1], at)
    else:
        rows = at.to(x.device)
        x.index_copy_(0, rows, change_(x.index_select(0, rows), at))


@dataclass
class _Drawn:
    """All that was drawn for some views, on the CPU; one row a sample of a view.

    ``sigma`` is 0 where there is no blur; ``gray`` and ``solarize`` are bool.
    """

    boxes: Boxes
    jitter: colour.Jitter
    gray: Tensor
    sigma: Tensor
    solarize: Tensor

    @classmethod
    def draw(cls, u: Tensor, recipe: Recipe, stored: tuple[int, int], aspect: Tensor | None) -> _Drawn:
        assert recipe.crop_scale is not None
        low, high = recipe.sigma
        return cls(
            random_boxes(u[:, :_CROP], stored, aspect, recipe.crop_scale, recipe.crop_ratio, recipe.flip),
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
        check_channels(x, self.spec.channels, "images")
        stored = (x.shape[2], x.shape[3])
        central = central_boxes(len(x), stored, batch.get("aspect"), size)
        out = normalise(geometry.crop_all(x, central, size), self.spec)
        return [{"x": out, "theta": central.theta(stored).to(x.device)}]
