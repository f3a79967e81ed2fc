"""Views whose parameters are random fields: another angle, shift and colour at every pixel, varying smoothly.

Mansfield, Afkanpour, Morningstar and Singhal, Random Field Augmentations for Self-Supervised Representation
Learning, 2023, arXiv 2311.03629. :class:`RandomField` is the transform alone.
"""

from __future__ import annotations

from typing import Any

import torch

from tacit.data import Batch
from tacit.errors import unknown
from tacit.modalities.image import geometry
from tacit.modalities.image.blur import gaussian_blur
from tacit.modalities.image.colour import jitter, limits_of, luma
from tacit.modalities.image.local_changes import Diagnostics, Drawn, diagnostics
from tacit.modalities.image.local_transform import RandomField
from tacit.modalities.image.recipes import Recipe, resolve
from tacit.modalities.image.spec import Spec
from tacit.modalities.image.views import normalise
from tacit.options import parameters, settle
from tacit.parts.draws import Draws
from tacit.registry import register
from tacit.views import warps
from tacit.views.base import View, Views

__all__ = ["Diagnostics", "Drawn", "RandomField", "RandomFieldViews", "diagnostics", "random_field_views"]


@register(
    "random-field",
    kind="views",
    family="augmentation",
    title="Random Field Augmentations for Self-Supervised Representation Learning",
    year=2023,
    url="https://arxiv.org/abs/2311.03629",
    basis="reading",
    modalities=("image",),
)
class RandomFieldViews(Views):
    """Crop, resize and flip; local spatial changes; local colour changes; the usual global changes;
    normalise.

    Each view has ``x`` (``[B, C, H, W]``), ``theta`` (``[B, 2, 3]``, of the crop alone), ``flip``, ``grid``
    (``[B, H, W, 2]``: where in the stored image each pixel comes from, crop and warp together), and each
    family's fields under ``field_<name>`` (``[B, n, H, W]``). Float images that leave [0, 1] are changed in
    their own range.

    Args:
        spec: channels, size and statistics of the views.
        transform: the local changes.
        count: number of views, fresh fields in each.
        crop_scale, crop_ratio, flip: see :class:`~tacit.modalities.image.recipes.Recipe`.
        jitter: probability of the usual global colour jitter; ``jitter_strength`` multiplies its ranges.
        gray: probability of removing the colour.
        fields: also give each family's fields, ``field_<family>``, ``[B, n, H, W]``.
        global_blur: probability of a blur of the whole image; None: .5 from 64 pixels on, 0 below.
    """

    def __init__(
        self,
        spec: Spec,
        transform: RandomField | None = None,
        *,
        count: int = 2,
        crop_scale: tuple[float, float] | None = None,
        crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        jitter: float = 0.8,
        jitter_strength: float = 1.0,
        gray: float = 0.2,
        global_blur: float | None = None,
        fields: bool = False,
    ) -> None:
        options = {
            "crop_scale": crop_scale,
            "crop_ratio": crop_ratio,
            "flip": flip,
            "jitter": jitter,
            "gray": gray,
        }
        if global_blur is not None:
            options["blur"] = global_blur
        self.spec = spec
        self.fields = fields
        self.transform = transform or RandomField()
        self.recipes = resolve("pair", spec, count=count, strength=jitter_strength, **options)
        self.transform.diagnose(spec.size)  # warns when the warp folds

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        return [self._one(batch, draws, recipe) for recipe in self.recipes]

    def _one(self, batch: Batch, draws: Draws, recipe: Recipe) -> View:
        x, params = geometry.crop_flip(
            batch["x"],
            batch.get("aspect"),
            draws,
            self.spec.size,
            recipe.crop_scale or (0.2, 1.0),
            recipe.crop_ratio,
            recipe.flip,
        )
        low, high = limits_of(x, batch["x"].dtype == torch.uint8)
        in_unit = isinstance(low, float)
        x = x if in_unit else (x - low) / (high - low)
        x, drawn = self.transform.change(x, draws, "all" if self.fields else "grid")
        assert drawn is not None
        params |= {f"local_{name}": chosen.float() for name, chosen in drawn.applied.items()}
        if recipe.jitter:
            x, changes = jitter(x, draws, *recipe.strengths, probability=recipe.jitter)
            params |= changes
        chance = draws.uniform(len(x), 3)
        if recipe.gray and x.shape[1] == 3:
            params["gray"] = (chance[:, 0] < recipe.gray).float()
            rows = params["gray"].nonzero()[:, 0]
            x[rows] = luma(x[rows])[:, None]
        if recipe.blur:
            least, most = recipe.sigma
            sigma = least + (most - least) * chance[:, 1]
            params["blur"] = torch.where(chance[:, 2] < recipe.blur, sigma, 0.0)
            rows = params["blur"].nonzero()[:, 0]
            x[rows] = gaussian_blur(x[rows], sigma[rows])
        theta = params["theta"][:, None, None]  # a crop has no turn or shear
        scale = theta[..., :2].diagonal(dim1=-2, dim2=-1)
        params["grid"] = torch.addcmul(theta[..., 2], warps.reflect(drawn.grid), scale)
        params |= {f"field_{name}": values for name, values in drawn.fields.items()}
        x = x if in_unit else x * (high - low) + low
        return {"x": normalise(x, self.spec), **params}


def random_field_views(spec: Spec, **options: Any) -> RandomFieldViews:
    """Views with random fields: keywords of :class:`RandomField` and of :class:`RandomFieldViews`.

    Raises:
        OptionError: for an unknown option (the nearest is suggested), a value of another type, or out of range.
    """
    own, local = parameters(RandomFieldViews, skip=2), parameters(RandomField)
    for name in options:
        if name not in own and name not in local:
            raise unknown("option of views 'random-field'", name, [*own, *local])
    chosen = settle({k: v for k, v in options.items() if k in own}, RandomFieldViews, "views", skip=2)
    transform = settle({k: v for k, v in options.items() if k in local}, RandomField, "views")
    return RandomFieldViews(spec, RandomField(**transform), **chosen)
