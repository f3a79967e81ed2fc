"""Transformations of documents, for the whole batch at once.

They work on views as :class:`tacit.modalities.text.views.Marked` makes them: the ids of the tokens in the first row of
``x``, and in the second 1 where a word begins and 2 where a sentence does; ``length``, ``mask`` (the id of what is
hidden) and ``vocabulary`` (the number of ids) are always there. Words stay whole: what is drawn is drawn a word.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.parts.draws import Draws
from tacit.parts.lengths import inside
from tacit.views.base import View
from tacit.views.changes import Change
from tacit.views.stretches import check_shares, clean, random_stretch, stretch

SPECIAL = 3
"""Ids from 0 that stand for no text."""


def real(view: View) -> Tensor:
    """Which tokens are no padding: bool ``[B, T]``."""
    return inside(view["length"], view["x"].shape[2])


def words(view: View) -> Tensor:
    """The number of the word that each token is of, from 0: int64 ``[B, T]``."""
    begun = (view["x"][:, 1] > 0).long()
    begun[:, 0] = 0
    return begun.cumsum(1)


def each_word(view: View, draws: Draws) -> Tensor:
    """A uniform number for each word, at all of its tokens: ``[B, T]``."""
    number = words(view)
    return draws.along(*number.shape).gather(1, number)


def chosen(view: View, kept: Tensor) -> View:
    """The tokens that are ``kept`` (bool ``[B, T]``, at least one of each sample), in their order."""
    order = (~kept).long().argsort(dim=1, stable=True)
    x = view["x"].gather(2, order[:, None].expand_as(view["x"]))
    return clean(view | {"length": kept.sum(1)}, x)


def check_share(name: str, value: float) -> None:
    """Make sure that a share lies in [0, 1)."""
    if not 0 <= value < 1:
        raise OptionError(f"{name} must be at least 0 and below 1, not {value!r}")


@dataclass(frozen=True)
class Span(Change):
    """A stretch of tokens that follow each other, ``share`` of the document (a range), at least one token."""

    share: tuple[float, float] = (0.4, 0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("span.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        return stretch(view, *random_stretch(view, self.share, draws), None if self.p == 1 else view["x"].shape[2])


@dataclass(frozen=True)
class SpanDeletion(Change):
    """A stretch of tokens left out, ``share`` of the document (a range); one token always stays.

    Source: Wu et al. 2020, CLEAR: Contrastive Learning for Sentence Representation.
    """

    share: tuple[float, float] = (0.1, 0.3)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("span-deletion.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        start, size = random_stretch(view, self.share, draws)
        place = torch.arange(view["x"].shape[2], device=start.device)
        size = torch.minimum(size, view["length"] - 1)
        return chosen(view, ((place < start[:, None]) | (place >= (start + size)[:, None])) & real(view))


@dataclass(frozen=True)
class WordDrop(Change):
    """Each word left out with probability ``share``; one of them always stays."""

    share: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("word-drop.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        u = each_word(view, draws).masked_fill(~real(view), -1)
        return chosen(view, (u >= self.share) | (u == u.amax(1, keepdim=True)))


@dataclass(frozen=True)
class Reorder(Change):
    """Words put in another order, none of them more than ``reach`` places from where it was.

    Source: the noise of Lample et al. 2018, Unsupervised Machine Translation Using Monolingual Corpora Only.
    """

    reach: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reach < 1:
            raise OptionError(f"reorder.reach must be at least 1 word, not {self.reach!r}")

    def change(self, view: View, draws: Draws) -> View:
        key = words(view) + (self.reach + 1) * each_word(view, draws)
        order = key.masked_fill(~real(view), torch.inf).argsort(dim=1, stable=True)
        return view | {"x": view["x"].gather(2, order[:, None].expand_as(view["x"]))}


@dataclass(frozen=True)
class WordMask(Change):
    """Each word hidden with probability ``share``: its tokens become the one that stands for what is hidden."""

    share: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("word-mask.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        hidden = (each_word(view, draws) < self.share) & real(view)
        ids = torch.where(hidden, view["mask"][:, None], view["x"][:, 0])
        return view | {"x": torch.stack((ids, view["x"][:, 1]), 1)}


@dataclass(frozen=True)
class Replace(Change):
    """Each token replaced with probability ``share`` by a random one of the vocabulary."""

    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("replace.share", self.share)

    def change(self, view: View, draws: Draws) -> View:
        ids, count = view["x"][:, 0], view["vocabulary"][:, None]
        u = draws.along(len(ids), 2, ids.shape[1])
        other = SPECIAL + (u[:, 1] * (count - SPECIAL)).long()
        made = torch.where((u[:, 0] < self.share) & real(view), other, ids)
        return view | {"x": torch.stack((made, view["x"][:, 1]), 1)}
