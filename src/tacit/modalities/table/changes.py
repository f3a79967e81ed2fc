"""Transformations of rows, for the whole batch at once; each works on whole columns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.modalities.table.schema import Layout
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.views.base import View
from tacit.views.changes import Change


def layout_of(view: View) -> Layout:
    """Which features are of which column, on the view's device."""
    layout: Layout = view["layout"]
    return layout.to(view["x"].device)


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise OptionError(f"{name} is a share of the columns, from 0 to 1, not {value!r}")


def _others(x: Tensor, row: Tensor, layout: Layout) -> Tensor:
    """Rows whose column ``d`` is that of the batch's row ``row[b, d]``, counted over all ranks: ``[B, F]``."""
    everyone = ranks.gather(x)
    return everyone.gather(0, row[:, layout.column_of])


@dataclass(frozen=True)
class Swap(Change):
    """Each column, with probability ``share``, gets the value that it has in some row of the batch, each column for
    itself: a draw from how the column is distributed.

    Source: Bahri et al. 2021, SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption, algorithm 1
    (which corrupts one of two views, with a share of 0.6, and draws from all rows).
    """

    share: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        _share("swap.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        x, layout = view["x"], layout_of(view)
        u = draws.uniform(len(x), 2, layout.count)
        row = (u[:, 0] * len(x) * ranks.world()[1]).long()
        swapped = u[:, 1] < self.share
        return view | {"x": torch.where(swapped[:, layout.column_of], _others(x, row, layout), x), "swapped": swapped}


@dataclass(frozen=True)
class CutMix(Change):
    """Each column, with probability ``share``, gets the value of one other row, the same for all columns.

    Source: Somepalli et al. 2021, SAINT: Improved Neural Networks for Tabular Data via Row Attention and Contrastive
    Pre-Training, section 3.1.
    """

    share: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        _share("cut-mix.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        x, layout = view["x"], layout_of(view)
        u = draws.uniform(len(x), 1 + layout.count)
        row = (u[:, :1] * len(x) * ranks.world()[1]).long().expand(-1, layout.count)
        mixed = (u[:, 1:] < self.share)[:, layout.column_of]
        return view | {"x": torch.where(mixed, _others(x, row, layout), x)}


@dataclass(frozen=True)
class Drop(Change):
    """Each column, with probability ``share``, is made missing; one at least stays."""

    share: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        _share("drop.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        x, layout = view["x"], layout_of(view)
        u = draws.uniform(len(x), layout.count)
        gone = (u < self.share) & (u < u.amax(1, keepdim=True))
        return view | {"x": layout.cleared(x, gone), "dropped": gone}


@dataclass(frozen=True)
class Jitter(Change):
    """Gaussian noise on numbers and dates, of ``sigma`` standard deviations; what is missing stays so."""

    sigma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.sigma < math.inf:
            raise OptionError(f"jitter.sigma must be a number that is not negative, not {self.sigma!r}")

    def change(self, view: View, draws: Draws) -> View:
        x, layout = view["x"], layout_of(view)
        noise = self.sigma * draws.normal(*x.shape).to(x.dtype)
        held = layout.missing(x)[:, layout.column_of] | ~layout.numeric
        return view | {"x": x + noise.masked_fill(held, 0)}
