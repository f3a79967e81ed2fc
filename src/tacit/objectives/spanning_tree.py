"""Objectives on the minimum spanning tree of a batch."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision, total_of, widest
from tacit.parts import ranks

MOST = 2**16
"""Points up to which an edge has a number of 32 bits."""


@torch.no_grad()
def minimum_spanning_tree(points: Tensor) -> Tensor:
    """The edges of a tree of least total length through all points.

    Boruvka's algorithm, on the device of the points: in every round each component takes its shortest edge outwards
    and the components that are now connected become one, so that no more than log2(N) rounds are needed. Equal
    lengths are told apart by the numbers of the edges: duplicated points are no special case.

    Shape: ``[N, D] -> int64 [N - 1, 2]``. Memory O(N^2).

    Raises:
        ValueError: for more than 65,536 points.
    """
    count = len(points)
    if count > MOST:
        raise ValueError(f"a spanning tree of {count} points is too large; the most is {MOST}")
    wide = points.to(widest(points.device)).nan_to_num()
    wide = wide - wide.mean(0)
    square = wide.square().sum(1)
    length = (square[:, None] + square - 2 * (wide @ wide.T)).clamp_min_(0).sqrt_().float()
    length = torch.minimum(length, length.T)
    # One integer for each edge, ordered by length and then by the edge's number: floats that are not negative
    # are ordered as their bits are.
    node = torch.arange(count, device=points.device)
    number = torch.minimum(node[:, None], node) * count + torch.maximum(node[:, None], node)
    code = length.view(torch.int32).long() << 32 | number
    none = torch.iinfo(torch.int64).max
    component, edges = node, []
    while len(code) > 1:
        code.fill_diagonal_(none)
        chosen = code.amin(1) & 0xFFFFFFFF
        ends = component[torch.stack((chosen // count, chosen % count))]
        here = torch.arange(len(code), device=points.device)
        there = torch.where(ends[0] == here, ends[1], ends[0])
        # Orders without ties give cycles of two only, where both have chosen the same edge.
        root = (there[there] == here) & (here < there)
        edges.append(chosen[~root])
        parent = torch.where(root, here, there)
        for _ in range(len(code).bit_length()):
            parent = parent[parent]
        left, merged = parent.unique(return_inverse=True)
        component = merged[component]
        for _ in range(2):  # rows, then columns
            smaller = code.new_full((len(left), code.shape[1]), none)
            code = smaller.scatter_reduce_(0, merged[:, None].expand_as(code), code, "amin").T
    found = torch.cat(edges) if edges else node[:0]
    return torch.stack((found // count, found % count), 1)


class TReg(Objective):
    """A long minimum spanning tree, of points near the unit sphere.

        loss = - gamma / N sum_{(i,j) in MST(z)} |z_i - z_j|  +  lambda / N sum_i (|z_i| - 1)^2

    over the N samples of all ranks. The tree is that of the detached points; its edges' lengths carry the gradient,
    which is one of the loss almost everywhere and a subgradient where several trees are shortest. Duplicated points
    have an edge of length zero and no gradient from it.

    Shape: ``z`` ``[B, D] -> []``. Memory O(N^2).

    Source: Mordacq et al. 2025, T-REGS; weights and the form of the sphere's term are our reading.

    Args:
        gamma: weight of the length.
        lambda_: weight of the sphere, > 0: without it the length grows without bound.

    Raises:
        ValueError: for fewer than two samples, another rank of tensor, or lambda that is not positive.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, gamma: float = 1.0, lambda_: float = 10.0) -> None:
        super().__init__()
        if not lambda_ > 0:
            raise ValueError(f"lambda must be positive, else the tree grows without bound, not {lambda_}")
        self.gamma = gamma
        self.lambda_ = lambda_

    def forward(self, z: Tensor) -> Tensor:
        return total_of(self.terms(z))

    @full_precision
    def terms(self, z: Tensor) -> dict[str, Tensor]:
        """The loss as ``tree`` and ``sphere``."""
        samples = check_pairs(z)
        everyone = ranks.gather(z)
        first, second = everyone[minimum_spanning_tree(everyone).T]
        length = _norm(first - second).sum() / samples
        return {"tree": -self.gamma * length, "sphere": self.lambda_ * (_norm(z) - 1).square().mean()}


class TRegs(Objective):
    """Views of a sample alike, and :class:`TReg` on each view by itself.

        loss = beta / B sum_i |z1_i - z2_i|^2 + TReg(z1) + TReg(z2)

    Shape: ``z1``, ``z2`` ``[B, D] -> []``. Memory O(B^2).

    Source: Mordacq et al. 2025, T-REGS: Minimum Spanning Tree Regularization for Self-Supervised Learning.

    Args:
        beta: weight of the agreement of views.
        gamma, lambda_: of :class:`TReg`.

    Raises:
        ValueError: for unequal shapes, fewer than two samples, or lambda that is not positive.
    """

    crosses: ClassVar[Crossing] = "gather"

    def __init__(self, beta: float = 0.2, gamma: float = 1.0, lambda_: float = 10.0) -> None:
        super().__init__()
        self.beta = beta
        self.regulariser = TReg(gamma, lambda_)

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        return total_of(self.terms(z1, z2))

    @full_precision
    def terms(self, z1: Tensor, z2: Tensor) -> dict[str, Tensor]:
        """The loss as ``invariance``, ``tree`` and ``sphere``."""
        check_pairs(z1, z2)
        first, second = self.regulariser.terms(z1), self.regulariser.terms(z2)
        invariance = self.beta * (z1 - z2).square().sum(1).mean()
        return {"invariance": invariance} | {name: first[name] + second[name] for name in first}


def _norm(x: Tensor) -> Tensor:
    """Lengths of rows, with a gradient of zero at zero."""
    return (x.square().sum(1) + 1e-12).sqrt()
