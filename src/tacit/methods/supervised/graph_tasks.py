"""Pairs of nodes and what is to be told of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.parts.draws import Draws
from tacit.parts.edges import hops

PAIR_TASKS = ("distance", "similarity")
ANCHORS = 64
"""Nodes that pairs of a step start from."""


def distance_pairs(edges: Tensor, count: int, pairs: int, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of different nodes with the number of edges between them: 1, 2, 3, or more, as classes from 0.

    Of each class that occurs there are a quarter of ``pairs``, drawn again and again where there are not as many.

    Args:
        edges: int64 ``[2, E]``.
        count: nodes, V.

    Returns:
        the two nodes and the class, int64 ``[P]`` each.
    """
    anchors = draws.permutation(count)[:ANCHORS]
    begin = torch.zeros(count, len(anchors), dtype=torch.bool, device=edges.device)
    begin[anchors, torch.arange(len(anchors), device=edges.device)] = True
    far = hops(edges, begin, 3)
    ones, others, classes = [], [], []
    for apart in range(1, 5):
        node, anchor = (far == apart).nonzero(as_tuple=True)
        if not len(node):
            continue
        at = (draws.shared(max(1, pairs // 4)) * len(node)).long()
        ones.append(anchors[anchor[at]])
        others.append(node[at])
        classes.append(torch.full_like(at, apart - 1))
    return torch.cat(ones), torch.cat(others), torch.cat(classes)


def similarity_pairs(nodes: Tensor, pairs: int, draws: Draws, each: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes with those most and least similar to them and with random ones, and the cosine of their features.

    Args:
        nodes: features, ``[V, F]``.
        each: how many of the three sorts.

    Returns:
        the two nodes, int64 ``[P]`` each with P at most ``pairs``, and the cosine, float32 ``[P]``.
    """
    each = min(each, len(nodes) - 1)
    anchors = draws.permutation(len(nodes))[: max(1, pairs // (3 * each))]
    unit = F.normalize(nodes.float(), eps=1e-6)
    cosine = unit[anchors] @ unit.T
    itself = torch.arange(len(anchors), device=nodes.device)
    most = cosine.clone()
    most[itself, anchors] = -torch.inf
    least = cosine.clone()
    least[itself, anchors] = torch.inf
    step = 1 + (draws.shared(len(anchors), each) * (len(nodes) - 1)).long()
    random = (anchors[:, None] + step) % len(nodes)
    other = torch.cat((most.topk(each).indices, least.topk(each, largest=False).indices, random), 1)
    one = anchors[:, None].expand_as(other).flatten()
    return one, other.flatten(), cosine.gather(1, other).flatten()
