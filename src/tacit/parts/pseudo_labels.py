"""Labels for the nodes of a graph that have none, and what labels lie around a node."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.parts.edges import mean_of_neighbours


def propagated(edges: Tensor, y: Tensor, classes: int, rounds: int = 50) -> Tensor:
    """Label propagation: every node takes the mean of its neighbours, those with a label keep it.

    Args:
        edges: int64 ``[2, E]``.
        y: int64 ``[V]``, -1 where there is no label.
        rounds: how often.

    Returns:
        probabilities, float32 ``[V, classes]``; equal ones where no label is within reach.

    Source: Zhu et al. 2003, Semi-Supervised Learning Using Gaussian Fields and Harmonic Functions.
    """
    given = _given(y, classes)
    known = (y >= 0)[:, None]
    spread = given
    for _ in range(rounds):
        spread = torch.where(known, given, mean_of_neighbours(spread, edges))
    return _distribution(spread)


def _given(y: Tensor, classes: int) -> Tensor:
    return F.one_hot(y.clamp_min(0), classes).float() * (y >= 0)[:, None]


def _distribution(weight: Tensor) -> Tensor:
    total = weight.sum(1, keepdim=True)
    return torch.where(total > 0, weight / total.clamp_min(1e-12), 1 / weight.shape[1])


def collective(nodes: Tensor, edges: Tensor, y: Tensor, classes: int, rounds: int = 10) -> Tensor:
    """Iterative classification: logistic regression on a node's features and on how the labels of its neighbours are
    spread, with the labels that it gave the round before.

    Args:
        nodes: features, ``[V, F]``.
        edges, y, rounds: see :func:`propagated`.

    Returns:
        probabilities, float32 ``[V, classes]``; those with a label have it.

    Source: Neville & Jensen 2000, Iterative Classification in Relational Data.
    """
    from sklearn.linear_model import LogisticRegression

    known = (y >= 0).cpu().numpy()
    truth = y.cpu().numpy()[known]
    x, given = nodes.float().cpu(), _given(y, classes).cpu()
    links = edges.cpu()

    def fitted(rows: np.ndarray) -> Tensor:
        model: Any = LogisticRegression(max_iter=200).fit(rows[known], truth)
        found = torch.zeros(len(rows), classes)
        found[:, torch.from_numpy(model.classes_)] = torch.from_numpy(model.predict_proba(rows)).float()
        return torch.where(torch.from_numpy(known)[:, None], given, found)

    if len(np.unique(truth)) < 2:  # nothing to tell apart
        return given[torch.from_numpy(known)][:1].expand(len(x), -1).to(nodes.device).clone()
    found = fitted(x.numpy())
    for _ in range(rounds):
        around = _distribution(mean_of_neighbours(F.one_hot(found.argmax(1), classes).float(), links))
        found = fitted(torch.cat((x, around), 1).numpy())
    return found.to(nodes.device)


def two_hops(edges: Tensor, count: int) -> Tensor:
    """Pairs of different nodes that are one or two edges apart, each once: int64 ``[2, P]``."""
    from scipy.sparse import csr_matrix

    source, target = edges.cpu().numpy()
    near = csr_matrix((np.ones(len(source), np.int32), (target, source)), shape=(count, count))
    found = (near @ near + near).tocoo()
    away = found.row != found.col
    pairs = np.stack((found.col[away], found.row[away])).astype(np.int64)
    return torch.from_numpy(pairs).to(edges.device)


def label_context(pairs: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How the labels of the nodes around each are spread.

    Args:
        pairs: see :func:`two_hops`.
        labels: int64 ``[V]``.

    Returns:
        float32 ``[V, classes]``, rows that add up to 1; equal ones where there is nothing around.

    Source: Jin et al. 2020, Self-supervised Learning on Graphs: Deep Insights and New Direction, section 4.2.
    """
    return _distribution(mean_of_neighbours(F.one_hot(labels, classes).float(), pairs))


def prototypes(rows: Tensor, count: int = 8, quantile: float = 0.4, same: float = 0.95) -> Tensor:
    """Rows that lie where many others do, but not on each other: positions, int64 ``[k]`` with k at most ``count``.

    A row's density is how many others are more similar to it than the ``quantile`` of all similarities, less how many
    are not; one that is more similar than ``same`` to a denser one is left for last.

    Source: the same, after Han et al. 2019, Deep Self-Learning From Noisy Labels, section 3.2.
    """
    unit = F.normalize(rows.float(), eps=1e-6)
    similar = unit @ unit.T
    density = (similar - torch.quantile(similar.flatten(), quantile)).sign().sum(1)
    denser = density[None] > density[:, None]
    nearest = similar.masked_fill(~denser, -torch.inf).amax(1)
    nearest = torch.where(denser.any(1), nearest, similar.amin(1))
    score = torch.where(nearest >= same, 0.0, density)
    return score.argsort(descending=True, stable=True)[:count]
