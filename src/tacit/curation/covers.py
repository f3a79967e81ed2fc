"""Pairs of near samples among many, compared block by block, and what can be made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.curation.selection import unit_rows
from tacit.errors import OptionError, unknown
from tacit.evaluation.arrays import Rows, full_precision

BLOCK = 4096
"""Rows on either side of a comparison."""
TILE = 1024
"""Rows on either side of one product on a CPU, whose result then stays in its cache."""
SLACK = 2e-6
"""Float32 products of unit rows are this exact; nearer cases are decided in float64."""
FILTERS = (16, 32, 64, 128, 256)
"""Numbers of leading directions that a first look may take."""
PASSING = 2e-3
"""Share of pairs that a first look may let through although they are not near."""


def near_pairs(embeddings: Any, threshold: float, report: Callable[[int, int], None] | None = None) -> np.ndarray:
    """All pairs of rows whose cosine is at least ``threshold``, exactly: int64 ``[P, 2]``, the smaller index first.

    Every pair is looked at, but most of them only in the leading directions of the rows: by Cauchy and Schwarz the
    rest of a cosine is at most the product of what is left of the two lengths. Memory beyond the pairs is that of some
    blocks of rows and one copy of the leading directions (float32 ``[N, 17 .. 257]``); where these do not tell pairs
    apart, the rows are read anew block by block.

    Args:
        embeddings: ``[N, D]``, numpy (also a memmap) or torch, no row all zero.
        threshold: the least cosine, in (-1, 1].
        report: told how many of how many blocks are done.

    Raises:
        DataError: for rows that are not finite or all zero.
        OptionError: for a threshold out of range.
    """
    parts = list(_pairs(embeddings, threshold, report or _silent))
    return np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)


def check_cosine(threshold: float) -> None:
    if not -1 < threshold <= 1:
        raise OptionError(f"threshold must be a cosine in (-1, 1], not {threshold}")


def _silent(done: int, total: int) -> None:
    return None


def _pairs(embeddings: Any, threshold: float, report: Callable[[int, int], None]) -> Iterator[np.ndarray]:
    check_cosine(threshold)
    rows = Rows.of(embeddings, "embeddings")
    take = unit_rows(rows, rows.name)
    with full_precision():
        look = _first_look(rows, take, threshold)
        starts = range(0, rows.n, BLOCK)
        total, done = len(starts) * (len(starts) + 1) // 2, 0
        for top in starts:
            left = look(top)
            for first in range(top, rows.n, BLOCK):
                found = torch.cat(list(_above(left, look(first), threshold - 4 * SLACK))) + torch.tensor([top, first])
                found = found[found[:, 0] < found[:, 1]]
                found = found[_confirmed(take, found, threshold)]
                done += 1
                if len(found):
                    yield found.numpy()
            report(done, total)


def _above(left: Tensor, right: Tensor, least: float) -> Iterator[Tensor]:
    """Positions ``[P, 2]`` of the inner products that are at least ``least``, tile by tile."""
    side = TILE if left.is_cpu else BLOCK
    for i, upper in enumerate(left.split(side)):
        for j, lower in enumerate(right.split(side)):
            scores = torch.mm(upper, lower.T)
            row = (scores.amax(1) >= least).nonzero()[:, 0]  # in most rows nothing is near
            place, column = (scores[row] >= least).nonzero().T
            yield torch.stack([row[place] + i * side, column + j * side], 1).cpu()


def _confirmed(take: Callable[[Any], Tensor], pairs: Tensor, threshold: float) -> Tensor:
    """Which of the pairs are at least as near as the threshold."""
    near = [torch.zeros(0, dtype=torch.bool)]
    for part in pairs.split(1 << 14):
        names, place = part.unique(return_inverse=True)
        rows = take(names.numpy()).double()
        near.append(((rows[place[:, 0]] * rows[place[:, 1]]).sum(1) >= threshold - 1e-7).cpu())
    return torch.cat(near)  # to 1e-7, as float32 rows of unit length are no more exact


def _first_look(rows: Rows, take: Callable[[Any], Tensor], threshold: float) -> Callable[[int], Tensor]:
    """A function that gives, from a position, a block of rows whose inner products are upper bounds of the cosines: the
    leading directions and the length of the rest, or the rows themselves where these do not tell pairs apart."""
    sample = np.unique(np.linspace(0, rows.n - 1, min(rows.n, 4096)).astype(np.int64))
    some = take(sample)
    if rows.dim > 2 * FILTERS[0]:
        near = float((some @ some.T >= threshold).float().mean())
        axes = torch.linalg.eigh((some.T @ some).double())[1].flip(1).float()
        for width in (w for w in FILTERS if 2 * w <= rows.dim):
            seen = _bounding(some, axes[:, :width])
            if float((seen @ seen.T >= threshold - 4 * SLACK).float().mean()) - near < PASSING:
                made = torch.empty(rows.n, width + 1, device=some.device)
                for start in range(0, rows.n, BLOCK):
                    made[start : start + BLOCK] = _bounding(_block(rows, take, start), axes[:, :width])
                return lambda start: made[start : start + BLOCK]
    return lambda start: _block(rows, take, start)


def _block(rows: Rows, take: Callable[[Any], Tensor], start: int) -> Tensor:
    return take(slice(start, min(start + BLOCK, rows.n)))


def _bounding(x: Tensor, axes: Tensor) -> Tensor:
    leading = x @ axes
    rest = (1 - leading.square().sum(1, keepdim=True)).clamp_min(0).sqrt() + SLACK
    return torch.cat([leading, rest], 1)


def components(pairs: np.ndarray, count: int) -> np.ndarray:
    """The connected component of each of ``count`` samples, named by its first member: int64 ``[count]``."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    label = connected_components(graph, directed=False)[1]
    first = np.full(label.max() + 1, count, np.int64)
    np.minimum.at(first, label, np.arange(count))
    return first[label]


def cover_of_pairs(pairs: np.ndarray, count: int) -> np.ndarray:
    """Greedy cover in order: a sample near no exemplar before it becomes one; every other is named by the first
    exemplar that it is near to: int64 ``[count]``."""
    order = np.argsort(pairs[:, 0], kind="stable")
    left, right = pairs[order, 0], pairs[order, 1]
    of = np.arange(count)
    start = np.searchsorted(left, np.arange(count + 1))
    for exemplar in np.unique(left):  # ascending: whether it is one is settled by now
        if of[exemplar] == exemplar:
            near = right[start[exemplar] : start[exemplar + 1]]
            near = near[of[near] == near]
            of[near] = exemplar
    return of


def greedy_cover(signatures: Any, threshold: float, groups: np.ndarray | None = None) -> np.ndarray:
    """Greedy cover in order by inner products: int64 ``[N]``, the exemplar of each sample (its own for exemplars).

    The first sample becomes an exemplar; every sample whose inner product with an exemplar is at least ``threshold`` is
    covered by the first such; the first that is left becomes the next exemplar. Memory is that of the exemplars and
    one block.

    Args:
        signatures: ``[N, D]``.
        threshold: least inner product.
        groups: int64 ``[N]``; samples of different groups are never compared.
    """
    rows = Rows.of(signatures, "signatures")
    of = np.arange(rows.n)
    with full_precision():
        for members in split_groups(groups, rows.n):
            _cover(rows, members, threshold, of)
    return of


def split_groups(groups: np.ndarray | None, count: int) -> list[np.ndarray]:
    """Positions of the members of each group, in order."""
    if groups is None:
        return [np.arange(count)]
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _cover(rows: Rows, members: np.ndarray, threshold: float, of: np.ndarray) -> None:
    bank = torch.empty(0, rows.dim)
    names = np.zeros(0, np.int64)
    for start in range(0, len(members), BLOCK):
        here = members[start : start + BLOCK]
        block = rows.take(here).cpu()
        open_ = np.ones(len(here), bool)
        for first in range(0, len(bank), BLOCK):
            left = np.flatnonzero(open_)
            near = (block[left] @ bank[first : first + BLOCK].T >= threshold).numpy()
            hit = near.any(1)
            of[here[left[hit]]] = names[first + near[hit].argmax(1)]
            open_[left[hit]] = False
        left = np.flatnonzero(open_)
        inner = (block[left] @ block[left].T >= threshold).numpy()
        free = np.ones(len(left), bool)
        chosen: list[int] = []
        for i in range(len(left)):
            if free[i]:
                chosen.append(i)
                covered = np.flatnonzero(inner[i] & free)
                of[here[left[covered]]] = here[left[i]]
                free[covered] = False
                free[i] = False
        of[here[left[chosen]]] = here[left[chosen]]
        bank = torch.cat([bank, block[left[chosen]]])
        names = np.concatenate([names, here[left[chosen]]])


def greedy_cover_by(
    near: Callable[[int, np.ndarray], np.ndarray], count: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """:func:`greedy_cover` for a relation that is no inner product.

    Args:
        near: ``(exemplar, others) -> bool [len(others)]``, which of the others it covers.
        count: samples.
        groups: int64 ``[count]``; samples of different groups are never compared.
    """
    of = np.arange(count)
    for left in split_groups(groups, count):
        while len(left) > 1:
            exemplar, left = left[0], left[1:]
            covered = near(int(exemplar), left)
            of[left[covered]] = exemplar
            left = left[~covered]
    return of


GROUPINGS = ("components", "cover")


def grouped(pairs: np.ndarray, count: int, how: str) -> np.ndarray:
    """The representative of each sample by ``components`` or ``cover``."""
    if how not in GROUPINGS:
        raise unknown("grouping", how, GROUPINGS)
    return components(pairs, count) if how == "components" else cover_of_pairs(pairs, count)
