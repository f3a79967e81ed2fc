"""The watch: looks at embedding and projection while a run trains, and says in words when they collapse.

It never touches the loss or the weights.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tacit.data import Source, moved
from tacit.evaluation.geometry import alignment, spread, uniformity
from tacit.evaluation.rankme import rankme
from tacit.methods.base import Method, embed
from tacit.parts.draws import Draws
from tacit.training.precision import fitted
from tacit.views.base import Views

CONSTANT = 0.02
"""Spread (1 on a uniform sphere) under which all samples count as one point: complete collapse."""
FLAT = 0.01
"""Effective rank, as a share of the largest possible, under which the collapse is dimensional (but at least 3)."""
PAIRS = 64
"""Samples whose two training views are compared."""
TIMES = 20
"""Between two looks at least so many times the samples of a look are trained on: looking costs little time."""


@dataclass
class Verdict:
    """What the watch thinks of a run: ``state`` (``healthy``, ``dimensional collapse``, ``complete collapse`` or
    ``unknown``), the step since which it holds, and the sentence for a person."""

    state: str = "unknown"
    since: int | None = None
    text: str = "not measured yet"

    @property
    def collapsed(self) -> bool:
        return self.state.endswith("collapse")


class Watch:
    """Measures a fixed sample of the training data.

    Effective rank (RankMe) and spread of embedding and projection on evaluation views, alignment of two training
    views and uniformity of their projections (Wang & Isola 2020).

    Args:
        source: the training data; ``sample`` of its samples, evenly spaced, are looked at, and pairs of views of at
            most 64 of them.
        evaluation, training: the views to look at them with.
        seed: of the training views, the same ones at each measurement.
    """

    def __init__(
        self,
        source: Source,
        evaluation: Views,
        training: Views,
        device: torch.device,
        seed: int,
        sample: int = 256,
    ) -> None:
        index = torch.linspace(0, len(source) - 1, min(sample, len(source))).long()
        batch = moved({k: v for k, v in source.batch(index).items() if k != "y"}, device)
        self.seen = evaluation(batch, Draws.seeded(seed, device=device))[0]
        if len(index) > PAIRS:
            index = index[torch.linspace(0, len(index) - 1, PAIRS).long()]
            batch = moved({k: v for k, v in source.batch(index).items() if k != "y"}, device)
        self.views = training(batch, Draws.seeded(seed, 0x3A7C4, device=device))
        self.verdict, self.sample = Verdict(), sample

    def every(self, total: int, batch: int) -> int:
        """Steps between two looks in a run of ``total`` steps: about forty looks, but see :data:`TIMES`."""
        return max(25, total // 40, -(-TIMES * self.sample // batch))

    @torch.no_grad()
    def measure(self, method: Method) -> dict[str, float]:
        """One row of ``watch.csv``; the method is left in the mode it was in."""
        modes = {module: module.training for module in method.modules()}
        method.eval()
        (seen,) = fitted([self.seen], method)
        embedding = embed(method.encoder, seen)
        row = {"embedding_rank": _rank(embedding), "embedding_spread": float(spread(embedding))}
        projected = embedding
        if method.projector is not None:
            projected = method.projector(embedding)
            row |= {"projection_rank": _rank(projected), "projection_spread": float(spread(projected))}
        if len(self.views) > 1:
            two = [_project(method, view) for view in fitted(self.views[:2], method)]
            row |= {"alignment": float(alignment(*two))}
        row["uniformity"] = float(uniformity(projected))
        for module, mode in modes.items():
            module.training = mode
        self._widths = {"embedding": embedding.shape, "projection": projected.shape}
        return row

    def judge(self, step: int, row: dict[str, float]) -> Verdict:
        """Update the verdict with a measurement; ``since`` stays while the state does."""
        state, text = "healthy", self._healthy(row)
        for what in ("projection", "embedding"):
            if f"{what}_rank" not in row:
                continue
            rank, width = row[f"{what}_rank"], min(self._widths[what])
            if not row[f"{what}_spread"] >= CONSTANT:
                state = "complete collapse"
                text = (
                    f"the {what} is the same for all samples (spread {row[f'{what}_spread']:.3f} of 1); "
                    "check that the data varies, lower the learning rate, or use larger batches"
                )
            elif rank < max(min(3.0, width / 2), FLAT * width) and state == "healthy":
                state = "dimensional collapse"
                text = (
                    f"{what} has effective rank {rank:.1f} of {width}; lower the learning rate, train with larger "
                    "batches, or raise the method's variance or decorrelation weight"
                )
        since = self.verdict.since if state == self.verdict.state else step
        phrase = f"{state} since step {since}: {text}" if state != "healthy" else f"healthy: {text}"
        self.verdict = Verdict(state, since, phrase)
        return self.verdict

    def _healthy(self, row: dict[str, float]) -> str:
        width = self._widths["embedding"][1]
        return (
            f"embedding has effective rank {row['embedding_rank']:.1f} of {width}, spread {row['embedding_spread']:.2f}"
        )

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.verdict.state, "since": self.verdict.since, "text": self.verdict.text}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.verdict = Verdict(**state)


def _project(method: Method, view: dict[str, Any]) -> Tensor:
    out = embed(method.encoder, view)
    projector: nn.Module | None = method.projector
    return (out if projector is None else projector(out)).float()


def _rank(rows: Tensor) -> float:
    if not torch.isfinite(rows).all() or not bool(rows.any()):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wide projections outnumber the samples; the verdict allows for it
        return float(rankme(rows.float()))
