"""Changes of images whose parameters vary from pixel to pixel, given as fields; no randomness here.

A field is ``[B, n, H, W]``. Lengths are in units of the shorter side, so a turn is a turn in pixels too,
whatever the aspect. Constant fields give the usual global changes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.modalities.image.blur import gaussian_blur
from tacit.modalities.image.colour import luma
from tacit.modalities.image.hsv import hsv_to_rgb, rgb_to_hsv
from tacit.views import warps

SPATIAL = ("translation", "rotation", "scale", "shear")
COLOUR = ("hue", "saturation", "brightness", "contrast", "gamma", "blur", "noise")
FAMILIES = SPATIAL + COLOUR
FOLDED = 0.01
"""Fold rate above which :func:`diagnostics` warns."""
WIDTHS = 4
"""How many copies of an image a local blur blends, from sharp to the widest, which is three times its sigma."""


def affine_grid(fields: Mapping[str, Tensor], shape: tuple[int, int], centre: Tensor | None = None) -> Tensor:
    """The sampling grid ``y(x) = c + A(x) (x - c) + t(x)`` with ``A = R(rotation) Shear diag(exp(scale))``.

    ``R(a) = [[cos a, -sin a], [sin a, cos a]]`` and ``Shear = [[1, k1], [k2, 1]]`` act on (column, row) offsets.

    Args:
        fields: at least one of ``rotation`` (``[B, 1, H, W]``, radians), ``scale`` (``[B, 1 or 2, H, W]``,
            log), ``shear`` and ``translation`` (``[B, 2, H, W]``; column and row; translation in units of the
            shorter side).
        shape: height and width.
        centre: what rotation, scale and shear leave in place, ``[B, 2]`` (column, row), -1 to 1 over the image;
            its middle by default.

    Returns:
        ``[B, H, W, 2]`` as :func:`torch.nn.functional.grid_sample` takes it (``align_corners=False``).
    """
    device = next(iter(fields.values())).device
    wide, high = (n / min(shape) for n in shape[::-1])
    offset = warps.centres(shape, device) if centre is None else warps.centres(shape, device) - centre[:, None, None]
    across, down = offset[..., 0] * wide, offset[..., 1] * high
    if "scale" in fields:
        factor = fields["scale"].exp()
        across, down = across * factor[:, 0], down * factor[:, -1]
    if "shear" in fields:
        first, second = fields["shear"].unbind(1)
        across, down = torch.addcmul(across, first, down), torch.addcmul(down, second, across)
    if "rotation" in fields:
        cos, sin = fields["rotation"][:, 0].cos(), fields["rotation"][:, 0].sin()
        across, down = cos * across - sin * down, sin * across + cos * down
    if "translation" in fields:
        shift = fields["translation"]  # a side is 2 long in the grid's coordinates
        across, down = torch.add(across, shift[:, 0], alpha=2), torch.add(down, shift[:, 1], alpha=2)
    if wide != high:
        across, down = across / wide, down / high
    grid = torch.stack([across, down], 1).movedim(1, -1)  # interleaving the two in memory would only cost time
    return grid if centre is None else grid + centre[:, None, None]


def recolour(x: Tensor, fields: Mapping[str, Tensor], additive: bool = False, blur: float = 0.0) -> Tensor:
    """Change colours by fields, in the order of the arguments below; the result is clipped to [0, 1].

    Hue, saturation and brightness act in HSV on three channels. Brightness multiplies all channels of an
    image that has another number of them, and hue and saturation do nothing to it.

    Args:
        x: ``[B, C, H, W]`` in [0, 1]; it is not changed.
        fields: any of, ``[B, 1, H, W]`` each: ``hue`` (turns), ``saturation`` and ``brightness`` (log
            factors, or offsets if ``additive``), ``contrast`` (log factor of the distance from the image's
            mean luma), ``gamma`` (log exponent), ``blur`` (standard deviation >= 0 in units of the shorter
            side); and ``noise`` (``[B, C, H, W]``), which is added.
        additive: whether saturation and brightness are offsets in place of log factors.
        blur: the unit of the copies that a local blur blends, in units of the shorter side.

    Returns:
        ``[B, C, H, W]``.
    """
    if x.shape[1] == 3 and ("hue" in fields or "saturation" in fields or (additive and "brightness" in fields)):
        hue, saturation, value = rgb_to_hsv(x)
        if "hue" in fields:
            hue = hue + fields["hue"]
        if "saturation" in fields:
            saturation = _scaled(saturation, fields["saturation"], additive)
        if "brightness" in fields:
            value = _scaled(value, fields["brightness"], additive)
        x = hsv_to_rgb(hue, saturation, value)
    elif "brightness" in fields:
        if additive:
            x = (x + fields["brightness"]).clamp(0, 1)
        else:
            # The factor on V that stops at V = 1 keeps hue and saturation, where a clip of each channel would not.
            most = x.amax(1, keepdim=True).clamp_min(1e-8)
            x = x * torch.minimum(fields["brightness"].exp(), most.reciprocal())
    if "contrast" in fields:
        mean = luma(x).mean((1, 2))[:, None, None, None]
        x = ((x - mean) * fields["contrast"].exp() + mean).clamp(0, 1)
    if "gamma" in fields:
        x = x.clamp_min(1e-8) ** fields["gamma"].exp()
    if "blur" in fields:
        x = _blurred(x, fields["blur"], blur)
    if "noise" in fields:
        x = (x + fields["noise"]).clamp(0, 1)
    return x


def _scaled(x: Tensor, change: Tensor, additive: bool) -> Tensor:
    return (x + change if additive else x * change.exp()).clamp(0, 1)


def _blurred(x: Tensor, width: Tensor, unit: float) -> Tensor:
    """Blur each pixel by its own width: a blend of the two copies whose widths are nearest."""
    side = min(x.shape[2:])
    unit = max(unit, 1e-6)  # far below a pixel, and far above where the division fails
    level = width / unit
    out = x * (1 - level).clamp(0, 1)
    for i in range(1, WIDTHS):
        sigma = torch.full((len(x),), i * unit * side, device=x.device)
        kernel = 2 * int(3 * i * unit * side + 1) + 1
        share = (1 - (level.clamp_max(WIDTHS - 1) - i).abs()).clamp_min(0)
        out = torch.addcmul(out, gaussian_blur(x, sigma, kernel), share)
    return out


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a batch.

    Attributes:
        grid: where each output pixel is looked up, ``[B, H, W, 2]``, for ``grid_sample``
            (``align_corners=False``).
        fields: the parameters by family, ``[B, n, H, W]``, zero for samples without the family; units as in
            :func:`affine_grid` and :func:`recolour`. Families that are off are absent.
        applied: which samples have a family, bool ``[B]`` each.
        centre: what rotation, scale and shear leave in place, ``[B, 2]``, -1 to 1 over the image.
    """

    grid: Tensor
    fields: dict[str, Tensor]
    applied: dict[str, Tensor]
    centre: Tensor

    def warp_masks(self, masks: Tensor) -> Tensor:
        """The masks that belong to the changed images (nearest pixel): ``[B, H, W]`` or ``[B, C, H, W]``, any dtype."""
        return warps.sample_labels(masks, self.grid)

    def warp_keypoints(self, points: Tensor, steps: int = 50) -> tuple[Tensor, Tensor]:
        """Where points of the images are in the changed images; see :func:`tacit.views.warps.invert`.

        Args:
            points: ``[B, N, 2]``, (column, row) in pixels, (0, 0) the centre of the first pixel.

        Returns:
            Points ``[B, N, 2]``, which may have left the image, and whether the inversion found each,
            bool ``[B, N]``.
        """
        return warps.invert(self.grid, points, steps)


@dataclass(frozen=True)
class Diagnostics:
    """How strong drawn changes are.

    Attributes:
        fold_rate: share of pixels where the grid folds over (det J <= 0).
        distortion: mean of |log |det J||, 0 where areas stay the same.
        colour_energy: mean of |delta| over pixels and samples, for each colour family.
    """

    fold_rate: float
    distortion: float
    colour_energy: dict[str, float]


def diagnostics(drawn: Drawn) -> Diagnostics:
    """Measure drawn changes; warns when more than 1 % of the pixels fold."""
    fold_rate, distortion = 0.0, 0.0
    if min(drawn.grid.shape[1:3]) > 1:
        det = warps.determinant(drawn.grid)
        fold_rate = float((det <= 0).float().mean())
        distortion = float(det.abs().clamp_min(1e-12).log().abs().mean())
    if fold_rate > FOLDED:
        warnings.warn(
            f"the random warp folds {fold_rate:.1%} of the pixels over; lower strength, or keep translation / "
            "translation_length at most .25 and rotation at most 20 degrees",
            stacklevel=2,
        )
    energy = {name: float(drawn.fields[name].abs().mean()) for name in COLOUR if name in drawn.fields}
    return Diagnostics(fold_rate, distortion, energy)
