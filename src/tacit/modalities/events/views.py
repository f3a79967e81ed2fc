"""Views of histories: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.modalities.events.changes import EventDrop, FieldMask, NumberNoise, Pace, Slice, chosen, real, stretch
from tacit.modalities.events.spec import Spec
from tacit.parts.draws import Draws
from tacit.views.base import View, Views
from tacit.views.changes import ROLES, Chain, Chained, Own, Prepare, chained
from tacit.views.stretches import Several, clean

STRONG: Chain = (Slice(), EventDrop(p=0.5), FieldMask(p=0.5), NumberNoise(p=0.5), Pace(p=0.5))
CHAINS: dict[str, Chain] = {
    "strong": STRONG,
    "weak": (Slice((0.6, 1.0)),),
    "local": (Slice((0.1, 0.3)), *STRONG[1:]),
}
BINS = 64
"""Codes of a field that are counted where a history stands for itself; the rest go together."""


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x`` (float32 ``[B, C, T]``) and ``length`` (int64 ``[B]``). The rows of ``x`` are the time since the
    view's first event; the codes of each field with a list of values (0: padding, 1: unknown); the measured fields,
    normalised, 0 where missing; for those with missing values whether they are known; sine and cosine of each clock.
    ``sizes`` (int64 ``[B, K]``) holds the number of codes of each field, ``measured`` (``[B, M]``) which numbers have a
    row that says whether they are known.

    The recipes that methods ask for by name are chains of the transformations in
    :mod:`tacit.modalities.events.changes`. Besides there are three without augmentation, of several views each:
    ``slices`` (:class:`Slices`), ``subsets`` and ``split``, which are for comparison with it.

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: of the data.
        options: ``<transformation>.<parameter>``, e.g. ``slice.share='(0.2,0.8)'``; see
            :func:`tacit.views.changes.chained`. For the three recipes: ``count``, ``low`` and ``high``.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {"slices": Slices, "subsets": Subsets, "split": Split}
    return chained(recipe, Normalise(spec), CHAINS, own, **options)


RECIPES = (*ROLES, "slices", "subsets", "split")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the whole history, as it is read."""
    return Chained(Normalise(spec), [()])


class Normalise:
    """A batch as a view: numbers with zero mean and unit variance, missing ones 0 and told."""

    def __init__(self, spec: Spec) -> None:
        self.codes, self.count = len(spec.categories), len(spec.numbers)
        self.sizes = torch.tensor(spec.sizes, dtype=torch.int64)
        self.mean, self.scale = torch.tensor(spec.mean), 1 / torch.tensor(spec.std)
        self.logarithm, self.gaps = torch.tensor(spec.logarithm, dtype=torch.bool), torch.tensor(spec.gaps).bool()

    def __call__(self, batch: Batch) -> View:
        x = batch["x"]
        mean, scale, logarithm, gaps = (
            v.to(x.device) for v in (self.mean, self.scale, self.logarithm, self.gaps)
        )  # fmt: skip
        first = 1 + self.codes
        numbers = x[:, first : first + self.count]
        known = ~numbers.isnan()
        numbers = torch.where(logarithm[:, None], numbers.clamp_min(0).log1p(), numbers)
        numbers = ((numbers - mean[:, None]) * scale[:, None]).where(known, 0)
        rows = [x[:, :first], numbers, known[:, gaps].to(x.dtype), x[:, first + self.count :]]
        full = torch.full((len(x),), x.shape[2], device=x.device)
        view: View = {"length": batch.get("length", full)}
        view = clean(view, torch.cat(rows, 1))
        view["sizes"] = self.sizes.to(x.device).expand(len(x), -1)
        view["measured"] = gaps.expand(len(x), -1)
        return view


class Slices(Several):
    """Stretches of events that follow each other, nothing added.

    Their length is uniform from ``low`` to ``high`` or the whole history, and so is their place.

    Source: Babaev et al. 2022, CoLES: Contrastive Learning for Event Sequences with Self-Supervision, algorithm 1.
    """

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        view = self.prepare(batch)
        return [stretch(view, *self.part(view["length"], draws)) for _ in range(self.count)]


class Subsets(Several):
    """As :class:`Slices`, but the events of a part are chosen at random from the whole history; their order stays."""

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        view, made = self.prepare(batch), []
        for _ in range(self.count):
            size = self.size(view["length"], draws)
            score = draws.along(len(size), view["x"].shape[2]).masked_fill(~real(view), 2)
            made.append(trimmed(chosen(view, score.argsort(1).argsort(1) < size[:, None])))
        return made


class Split(Views):
    """Each event goes to one of ``count`` views at random; their order stays. Every view gets one at least of each
    history that has so many; of a shorter one some views have its first event.

    Args:
        prepare: see :class:`tacit.views.changes.Chained`.
        count: how many views.

    Raises:
        OptionError: for fewer than two views.
    """

    def __init__(self, prepare: Prepare, *, count: int = 2) -> None:
        if count < 2:
            raise OptionError(f"count must be a number of views, at least 2, not {count}")
        self.prepare, self.count = prepare, count

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        view = self.prepare(batch)
        score = draws.along(len(view["x"]), view["x"].shape[2]).masked_fill(~real(view), 2)
        rank = score.argsort(1).argsort(1)
        part = (draws.along(len(rank), rank.shape[1]) * self.count).long()
        part = torch.where(rank < self.count, rank, part)  # the first few of each history deal out one a view
        made = []
        for number in range(self.count):
            kept = (part == number) & real(view)
            kept[:, 0] |= ~kept.any(1)
            made.append(trimmed(chosen(view, kept)))
        return made


def trimmed(view: View) -> View:
    """A view without padding that no sample needs."""
    return view | {"x": view["x"][..., : int(view["length"].max())]}


def raw(view: View) -> Tensor:
    """A history by counts and averages ``[B, D]``: the share of each code (of each field the 62 most frequent, unknown
    and others), mean and standard deviation of each number and clock, of the time between events, and how many."""
    x, length, inside = view["x"], view["length"], real(view)
    parts: list[Tensor] = []
    share = inside / length[:, None]
    for i, size in enumerate(view["sizes"][0].tolist()):
        bins = min(size, BINS)
        code = x[:, 1 + i].long().clamp(0, bins - 1)
        parts.append(x.new_zeros(len(x), bins).scatter_add_(1, code, share.to(x.dtype)))
    gap = functional.pad(x[:, 0].diff(dim=1), (1, 0)).clamp_min(0).log1p()
    numbers = torch.cat((x[:, 1 + view["sizes"].shape[1] :], gap[:, None]), 1) * inside[:, None]
    mean = numbers.sum(2) / length[:, None]
    spread = ((numbers - mean[..., None]).square() * inside[:, None]).sum(2) / length[:, None]
    return torch.cat([*parts, mean, spread.sqrt(), length[:, None].to(x.dtype).log()], 1)
