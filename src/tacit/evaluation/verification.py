"""Is it the same one? Verification of speakers, faces, devices from the similarity of two embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from tacit.errors import DataError
from tacit.evaluation.geometry import sphere
from tacit.registry import register


@register(
    "equal-error-rate",
    kind="metric",
    family="probe",
    modalities=("any",),
    title="SUPERB: Speech processing Universal PERformance Benchmark",
    year=2021,
    url="https://arxiv.org/abs/2105.01051",
)
def equal_error_rate(scores: Any, same: Any) -> float:
    """The rate of errors at the threshold where as large a share of the different pairs is accepted as of the same ones
    is refused: 0 (all told apart) to 1; 0.5 by chance. Lower is better.

    Between two thresholds that pairs lie at, both rates are interpolated linearly; equal scores share a threshold.

    Args:
        scores: similarity of each pair, ``[P]``, finite.
        same: whether a pair is of the same one, bool ``[P]``.

    Raises:
        DataError: for scores that are not finite, shapes that differ, or pairs of one kind only.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(same)
    if values.ndim != 1 or truth.shape != values.shape or truth.dtype != np.bool_:
        raise DataError(
            f"scores [P] and bool same [P] must fit, not {list(values.shape)} and {truth.dtype} {list(truth.shape)}"
        )
    if not np.isfinite(values).all():
        raise DataError("some scores are NaN or infinite")
    if truth.all() or not truth.any():
        raise DataError("an equal error rate needs pairs of the same one and pairs of different ones")
    order = np.argsort(-values, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    hits = truth[order].cumsum()[ends]
    refused = np.append(1.0, 1 - hits / truth.sum())
    accepted = np.append(0.0, (ends + 1 - hits) / (~truth).sum())
    after = int(np.argmax(accepted >= refused))
    gap = (refused - accepted)[after - 1 : after + 1]
    share = gap[0] / (gap[0] - gap[1])
    return float(accepted[after - 1] + share * (accepted[after] - accepted[after - 1]))


def verification_error(embeddings: Any, who: Any) -> float:
    """:func:`equal_error_rate` of the cosine similarity of all pairs of samples.

    Args:
        embeddings: ``[N, D]``; all N (N - 1) / 2 pairs are compared.
        who: whom or what each sample is of, ``[N]``.

    Raises:
        DataError: see :func:`equal_error_rate`.
    """
    rows = sphere(embeddings, 2)
    names = np.asarray(who)
    if names.shape != (len(rows),):
        raise DataError(f"there are {len(rows)} embeddings and names of shape {list(names.shape)}; give one a sample")
    first, second = np.triu_indices(len(rows), 1)
    return equal_error_rate((rows @ rows.T).cpu().numpy()[first, second], names[first] == names[second])


__all__ = ["equal_error_rate", "verification_error"]
