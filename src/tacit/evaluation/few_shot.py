"""Few-shot classification: many small tasks of new classes, each with a linear classifier of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError, OptionError
from tacit.evaluation.arrays import Rows, as_labels, class_codes, full_precision
from tacit.registry import register

STEPS = 200
AT_ONCE = 500
"""Episodes whose classifiers are fitted together."""


@dataclass(frozen=True)
class FewShot:
    """Outcome of few-shot episodes.

    Attributes:
        accuracy: mean over episodes, 0 to 1.
        low, high: its 95% interval over episodes, 1.96 standard errors to each side.
        accuracies: of each episode: float64 ``[episodes]``.
    """

    accuracy: float
    low: float
    high: float
    accuracies: np.ndarray


@register(
    "few-shot",
    kind="metric",
    family="probe",
    title="Matching Networks for One Shot Learning",
    year=2016,
    url="https://arxiv.org/abs/1606.04080",
)
def few_shot(
    embeddings: Any,
    labels: Any,
    *,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    episodes: int = 600,
    power: bool = False,
    seen: Any = (),
    seed: int = 0,
) -> FewShot:
    """Accuracy on episodes of ``ways`` classes with ``shots`` labelled samples of each.

    An episode draws its classes and, without replacement, supports and queries of each. On the supports alone a
    multinomial logistic regression is fitted, that is scikit-learn's with C = 1, on embeddings of unit length; it
    classifies the queries. All episodes' regressions are solved together, by accelerated gradient descent.

    Args:
        embeddings: ``[N, D]`` of classes that the encoder was not trained on.
        labels: ``[N]`` integers or text.
        ways: classes of an episode, at least 2.
        shots: labelled samples of each class; usually 1 or 5.
        queries: samples of each class to classify.
        episodes: how many, at least 2; the paper of UniSiam has 3,000.
        power: take the square root of the embeddings (of what is not negative in them) first.
        seen: labels that the encoder was trained on, to make sure that none is among ``labels``.
        seed: of the episodes.

    Raises:
        DataError: for fewer classes than ``ways``, a class of fewer samples than ``shots + queries``, classes that
            were seen, or non-finite embeddings.
        OptionError: for an impossible option.
    """
    if ways < 2 or min(shots, queries) < 1 or episodes < 2:
        raise OptionError(
            f"needs at least 2 ways, 1 shot, 1 query and 2 episodes, not {ways}, {shots}, {queries} and {episodes}"
        )
    rows = Rows.of(embeddings, "embeddings")
    names = as_labels(labels, rows.n)
    classes, codes = class_codes(names)
    known = sorted(set(np.unique(np.asarray(seen)).tolist()) & set(classes.tolist())) if len(seen) else []
    if known:
        raise DataError(f"few-shot classes must be new, but '{known[0]}' was seen in training")
    if len(classes) < ways:
        raise DataError(f"episodes of {ways} classes need at least as many, and there are {len(classes)}")
    members = [np.flatnonzero(codes == code) for code in range(len(classes))]
    for name, found in zip(classes, members, strict=True):
        if len(found) < shots + queries:
            raise DataError(f"an episode takes {shots + queries} samples a class, but '{name}' has {len(found)}")
    rng = np.random.default_rng(seed)
    drawn = np.stack(
        [
            np.stack(
                [rng.choice(members[c], shots + queries, replace=False) for c in rng.permutation(len(classes))[:ways]]
            )
            for _ in range(episodes)
        ]
    )
    with full_precision():
        x = rows.take(slice(None), torch.float64)
        x = F.normalize(x.clamp_min(0).sqrt() if power else x, dim=1)
        parts = [_episodes(x[torch.from_numpy(part).to(x.device)], shots) for part in _split(drawn)]
    accuracies = torch.cat(parts).cpu().numpy()
    mean, half = float(accuracies.mean()), float(1.96 * accuracies.std(ddof=1) / episodes**0.5)
    return FewShot(mean, mean - half, mean + half, accuracies)


def _split(drawn: np.ndarray) -> list[np.ndarray]:
    return np.array_split(drawn, -(-len(drawn) // AT_ONCE))


def _episodes(x: Tensor, shots: int) -> Tensor:
    """Accuracy of each episode: ``[E, ways, shots + queries, D] -> [E]``."""
    ways = x.shape[1]
    support, query = x[:, :, :shots].flatten(1, 2), x[:, :, shots:].flatten(1, 2)
    y = torch.arange(ways, device=x.device)
    weight, bias = logistic_regressions(support, y.repeat_interleave(shots).expand(len(x), -1), ways)
    truth = y.repeat_interleave(x.shape[2] - shots)
    return ((query @ weight + bias[:, None]).argmax(2) == truth).double().mean(1)


def logistic_regressions(x: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Many small multinomial logistic regressions at once, each minimising ``sum cross-entropy + |W|^2 / 2``.

    Nesterov's accelerated gradient descent with the step and momentum that the curvature allows: the penalty bounds
    it from below by 1, the samples from above. The bias is not penalised.

    Shape: ``x`` ``[E, N, D]``, ``y`` int64 ``[E, N]`` ``->`` weights ``[E, D, classes]``, biases ``[E, classes]``.
    """
    one = F.one_hot(y, classes).to(x.dtype)
    # The bias is the weight of a last input of 1.
    x = F.pad(x, (0, 1), value=1.0)
    largest = torch.linalg.matrix_norm(x @ x.mT, 2) / 2 + 1
    step = (1 / largest)[:, None, None]
    momentum = ((largest.sqrt() - 1) / (largest.sqrt() + 1))[:, None, None]
    penalty = torch.ones(x.shape[2], 1, dtype=x.dtype, device=x.device)
    penalty[-1] = 0
    weight = x.new_zeros(len(x), x.shape[2], classes)
    ahead = weight
    for _ in range(STEPS):
        gradient = x.mT @ ((x @ ahead).softmax(2) - one) + penalty * ahead
        moved = ahead - step * gradient
        ahead, weight = moved + momentum * (moved - weight), moved
    return weight[:, :-1], weight[:, -1]
