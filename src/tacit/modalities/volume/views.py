"""Views of volumes: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.modalities.volume.changes import Bias, Blur, Contrast, Crop, Cutout, Flip, Gamma, Noise
from tacit.modalities.volume.spec import Spec
from tacit.parts.draws import Draws
from tacit.views.base import View, Views, check_channels
from tacit.views.changes import ROLES, Chain, Chained, Own, Prepare, chained

STRONG: Chain = (
    Crop(),
    Flip(),
    Blur(p=0.2),
    Gamma(p=0.5),
    Bias(p=0.5),
    Contrast(p=0.8),
    Noise(p=0.5),
    Cutout(p=0.2),
)
CHAINS: dict[str, Chain] = {
    "strong": STRONG,
    "weak": (Crop((0.6, 1.0)), Flip()),
    "local": (Crop((0.05, 0.3), size=0.5), *STRONG[1:]),
}
RAW = 16
"""Voxels along a side that a volume is averaged down to where it stands for itself."""


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x`` (float32 ``[B, C, D, H, W]``, normalised), ``extent`` (``[B, 3]``: its size along W, H and D, in
    mm) and ``theta`` (``[B, 3, 4]``, the affine sampling grid: what of the volume is seen).

    The recipes that methods ask for by name are chains of the transformations in
    :mod:`tacit.modalities.volume.changes`. ``crops`` changes no value: two boxes that overlap, with the voxels as they
    are.

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: statistics of the data.
        options: ``<transformation>.<parameter>``, e.g. ``crop.turn=30``; see :func:`tacit.views.changes.chained`.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {"crops": OverlappingCrops}
    return chained(recipe, Normalise(spec), CHAINS, own, **options)


RECIPES = (*ROLES, "crops")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the whole volume, normalised."""
    return Chained(Normalise(spec), [()])


class Normalise:
    """A batch as a view: zero mean and unit variance by channel over the data set."""

    def __init__(self, spec: Spec) -> None:
        self.mean, self.scale = torch.tensor(spec.mean), 1 / torch.tensor(spec.std)
        self.spacing = torch.tensor(spec.spacing).flip(0)

    def __call__(self, batch: Batch) -> View:
        x = batch["x"].float()
        check_channels(x, len(self.mean), "volumes")
        mean, scale = (v.to(x.device)[:, None, None, None] for v in (self.mean, self.scale))
        extent = self.spacing * torch.tensor(x.shape[2:]).flip(0)
        theta = torch.eye(3, 4, device=x.device).expand(x.shape[0], 3, 4)
        return {"x": (x - mean) * scale, "extent": extent.to(x.device).expand(x.shape[0], 3), "theta": theta}


class OverlappingCrops(Views):
    """Two boxes of one size out of each volume, anywhere but so that they share ``overlap`` of a box at least; not a
    voxel is changed.

    Source: the crops of SimCLR for volumes in Wald et al. 2024, An OpenMind for 3D medical vision self-supervised
    learning, which are augmented besides.

    Args:
        prepare: see :class:`tacit.views.changes.Chained`.
        side: of a box, as a share of the volume's, in (0, 1].
        overlap: share of a box's voxels that lies in the other one too, in [0, 1].

    Raises:
        OptionError: for a share out of range.
    """

    def __init__(self, prepare: Prepare, *, side: float = 0.75, overlap: float = 0.5) -> None:
        if not 0 < side <= 1:
            raise OptionError(f"side must be above 0 and at most 1, not {side}")
        if not 0 <= overlap <= 1:
            raise OptionError(f"overlap must be a share from 0 to 1, not {overlap}")
        self.prepare, self.side, self.overlap = prepare, side, overlap

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        view = self.prepare(batch)
        x = view["x"]
        sides = [max(1, round(self.side * n)) for n in x.shape[2:]]
        first, second = self.corners(draws.uniform(len(x), 2, 3), list(x.shape[2:]), sides)
        return [cut(view, corner, sides) for corner in (first, second)]

    def corners(self, u: Tensor, whole: list[int], sides: list[int]) -> tuple[Tensor, Tensor]:
        """First voxels of two boxes, int64 ``[B, 3]`` each, from uniform numbers ``[B, 2, 3]``."""
        free = torch.tensor([n - s for n, s in zip(whole, sides, strict=True)], device=u.device)
        size = torch.tensor(sides, device=u.device)
        first = (u[:, 0] * (free + 1)).long()
        far = ((1 - self.overlap ** (1 / 3)) * size + 1e-4).long()  # alike along the three axes
        low, high = (first - far).clamp_min(0), torch.minimum(first + far, free)
        return first, low + (u[:, 1] * (high - low + 1)).long()


def cut(view: View, corner: Tensor, sides: list[int]) -> View:
    """The boxes of ``sides`` voxels from ``corner`` on (int64 ``[B, 3]``)."""
    x, whole = view["x"], view["x"].shape[2:]
    for axis, size in enumerate(sides):
        at = corner[:, axis, None] + torch.arange(size, device=x.device)
        shape = [len(x), 1, *(size if a == axis else 1 for a in range(3))]
        target = [*x.shape[: axis + 2], size, *x.shape[axis + 3 :]]
        x = x.gather(axis + 2, at.view(shape).expand(target))
    scale = torch.tensor([s / n for s, n in zip(sides, whole, strict=True)], device=x.device)
    middle = (2 * corner + torch.tensor(sides, device=x.device)) / torch.tensor(whole, device=x.device) - 1
    theta = torch.cat((torch.diag(scale.flip(0)).expand(len(x), 3, 3), middle.flip(1)[:, :, None]), 2)
    return view | {"x": x, "theta": theta, "extent": view["extent"] * scale.flip(0)}


def raw(view: View) -> Tensor:
    """Voxels as vectors ``[B, C * d * h * w]``; larger volumes are averaged down to 16 voxels a side."""
    x = view["x"].float()
    depth, height, width = (min(n, RAW) for n in x.shape[2:])
    return (F.adaptive_avg_pool3d(x, (depth, height, width)) if max(x.shape[2:]) > RAW else x).flatten(1)
