"""The spectrum of an embedding matrix, and RankMe: its quality without labels."""

from __future__ import annotations

import warnings as python_warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError
from tacit.evaluation.arrays import Rows, full_precision
from tacit.registry import register

DIRECT = 2**22
"""Largest matrix (numbers) whose singular values are computed directly; larger ones go through Z^T Z."""


@dataclass(frozen=True)
class Spectrum:
    """Singular values s_1 >= s_2 >= ... of an embedding matrix, and what they say.

    Attributes:
        singular_values: float64 ``[min(n, dim)]``, descending.
        rankme: smooth effective rank exp(-sum p log p), p = s / sum s + eps: from about 1 to about min(n, dim).
        stable_rank: sum s^2 / s_1^2.
        participation_ratio: (sum s^2)^2 / sum s^4.
        top10_share: share of sum s^2 in the ten largest.
        hard_rank: how many singular values are above rounding.
        n, dim: shape of the matrix.
        warnings: what makes the figures less than they seem, in words.
    """

    singular_values: np.ndarray
    rankme: float
    stable_rank: float
    participation_ratio: float
    top10_share: float
    hard_rank: int
    n: int
    dim: int
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data, without the singular values."""
        row = asdict(self)
        del row["singular_values"]
        return {**row, "warnings": list(self.warnings)}


def spectrum(embeddings: Any, eps: float = 1e-7, center: bool = False, normalise: bool = False) -> Spectrum:
    """Singular values of the embeddings and the ranks derived from them.

    Up to :data:`DIRECT` numbers they come from a float64 singular value decomposition. Larger matrices, memmaps
    too, are read in pieces into Z^T Z (or Z Z^T, if that is smaller) in float64, whose eigenvalues are s^2: singular
    values below about 1e-8 of the largest are then lost in rounding, which is less than eps.

    Args:
        embeddings: ``[N, K]``, numpy or torch; the work is done on its device.
        eps: added to each share, as in the paper.
        center: subtract the mean of each column first.
        normalise: divide each row by its length first (before centering).

    Raises:
        DataError: for fewer than two samples, NaN or infinity, or nothing but zeros (after centering).
    """
    rows = Rows.of(embeddings, "embeddings")
    if rows.n < 2:
        raise DataError(f"the spectrum needs at least 2 samples, but {rows.name} has {rows.n}")
    if not eps >= 0:
        raise DataError(f"eps must be 0 or more, not {eps}")
    with full_precision():
        mean = _mean(rows, normalise) if center else None
        values, precision = _singular_values(rows, mean, normalise)
    # What centering leaves of equal rows is the rounding of their mean.
    floor = 0.0 if mean is None else 1e-13 * rows.n**0.5 * float(mean.norm())
    if not values[0] > floor:
        why = "all samples are the same" if center else "they are all zero"
        raise DataError(f"{rows.name} have no rank: {why}")
    squares = np.square(values / values[0])
    share = values / values.sum() + eps
    notes = []
    if rows.n < rows.dim:
        notes.append(
            f"{rows.n} samples of {rows.dim} dimensions: rank cannot exceed {rows.n}; use at least {rows.dim} samples"
        )
    return Spectrum(
        singular_values=values,
        rankme=float(np.exp(-(share * np.log(np.where(share > 0, share, 1))).sum())),
        stable_rank=float(squares.sum()),
        participation_ratio=float(squares.sum() ** 2 / np.square(squares).sum()),
        top10_share=float(squares[:10].sum() / squares.sum()),
        hard_rank=int((values > values[0] * precision).sum()),
        n=rows.n,
        dim=rows.dim,
        warnings=tuple(notes),
    )


@register(
    "rankme",
    kind="metric",
    family="label-free",
    modalities=("any",),
    title="RankMe: Assessing the downstream performance of pretrained self-supervised representations by their rank",
    year=2023,
    url="https://arxiv.org/abs/2210.02885",
    basis="code",
)
def rankme(embeddings: Any, eps: float = 1e-7, center: bool = False, normalise: bool = False) -> float:
    """RankMe (Garrido et al. 2023, eq. 1): exp of the entropy of the singular values' shares, about 1 to min(N, K).

    Meant for choosing among runs of one method and one architecture: higher is better there. It does not compare
    methods: a random encoder, or noise added to the embeddings, scores high too. The paper uses 25,600 samples of the
    pretraining data, without augmentation, the model in evaluation mode; say whether they are embeddings or
    projections, whose scales differ. Fewer samples than dimensions cap the value, which is warned of.

    See :func:`spectrum` for arguments and errors.
    """
    result = spectrum(embeddings, eps, center, normalise)
    for note in result.warnings:
        python_warnings.warn(note, stacklevel=2)
    return result.rankme


def _singular_values(rows: Rows, mean: Tensor | None, normalise: bool) -> tuple[np.ndarray, float]:
    """Descending singular values, and the relative size below which they are rounding."""
    rounding = torch.finfo(torch.float32).eps if "64" not in str(rows.data.dtype) else np.finfo(np.float64).eps
    precision = max(rows.n, rows.dim) * rounding
    if rows.n * rows.dim <= DIRECT:
        values = torch.linalg.svdvals(_prepared(rows.take(slice(None), torch.float64), mean, normalise))
        return values.cpu().numpy(), precision
    side = min(rows.n, rows.dim)
    scale = max(float(piece.abs().max()) for _, piece in rows.pieces(_step(rows), torch.float64)) or 1.0
    gram = torch.zeros(side, side, dtype=torch.float64, device=rows.device)
    if rows.dim <= rows.n:
        for _, piece in rows.pieces(_step(rows), torch.float64):
            piece = _prepared(piece, mean, normalise) / scale
            gram.addmm_(piece.T, piece)
    else:
        for top, upper in rows.pieces(_step(rows), torch.float64):
            upper = _prepared(upper, mean, normalise) / scale
            for left, lower in rows.pieces(_step(rows), torch.float64):
                lower = _prepared(lower, mean, normalise) / scale
                gram[top : top + len(upper), left : left + len(lower)] = upper @ lower.T
    values = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0).sqrt() * scale
    return values.cpu().numpy(), max(precision, (side * np.finfo(np.float64).eps) ** 0.5)


def _step(rows: Rows) -> int:
    return max(1, 2**22 // rows.dim)


def _prepared(piece: Tensor, mean: Tensor | None, normalise: bool) -> Tensor:
    if normalise:
        piece = F.normalize(piece, dim=1)
    return piece if mean is None else piece - mean


def _mean(rows: Rows, normalise: bool) -> Tensor:
    total = torch.zeros(rows.dim, dtype=torch.float64, device=rows.device)
    for _, piece in rows.pieces(_step(rows), torch.float64):
        total += _prepared(piece, None, normalise).sum(0)
    return total / rows.n
