"""Views of point clouds: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.modalities.points.changes import Flip, Forget, Jitter, Scaling, Shift, Tint, Turn
from tacit.modalities.points.parts import Cuboid, Dropout, Hole, Sample, Sphere, Thin, taken
from tacit.modalities.points.spec import Spec
from tacit.parts.draws import Draws
from tacit.parts.lengths import inside
from tacit.views.base import View, Views
from tacit.views.changes import ROLES, Chain, Chained, Own, chained, changed
from tacit.views.stretches import clean

CELLS = 8
"""Along each side of the grid that stands for raw input."""
REACH = 2.0
"""Where the grid ends; the root mean square distance of a cloud's points from its middle is 1."""


def chains(spec: Spec) -> dict[str, Chain]:
    """The chains of transformations for data of a spec."""
    sample, thin = Sample(points=spec.points), Thin(points=spec.points)
    move: Chain = (Turn(), Flip(p=0.0), Scaling(), Shift(p=0.0))
    look: Chain = (Jitter(), Tint(p=0.8), Forget(p=0.0))
    return {
        "strong": (sample, Sphere(), Cuboid(p=0.0), Hole(), Dropout(), *move, *look),
        "weak": (sample, Turn()),
        "local": (sample, Sphere((0.15, 0.4)), *move, *look),
        "plain": (thin,),
    }


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x`` (float32 ``[B, 3 + F, N]``: places from the middle of the cloud, 1 being its size or that of
    all; normals; features of zero mean and unit variance), ``length`` (int64 ``[B]``), ``theta`` (float32
    ``[B, 3, 4]``, from places in the whole normalised cloud to those in the view) and ``normals`` (whether there are
    any).

    The recipes that methods ask for by name are chains of the transformations in
    :mod:`tacit.modalities.points.changes` and :mod:`tacit.modalities.points.parts`. Two are of this kind alone:
    ``halves``, two parts of a cloud that have no point in common, and nothing changed; and ``cropped-and-whole``, two
    cropped views and the same two before they were cropped.

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: statistics of the data.
        options: ``<transformation>.<parameter>``, e.g. ``turn.axis=any``; see :func:`tacit.views.changes.chained`.
            For the recipes of this kind alone, the parameters of :class:`Halves` and :class:`CroppedAndWhole`.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {"halves": Halves, "cropped-and-whole": CroppedAndWhole}
    return chained(recipe, Normalise(spec), chains(spec), own, **options)


RECIPES = (*ROLES, "halves", "cropped-and-whole")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the cloud, of a large one points evenly along the order they are stored in."""
    return Chained(Normalise(spec), [chains(spec)["plain"]])


class Normalise:
    """A batch as a view: places divided by the size of the cloud or of all, features standardised, padding zero."""

    def __init__(self, spec: Spec) -> None:
        self.points, self.normals, self.each, self.scale = spec.points, spec.normals, spec.scaling == "each", spec.scale
        self.mean, self.std = torch.tensor(spec.mean), torch.tensor(spec.std)

    def __call__(self, batch: Batch) -> View:
        x = batch["x"].float()
        length = batch.get("length", torch.full((len(x),), x.shape[2], device=x.device))
        if self.each:
            square = x[:, :3].double().square().sum((1, 2)) / length
            scale = torch.where(square > 0, square, 1).sqrt().float()[:, None, None]
        else:
            scale = torch.full((1, 1, 1), self.scale, device=x.device)
        mean, std = (v.to(x.device)[:, None] for v in (self.mean, self.std))
        made = torch.cat((x[:, :3] / scale, (x[:, 3:] - mean) / std), 1)
        theta = torch.eye(3, 4, device=x.device).repeat(len(x), 1, 1)
        return clean({"length": length, "theta": theta, "normals": self.normals}, made)


class Halves(Views):
    """Two random parts of each cloud that have no point in common, without any other change: what two scans of one
    thing would have in common is the thing.

    Args:
        prepare: see :class:`tacit.views.changes.Chained`.
        points: of each part at most; as many as there are to a view by default.
        share: of the cloud in each part, in (0, 0.5].

    Raises:
        OptionError: for a number out of range.
    """

    def __init__(self, prepare: Normalise, *, points: int | None = None, share: float = 0.5) -> None:
        if points is not None and points < 1:
            raise OptionError(f"points must be at least 1, not {points}")
        if not 0 < share <= 0.5:
            raise OptionError(f"share must be above 0 and at most 0.5, not {share}")
        self.prepare, self.share, self.points = prepare, share, points or prepare.points

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        view = self.prepare(batch)
        x = view["x"]
        counts = (view["length"] * self.share).long().clamp(1, self.points)
        score = draws.along(len(x), x.shape[2])
        return [taken(view, score, counts), taken(view, -score, counts)]


class CroppedAndWhole(Views):
    """Two cropped views of each cloud, and then the same two as they were before they were cropped.

    Args:
        prepare: see :class:`tacit.views.changes.Chained`.
        points: of a view at most, before it is cropped; as many as there are to a view by default.
        share: of the points in a crop, which are those within a sphere (a range).
        degrees: of the turn about the upright axis, at most.
        factor: of the change of size (a range).
        flip: chance of a reflection.
        shift: see :class:`tacit.modalities.points.changes.Shift`; it moves the cloud against a grid of voxels.
        jitter: see :class:`tacit.modalities.points.changes.Jitter`.
        tint: chance of changed features.

    Source: the views of Masked Scene Modeling (Hermosilla et al. 2025).

    Raises:
        OptionError: for a number out of range.
    """

    def __init__(
        self,
        prepare: Normalise,
        *,
        points: int | None = None,
        share: tuple[float, float] = (0.6, 1.0),
        degrees: float = 180.0,
        factor: tuple[float, float] = (0.8, 1.25),
        flip: float = 0.5,
        shift: float = 0.2,
        jitter: float = 0.005,
        tint: float = 0.8,
    ) -> None:
        self.prepare = prepare
        self.whole: Chain = (
            Sample(points=prepare.points if points is None else points), Turn(degrees=degrees), Flip(p=flip),
            Scaling(factor), Shift(shift), Jitter(jitter), Tint(p=tint),
        )  # fmt: skip
        self.crop: Chain = (Sphere(share),)

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        plain = self.prepare(batch)
        whole = [changed(plain, self.whole, draws) for _ in range(2)]
        return [changed(view, self.crop, draws) for view in whole] + whole


def raw(view: View) -> Tensor:
    """The cloud as a small picture in space: the share of its points in each of 8 x 8 x 8 cells, and the mean of every
    feature, ``[B, 512 + F]``. A list of points could not be compared with another one number by number."""
    x = view["x"].float()
    real = inside(view["length"], x.shape[2]) if "length" in view else torch.ones_like(x[:, 0], dtype=torch.bool)
    cell = ((x[:, :3] / REACH + 1) / 2 * CELLS).long().clamp(0, CELLS - 1)
    place = (cell[:, 0] * CELLS + cell[:, 1]) * CELLS + cell[:, 2]
    count = real.sum(1, keepdim=True)
    grid = torch.zeros(len(x), CELLS**3, device=x.device).scatter_add_(1, place, real.float()) / count
    return torch.cat((grid, (x[:, 3:] * real[:, None]).sum(2) / count), 1)
