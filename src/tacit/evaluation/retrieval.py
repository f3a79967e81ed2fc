"""Retrieval: are the samples of one class the first that a search by similarity finds?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError, OptionError
from tacit.evaluation.arrays import Rows, as_labels, full_precision
from tacit.registry import register

PAIRS = 2**24
"""Most similarities that are held at a time."""


@dataclass(frozen=True)
class Retrieval:
    """Outcome of a search.

    Attributes:
        average_precision: of each query, ``[Q]``; NaN for one that has no relevant sample to find.
        first: place of the first relevant sample in the order found, from 0, ``[Q]``; -1 where there is none.
    """

    average_precision: np.ndarray
    first: np.ndarray

    @property
    def mean_average_precision(self) -> float:
        """Over the queries that have something to find, 0 to 1."""
        return float(np.nanmean(self.average_precision))

    def recall(self, k: int) -> float:
        """Share of the queries with a relevant sample among their first ``k``."""
        if k < 1:
            raise OptionError(f"k must be at least 1, not {k}")
        return float((self.first[self.first >= 0] < k).mean())


@register(
    "retrieval",
    kind="metric",
    family="retrieval",
    modalities=("any",),
    title="The Pascal Visual Object Classes (VOC) Challenge",
    year=2010,
    url="https://doi.org/10.1007/s11263-009-0275-4",
    basis="reading",
)
def retrieval(queries: Any, labels: Any, gallery: Any = None, gallery_labels: Any = None) -> Retrieval:
    """Rank the gallery by cosine for each query; what has the query's label is relevant.

    Average precision is the mean, over the relevant samples, of the precision at the place of each: without
    interpolation. Equally near samples keep their order in the gallery.

    Args:
        queries: ``[Q, D]``, numpy or torch; the work is done on its device.
        labels: ``[Q]`` integers or text.
        gallery: ``[N, D]``; by default the queries themselves, of which none finds itself.
        gallery_labels: ``[N]``.

    Raises:
        DataError: for empty or non-finite input, sizes that do not match, or if no query has anything to find.
    """
    asked = Rows.of(queries, "queries")
    alone = gallery is None
    bank = asked if alone else Rows.of(gallery, "gallery")
    if not alone and gallery_labels is None:
        raise DataError("a gallery needs labels too")
    if bank.dim != asked.dim:
        raise DataError(f"{asked.name} have {asked.dim} dimensions, but {bank.name} has {bank.dim}")
    wanted = as_labels(labels, asked.n, "labels of queries")
    names = wanted if alone else as_labels(gallery_labels, bank.n, "labels of the gallery")
    _, codes = np.unique(np.concatenate([wanted, names]), return_inverse=True)
    sought, held = (torch.from_numpy(part).to(asked.device) for part in np.split(codes, [asked.n]))
    with full_precision():
        others = F.normalize(bank.take(slice(None)), dim=1)
        found = []
        for start, piece in asked.pieces(max(1, PAIRS // bank.n)):
            near = F.normalize(piece, dim=1) @ others.T
            hits = sought[start : start + len(piece), None] == held
            if alone:
                own = torch.arange(len(piece), device=near.device)
                near[own, start + own] = -torch.inf
                hits[own, start + own] = False
            found.append(_ranked(hits.gather(1, near.argsort(dim=1, descending=True, stable=True))))
    precision, first = (torch.cat(part).cpu().numpy() for part in zip(*found, strict=True))
    if (first < 0).all():
        raise DataError("no query has another sample of its label to find")
    return Retrieval(precision, first)


def _ranked(hits: Tensor) -> tuple[Tensor, Tensor]:
    """Average precision and place of the first hit, ``[Q]`` each, of hits in the order found, bool ``[Q, N]``."""
    place = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    precision = (hits.cumsum(1) / place).double()
    count = hits.sum(1)
    average = (precision * hits).sum(1) / count  # none to find: 0 / 0
    return average, torch.where(count > 0, hits.to(torch.uint8).argmax(1), -1)


def recalls(found: Retrieval, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """:meth:`Retrieval.recall` at several k by name: ``recall@1`` and so on."""
    return {f"recall@{k}": found.recall(k) for k in ks}


__all__ = ["Retrieval", "recalls", "retrieval"]
