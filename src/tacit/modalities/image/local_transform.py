"""Random local changes of images, as a transform usable alone; the views made of it stand in ``random_field``.

The paper's sampler and strengths are not published in detail: spectra, default strengths and lengths,
contrast, gamma, blur, noise and the random centre are our concrete reading of arXiv 2311.03629.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from tacit.errors import DataError, OptionError, unknown
from tacit.modalities.image import geometry
from tacit.modalities.image.local_changes import (
    COLOUR,
    FAMILIES,
    SPATIAL,
    Diagnostics,
    Drawn,
    affine_grid,
    diagnostics,
    recolour,
)
from tacit.parts.draws import Draws
from tacit.views import warps
from tacit.views.fields import FieldSampler, check_length

SCRATCH = 8
"""Numbers a pixel that count towards a chunk's size."""


@dataclass
class _Plan:
    """The random numbers of a batch: families that are on, which samples have each, and what makes their fields."""

    on: list[str]
    applied: dict[str, Tensor]
    centre: Tensor
    groups: list[tuple[float, dict[str, int], list[Tensor]]]
    white: Tensor | None


def _join(parts: list[Drawn]) -> Drawn:
    first = parts[0]
    return Drawn(
        torch.cat([part.grid for part in parts]),
        {name: torch.cat([part.fields[name] for part in parts]) for name in first.fields},
        {name: torch.cat([part.applied[name] for part in parts]) for name in first.applied},
        torch.cat([part.centre for part in parts]),
    )


class RandomField(nn.Module):
    """Local spatial and colour changes of a batch of images; a transform of its own.

    Every parameter is ``theta(x) = strength sigma phi(x)``, phi a Gaussian random field of unit variance and
    the family's correlation length: fresh and independent for each parameter, image and call. The usual
    global augmentation is the limit of infinite lengths. Spatial families make one grid, so images are
    resampled once (bilinear, reflected at the borders); then colours change.

    Lengths are in units of the shorter side. A family whose sigma is 0 is off.

    Args:
        strength: multiplies every sigma; 0 changes nothing, above 2 images lose their structure.
        spatial, colour: multiply the sigmas of the spatial and of the colour families.
        p: probability of each family, apart for each image; a number, or one by family name (others .5).
        translation: sigma of the shift, in shorter sides. Above ``strength translation / length = .25`` the
            warp folds.
        rotation: sigma of the angle, in degrees.
        scale: sigma of the two log factors.
        shear: sigma of the two shears.
        hue: sigma of the turn, 1 = full circle.
        saturation, brightness: sigma of the log factors in HSV; of offsets if ``additive``.
        contrast, gamma: sigma of the log factor and of the log exponent; off by default.
        blur: sigma of the local blur's width in shorter sides (.02 is mild); off by default.
        noise: sigma of the local standard deviation of white noise; off by default.
        random_centre: turn, scale and shear about a random point of the image in place of its middle.
        additive: saturation and brightness are added, not multiplied.
        isotropic: one scale factor for both axes.
        sampler, spectrum, exponent, features, every: see :class:`~tacit.views.fields.FieldSampler`;
            ``every=4`` samples fields at a quarter of the resolution.
        differentiable: keep gradients with respect to the images.

    Raises:
        OptionError: for a negative sigma, a length that is not positive, or an impossible value.
    """

    def __init__(
        self,
        *,
        strength: float = 1.0,
        spatial: float = 1.0,
        colour: float = 1.0,
        p: float | dict[str, float] = 0.5,
        translation: float = 0.03,
        translation_length: float = 0.3,
        rotation: float = 10.0,
        rotation_length: float = 0.5,
        scale: float = 0.1,
        scale_length: float = 0.5,
        shear: float = 0.1,
        shear_length: float = 0.5,
        hue: float = 0.05,
        hue_length: float = 0.4,
        saturation: float = 0.4,
        saturation_length: float = 0.4,
        brightness: float = 0.3,
        brightness_length: float = 0.4,
        contrast: float = 0.0,
        contrast_length: float = 0.4,
        gamma: float = 0.0,
        gamma_length: float = 0.4,
        blur: float = 0.0,
        blur_length: float = 0.4,
        noise: float = 0.0,
        noise_length: float = 0.4,
        random_centre: bool = False,
        additive: bool = False,
        isotropic: bool = False,
        sampler: str = "spectral",
        spectrum: str = "squared-exponential",
        exponent: float = 6.0,
        features: int = 128,
        every: int = 1,
        differentiable: bool = False,
    ) -> None:
        super().__init__()
        given = locals()
        self.sampler = FieldSampler(sampler, spectrum, exponent, features, every)
        self.random_centre, self.additive, self.isotropic = random_centre, additive, isotropic
        self.differentiable = differentiable
        for name in ("strength", "spatial", "colour", *FAMILIES):
            if not 0 <= given[name] < math.inf:
                raise OptionError(f"{name} must be a number of at least 0, not {given[name]}")
        self.sigma: dict[str, float] = {}
        self.length: dict[str, float] = {}
        self.p: dict[str, float] = {}
        chances = p if isinstance(p, Mapping) else dict.fromkeys(FAMILIES, p)
        for name in chances:
            if name not in FAMILIES:
                raise unknown("family in p", name, FAMILIES)
        for name in FAMILIES:
            self.sigma[name] = given[name] * strength * (spatial if name in SPATIAL else colour)
            self.length[name] = given[f"{name}_length"]
            self.p[name] = chances.get(name, 0.5)
            check_length(self.length[name], f"{name}_length")
            if not 0 <= self.p[name] <= 1:
                raise OptionError(f"p of {name} is a probability from 0 to 1, not {self.p[name]}")
        self.sigma["rotation"] = math.radians(self.sigma["rotation"])

    def extra_repr(self) -> str:
        on = ", ".join(f"{k}={v:g}" for k, v in self.sigma.items() if v)
        return f"{on}; {self.sampler.sampler}, {self.sampler.spectrum}"

    def forward(
        self, images: Tensor, draws: Draws | torch.Generator | None = None, return_fields: bool = False
    ) -> Tensor | tuple[Tensor, Drawn]:
        """Changed images.

        Args:
            images: ``[B, C, H, W]``, floating point in [0, 1], any size and aspect. Hue and saturation need
                three channels; with another number only brightness (one gain for all channels) and the
                families that do not need colours change them.
            draws: source of randomness: :class:`~tacit.parts.draws.Draws`, a generator on the CPU, or None
                for torch's global one. The same state gives the same result.
            return_fields: also return what was drawn.

        Returns:
            Images of the same shape and dtype, in [0, 1]; with ``return_fields`` also :class:`Drawn`.

        Raises:
            DataError: for images of another rank, of an integer type, with NaN, or outside [0, 1].
        """
        check_images(images)
        if not isinstance(draws, Draws):
            if draws is not None and draws.device.type != "cpu":
                raise OptionError(f"the generator must live on the CPU, not on {draws.device}; images may be anywhere")
            draws = Draws(draws, images.device)
        with torch.set_grad_enabled(self.differentiable and torch.is_grad_enabled()):
            out, drawn = self.change(images, draws, "all" if return_fields else "nothing")
        return out if drawn is None else (out, drawn)

    def change(
        self, images: Tensor, draws: Draws, keep: Literal["nothing", "grid", "all"] = "nothing"
    ) -> tuple[Tensor, Drawn | None]:
        """:meth:`forward` without its checks. What is kept of what was drawn costs time; ``grid`` leaves fields out."""
        plan = self._plan(tuple(images.shape), draws)
        outs, kept = [], []
        for rows in self._chunks(tuple(images.shape), images.device):
            drawn = self._render(plan, rows, tuple(images.shape))
            outs.append(self.apply_drawn(images[rows], drawn))
            if keep != "nothing":
                kept.append(drawn if keep == "all" else replace(drawn, fields={}))
        return torch.cat(outs), _join(kept) if kept else None

    @torch.no_grad()
    def draw(self, shape: tuple[int, ...], draws: Draws) -> Drawn:
        """Draw the parameters for images of a shape ``(B, C, H, W)``, on the device of ``draws``."""
        return self._render(self._plan(tuple(shape), draws), slice(None), tuple(shape))

    def apply_drawn(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Change images in [0, 1] as drawn; values are not checked. Nothing is done for families that are off."""
        x = images.float()
        if any(name in drawn.fields for name in SPATIAL):
            x = warps.sample(x, drawn.grid)
        colours = {name: drawn.fields[name] for name in COLOUR if name in drawn.fields}
        if colours:
            x = recolour(x, colours, self.additive, self.sigma["blur"])
        return x.to(images.dtype)

    def _plan(self, shape: tuple[int, ...], draws: Draws) -> _Plan:
        """Draw all random numbers, in an order that depends on the families and the shape alone."""
        batch, channels, height, width = shape
        on = [name for name in FAMILIES if self.sigma[name] * self.p[name] > 0 and self._suits(name, channels)]
        chance = draws.uniform(batch, len(FAMILIES))
        applied = {name: chance[:, i] < self.p[name] for i, name in enumerate(FAMILIES) if name in on}
        centre = draws.uniform(batch, 2) * 2 - 1 if self.random_centre else chance.new_zeros(batch, 2)
        groups = []
        for length in dict.fromkeys(self.length[name] for name in on):  # one length is sampled together
            sizes = {name: self._components(name) for name in on if self.length[name] == length}
            noise = self.sampler.noise(draws, batch, (height, width), length, sum(sizes.values()))
            groups.append((length, sizes, noise))
        white = draws.normal(batch, channels, height, width) if "noise" in on else None
        return _Plan(on, applied, centre, groups, white)

    @torch.no_grad()
    def _render(self, plan: _Plan, rows: slice, shape: tuple[int, ...]) -> Drawn:
        """The fields and the grid of some samples."""
        size = (shape[2], shape[3])
        applied = {name: chosen[rows] for name, chosen in plan.applied.items()}
        centre = plan.centre[rows]
        fields: dict[str, Tensor] = {}
        for length, sizes, noise in plan.groups:
            factors = [(applied[n] * self.sigma[n])[:, None].expand(-1, k) for n, k in sizes.items()]
            phi = self.sampler.field([part[rows] for part in noise], size, length, torch.cat(factors, 1))
            fields |= dict(zip(sizes, phi.split(list(sizes.values()), 1), strict=True))
        if "blur" in fields:
            fields["blur"] = fields["blur"].abs()
        if plan.white is not None:
            fields["noise"] = fields["noise"] * plan.white[rows]
        if any(name in fields for name in SPATIAL):
            grid = affine_grid(fields, size, centre if self.random_centre else None)
        else:
            grid = warps.centres(size, centre.device).expand(len(centre), -1, -1, -1)
        return Drawn(grid, {name: fields[name] for name in plan.on}, applied, centre)

    def _chunks(self, shape: tuple[int, ...], device: torch.device) -> list[slice]:
        """Rows that are worked on together: on a CPU few enough for fields and images to stay in its cache."""
        step = geometry.chunk_rows(shape[0], SCRATCH * shape[2] * shape[3], device)
        return [slice(i, i + step) for i in range(0, max(1, shape[0]), step)]

    def diagnose(self, size: tuple[int, int], batch: int = 64, seed: int = 0) -> Diagnostics:
        """:func:`diagnostics` of a batch that is drawn for the purpose, e.g. to choose a strength without data."""
        return diagnostics(self.draw((batch, 3, *size), Draws.seeded(seed)))

    def _components(self, name: str) -> int:
        return 2 if name in ("translation", "shear") or (name == "scale" and not self.isotropic) else 1

    @staticmethod
    def _suits(name: str, channels: int) -> bool:
        return channels == 3 or name not in ("hue", "saturation")


def check_images(x: Tensor) -> None:
    """Refuse what is not a batch of images in [0, 1].

    Raises:
        DataError: for another rank, an integer type, NaN, or values outside [0, 1].
    """
    if x.ndim != 4:
        raise DataError(f"images must be [B, C, H, W], not {list(x.shape)}")
    if not x.is_floating_point():
        raise DataError(f"images must be floating point in [0, 1], not {x.dtype}: divide 8-bit images by 255 first")
    if x.numel() == 0:
        return
    low, high = (float(v) for v in x.detach().aminmax())
    if math.isnan(low) or math.isnan(high):
        raise DataError("images contain NaN")
    if low < -1e-3 or high > 1 + 1e-3:
        raise DataError(f"images must be in [0, 1], but run from {low:g} to {high:g}: scale them first")
