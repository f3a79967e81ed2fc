"""Views of samples of several parts: every part in every view, or each part a view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch
from tacit.errors import OptionError, unknown
from tacit.modalities import modality
from tacit.modalities.several.options import each, parted
from tacit.modalities.several.spec import Spec
from tacit.parts.draws import Draws
from tacit.views.base import View, Views
from tacit.views.bundle import Bundle
from tacit.views.changes import ROLES

OWN = ("across", "parts")
RECIPES = (*ROLES, *OWN)


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x``, a :class:`tacit.views.bundle.Bundle` of the parts' own views.

    The recipes that methods ask for by name show every part in every view, each changed as its kind changes it.
    Without augmentation there are ``across`` (the first view is one part, the second another: the pairs of Radford et
    al. 2021, Learning Transferable Visual Models From Natural Language Supervision) and ``parts`` (a view for each
    part).

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: parts of the data.
        options: ``PART=RECIPE``, another recipe for one part, with as many views; ``PART.OPTION``, an option of its
            kind's views for one part; ``OPTION``, for all parts that have it. For ``across`` and ``parts`` also
            ``change``, the recipe of one view that a part is changed by (``plain`` by default, ``single`` to augment
            it), and for ``across`` ``pair``, the names of two parts, where there are more; by default two are drawn for
            each batch.

    Raises:
        OptionError: for an unknown recipe or option, an impossible value, or parts with different numbers of views.
    """
    if recipe not in RECIPES:
        raise unknown("views", recipe, RECIPES)
    if recipe == "across" and len(spec.names) < 2:
        raise OptionError(f"views 'across' need samples of at least two parts, and there is only '{spec.names[0]}'")
    pair = options.pop("pair", None) if recipe == "across" else None
    base = options.pop("change", "plain") if recipe in OWN else recipe
    named, common = parted(options, spec.names)
    recipes = {name: named[name].pop("", base) for name in spec.names}

    def make(name: str, more: Mapping[str, Any]) -> Views:
        made: Views = spec.package(name).make_views(recipes[name], spec.specs[name], **more)
        return made

    made = each(spec.names, named, common, make)
    if recipe not in OWN:
        return Together(made, spec.kinds)
    if recipe == "parts":
        return Apart(made, spec.kinds, None)
    if pair is not None:
        pair = tuple(pair) if isinstance(pair, (list, tuple)) else (pair,)
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(spec.names):
            raise OptionError(f"pair must be two of the parts {', '.join(spec.names)}, not {pair!r}")
    return Apart(made, spec.kinds, pair or (spec.names if len(spec.names) == 2 else "any"))


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the parts that there are, each as its kind evaluates it."""
    return Together({n: spec.package(n).evaluation_view(spec.specs[n]) for n in spec.names}, spec.kinds)


def _own(batch: Batch, name: str) -> Batch:
    """A part as a batch of its own kind."""
    part: Batch = batch["x"][name] | {"index": batch["index"]} if "index" in batch else batch["x"][name]
    return part


class Together(Views):
    """All parts in every view.

    Args:
        views: of each part, equally many.
        kinds: of data, of each part.
    """

    def __init__(self, views: Mapping[str, Views], kinds: Mapping[str, str]) -> None:
        self.views, self.kinds = dict(views), dict(kinds)

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        made = {name: self.views[name].make(_own(batch, name), draws) for name in batch["x"]}
        counts = {name: len(views) for name, views in made.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{count} of '{name}'" for name, count in counts.items())
            raise OptionError(f"all parts must have equally many views, and there are {listed}")
        rows = zip(*made.values(), strict=True)
        return [_joined(dict(zip(made, views, strict=True)), self.kinds) for views in rows]


def _joined(parts: dict[str, View], kinds: Mapping[str, str]) -> View:
    """A view of the parts' views; numbers that these carry, such as ``chunk``, are those of the whole view too."""
    shared = {key: value for part in parts.values() for key, value in part.items() if isinstance(value, int)}
    return shared | {"x": Bundle({name: part | {"kind": kinds[name]} for name, part in parts.items()})}


class Apart(Views):
    """Each view is one part.

    Args:
        views: of each part, one.
        kinds: of data, of each part.
        which: names of the parts, in order; ``any``: two that are drawn for each batch; None: all.
    """

    def __init__(
        self, views: Mapping[str, Views], kinds: Mapping[str, str], which: tuple[str, ...] | str | None
    ) -> None:
        self.views, self.kinds, self.which = dict(views), dict(kinds), which

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        names = tuple(batch["x"])
        if self.which == "any":
            first, second = draws.shared(len(names)).argsort()[:2].tolist()
            names = (names[first], names[second])
        elif self.which is not None:
            names = tuple(self.which)
        made = []
        for name in names:
            views = self.views[name].make(_own(batch, name), draws)
            if len(views) != 1:
                raise OptionError(f"part '{name}' must have one view here, and its recipe makes {len(views)}")
            made.append(_joined({name: views[0]}, self.kinds))
        return made


def raw(view: View) -> Tensor:
    """The parts without an encoder, each as its kind has it and divided by the root of its width, so that a part of
    many numbers counts no more than one of few: ``[B, D]``."""
    bundle: Bundle = view["x"]
    rows = [modality(part["kind"]).raw(part).flatten(1).float() for _, part in bundle.items()]
    return torch.cat([row / row.shape[1] ** 0.5 for row in rows], 1)
