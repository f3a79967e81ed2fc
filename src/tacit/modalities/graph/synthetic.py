"""Made-up graphs whose classes are known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from tacit.errors import OptionError

ROLES = 4
WIRINGS: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, 1), (2, 3)),
    ((0, 2), (1, 3)),
    ((0, 3), (1, 2)),
    ((0, 1), (1, 2), (2, 3), (3, 0)),
    ((0, 1), (1, 3), (3, 2), (2, 0)),
    ((0, 2), (2, 1), (1, 3), (3, 0)),
)
"""Which of four roles are joined, one row a class: every role has as many edges as any other in every class."""


def wirings(
    count: int,
    seed: int = 0,
    *,
    nodes: tuple[int, int] = (16, 40),
    features: int = 16,
    classes: int = 6,
    degree: tuple[float, float] = (3.0, 6.0),
    astray: float = 0.1,
    noise: float = 1.0,
) -> list[dict[str, Any]]:
    """Graphs whose class is who is joined to whom, and nothing else in them tells it.

    Every node has one of four roles, seen through noise in its features. All roles are equally frequent and have as
    many edges as any other in every class; only the pairs of roles that edges join differ. Number of nodes, density
    and noise are drawn for each graph, whatever its class. So neither the features nor the degrees tell the class, but
    the two together do.

    Args:
        count: number of graphs.
        seed: of everything.
        nodes: fewest and most nodes of a graph.
        features: of a node.
        classes: number of classes, at most six (:data:`WIRINGS`).
        degree: mean number of edges of a node, from and to.
        astray: share of edges that join any two nodes.
        noise: standard deviation of the noise on features, where roles lie 2 apart.

    Returns:
        dictionaries with ``edge_index`` (int64 ``[2, E]``, each edge once), ``x`` (float32 ``[V, F]``), ``y`` (the
        class) and ``roles`` (int64 ``[V]``).

    Raises:
        OptionError: for a number of classes or nodes out of range.
    """
    if not 2 <= classes <= len(WIRINGS):
        raise OptionError(f"classes must be from 2 to {len(WIRINGS)}, not {classes}")
    if not ROLES <= nodes[0] <= nodes[1]:
        raise OptionError(f"nodes must be two numbers, {ROLES} <= fewest <= most, not {nodes!r}")
    random = np.random.default_rng([seed, 0x6A9F])
    basis = np.linalg.qr(np.random.default_rng(0x5A4E).normal(size=(max(features, ROLES), ROLES)))[0][:features]
    made = []
    for y in random.integers(0, classes, count).tolist():
        size = int(random.integers(nodes[0], nodes[1] + 1))
        roles = random.permutation((np.arange(size) + random.integers(ROLES)) % ROLES)
        of = [np.flatnonzero(roles == role) for role in range(ROLES)]
        total = max(1, round(size * random.uniform(*degree) / 2))
        pairs = np.array(WIRINGS[y])[random.integers(0, len(WIRINGS[y]), total)]
        sizes = np.array([len(some) for some in of])
        nth = (random.random((2, total)) * sizes[pairs.T]).astype(np.int64)
        padded = np.stack([np.resize(some, sizes.max()) for some in of])
        edges = padded[pairs.T, nth]
        lost = random.random(total) < astray
        edges[:, lost] = random.integers(0, size, (2, int(lost.sum())))
        edges = np.unique(np.sort(edges[:, edges[0] != edges[1]], 0), axis=1)
        x = np.sqrt(2) * basis.T[roles] + noise * random.normal(size=(size, features)) / np.sqrt(features)
        made.append({"edge_index": edges, "x": x.astype(np.float32), "y": y, "roles": roles})
    return made


def citations(
    nodes: int = 1000,
    seed: int = 0,
    *,
    classes: int = 5,
    words: int = 200,
    length: int = 12,
    degree: float = 4.0,
    within: float = 0.8,
    topical: float = 0.3,
) -> dict[str, Any]:
    """One graph of texts that cite each other: a degree-corrected stochastic block model with bags of words.

    Args:
        nodes: number of texts, V.
        seed: of everything.
        classes: number of subjects, which are the labels.
        words: in the vocabulary; each subject has an equal part of it to itself.
        length: words of a text, drawn one by one.
        degree: mean number of edges of a node; each node has a popularity of its own.
        within: share of edges that join texts of one subject.
        topical: share of words that are of the subject's own part.

    Returns:
        ``edge_index`` (int64 ``[2, E]``, each edge once), ``x`` (float32 ``[V, words]``, 0 or 1), ``y`` (int64
        ``[V]``).

    Raises:
        OptionError: for fewer than two classes, or more than words or nodes.
    """
    if not 2 <= classes <= min(words, nodes):
        raise OptionError(f"classes must be at least 2 and at most the words and nodes, not {classes}")
    random = np.random.default_rng([seed, 0xC17E])
    y = random.permutation(np.arange(nodes) % classes)
    popularity = random.pareto(2.5, nodes) + 1
    total = round(nodes * degree / 2)
    first = random.choice(nodes, total, p=popularity / popularity.sum())
    second = random.choice(nodes, total, p=popularity / popularity.sum())
    same = random.random(total) < within
    for subject in range(classes):
        own = np.flatnonzero(y == subject)
        asked = same & (y[first] == subject)
        weight = popularity[own]
        second[asked] = random.choice(own, int(asked.sum()), p=weight / weight.sum())
    edges = np.stack((first, second))
    edges = np.unique(np.sort(edges[:, first != second], 0), axis=1)
    drawn = random.integers(0, words, (nodes, length))
    part = words // classes
    own_words = y[:, None] * part + random.integers(0, part, (nodes, length))
    drawn = np.where(random.random((nodes, length)) < topical, own_words, drawn)
    x = np.zeros((nodes, words), np.float32)
    x[np.arange(nodes)[:, None], drawn] = 1
    return {"edge_index": edges, "x": x, "y": y.astype(np.int64)}


def sample(count: int = 64, seed: int = 0) -> list[dict[str, Any]]:
    """A small data set of graphs with labels: what ``open_source`` takes."""
    made = wirings(count, seed, nodes=(5, 14), features=6, classes=3)
    return [{name: one[name] for name in ("edge_index", "x", "y")} for one in made]
