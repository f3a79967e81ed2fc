"""RTT: which temporal transformation a clip went through, and at which speed it is played."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.labels import Labels
from tacit.registry import register
from tacit.views.base import View

PLAYED = 4
"""Temporal transformations; the first two have a speed."""


@register(
    "rtt",
    kind="method",
    family="predictive",
    title="Video Representation Learning by Recognizing Temporal Transformations",
    year=2020,
    url="https://arxiv.org/abs/2007.10730",
    basis="code",
    modalities=("video",),
)
class RTT(Method):
    """Four clips of every video, played as it is, to and fro, out of order and unevenly, are told apart by a linear
    layer on the embedding; of the first two it also tells the speed.

    The loss is the sum of two cross entropies, over all clips and over the first two of each video. Where samples are
    so short that there is one speed alone (``data.window`` is how long they are), the second one is left out.

    Args:
        encoder: gives ``[B, dim]``; one that sees motion.
        speeds: how many the layer can tell, at least as many as the views have: 1, 2, 4, ... frames a step.
        tasks: ``both``, or one of them alone, which the paper compares with.

    Raises:
        OptionError: for views without temporal transformations, or with more speeds than the layer can tell.
    """

    recipe: ClassVar[str] = "temporal-transformations"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        speeds: int = 4,
        tasks: Literal["both", "transformation", "speed"] = "both",
    ) -> None:
        super().__init__(encoder)
        if speeds < 1 or (speeds < 2 and tasks == "speed"):
            raise OptionError(f"speeds must be at least {2 if tasks == 'speed' else 1}, not {speeds}")
        self.tasks = tasks
        self.played = nn.Linear(self.dim, PLAYED) if tasks != "speed" else None
        self.speed = nn.Linear(self.dim, speeds) if tasks != "transformation" and speeds > 1 else None
        self.objective = Labels()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        views = batch["views"]
        if any("played" not in view for view in views):
            raise OptionError("rtt learns from temporal transformations: leave --views at temporal-transformations")
        timed: list[View] = []
        if self.speed is not None:
            timed = [view for view in views if view.get("speeds", 1) > 1]
            self._check(timed, self.speed.out_features)
        seen = views if self.played is not None else timed
        embeddings = self.encode(*seen)
        terms: dict[str, Tensor] = {}
        if self.played is not None:
            played = torch.cat([view["played"] for view in seen])
            terms["transformation"] = self.objective(self.played(torch.cat(embeddings)), played)
        if timed and self.speed is not None:
            found = torch.cat([h for h, view in zip(embeddings, seen, strict=True) if view.get("speeds", 1) > 1])
            terms["speed"] = self.objective(self.speed(found), torch.cat([view["speed"] for view in timed]))
        return terms

    def _check(self, timed: list[View], known: int) -> None:
        most = max((int(view["speeds"]) for view in timed), default=1)
        if most > known:
            raise OptionError(
                f"the views have {most} speeds, and rtt can tell {known}: make views.speeds and method.speeds alike"
            )
        if not timed and self.tasks == "speed":
            raise OptionError("samples are so short that there is one speed alone: give longer ones (data.window)")
