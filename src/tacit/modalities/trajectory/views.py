"""Views of trajectories: with augmentation, and without."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tacit.data import Batch
from tacit.modalities.trajectory.changes import ComponentMask, Noise, Scaling, Slice
from tacit.modalities.trajectory.spec import Spec
from tacit.parts.draws import Draws
from tacit.views.base import View, Views, check_channels
from tacit.views.changes import ROLES, Chain, Chained, Own, Prepare, chained
from tacit.views.stretches import Several, clean, stretch

STRONG: Chain = (Slice(), Scaling(p=0.0), ComponentMask(p=0.5), Noise(p=0.5))
"""What is off (p=0) costs nothing and is turned on by ``--set views.scaling=0.5``."""
CHAINS: dict[str, Chain] = {
    "strong": STRONG,
    "weak": (Slice((0.6, 1.0)),),
    "local": (Slice((0.15, 0.35)), *STRONG[1:]),
}
RAW = 64
"""Steps that a trajectory is drawn out or thinned to where it stands for itself."""


def make_views(recipe: str, spec: Spec, **options: Any) -> Views:
    """The views of one of :data:`RECIPES`.

    Each view has ``x`` (float32 ``[B, C, T]``, the numbers of state, action and reward, normalised), ``length`` (int64
    ``[B]``) and ``parts`` (int64 ``[B, k]``: how many numbers each component has).

    The recipes that methods ask for by name are chains of the transformations in
    :mod:`tacit.modalities.trajectory.changes`. Besides there is ``slices``: several stretches of steps, nothing added.

    Args:
        recipe: a name in :data:`RECIPES`.
        spec: statistics of the data.
        options: ``<transformation>.<parameter>``, e.g. ``noise.sigma=0.1``; see :func:`tacit.views.changes.chained`.
            For ``slices``: ``count``, ``low`` and ``high``.

    Raises:
        OptionError: for an unknown recipe or option, or an impossible value.
    """
    own: dict[str, tuple[str, ...] | Own] = {"slices": Slices}
    return chained(recipe, Normalise(spec), CHAINS, own, **options)


RECIPES = (*ROLES, "slices")


def evaluation_view(spec: Spec) -> Views:
    """One view without randomness: the whole trajectory, normalised."""
    return Chained(Normalise(spec), [()])


class Normalise:
    """A batch as a view: zero mean and unit variance of each number, padding zero."""

    def __init__(self, spec: Spec) -> None:
        self.mean, self.scale = torch.tensor(spec.mean), 1 / torch.tensor(spec.std)
        self.parts = torch.tensor(spec.parts)
        self.advice = f": {spec.state} of state, {spec.action} of action, {spec.reward} of reward"

    def __call__(self, batch: Batch) -> View:
        x = batch["x"]
        check_channels(x, len(self.mean), "steps", self.advice, "numbers")
        mean, scale = (v.to(x.device)[:, None] for v in (self.mean, self.scale))
        length = batch.get("length", torch.full((x.shape[0],), x.shape[2], device=x.device))
        view = {"length": length, "parts": self.parts.to(x.device).expand(x.shape[0], -1)}
        return clean(view, (x.float() - mean) * scale)


class Slices(Several):
    """Stretches of steps of each trajectory, nothing added; their length and place are uniform.

    Source: Babaev et al. 2022, CoLES: Contrastive Learning for Event Sequences with Self-Supervision, algorithm 1.
    """

    def __init__(self, prepare: Prepare, *, count: int = 5, low: int = 16, high: int = 128) -> None:
        super().__init__(prepare, count=count, low=low, high=high)

    def make(self, batch: Batch, draws: Draws) -> list[View]:
        view = self.prepare(batch)
        return [stretch(view, *self.part(view["length"], draws)) for _ in range(self.count)]


def raw(view: View) -> Tensor:
    """Values as vectors ``[B, C * 64]``, by linear interpolation at 64 steps from the first to the last."""
    x, last = view["x"], (view["length"] - 1)[:, None]
    at = torch.linspace(0, 1, RAW, device=x.device) * last
    low = at.floor().long()
    high = torch.minimum(low + 1, last)
    before, after = (x.gather(2, place[:, None].expand(-1, x.shape[1], -1)) for place in (low, high))
    return torch.lerp(before, after, (at - low)[:, None].to(x.dtype)).flatten(1)
