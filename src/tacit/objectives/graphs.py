"""Objectives on a graph that says which rows of a batch are alike."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.objectives.base import (
    Crossing,
    Objective,
    check_not_negative,
    check_pairs,
    check_positive,
    full_precision,
    total_of,
)
from tacit.parts import ranks


class _OnGraph(Objective):
    """Takes this rank's rows and the graph over the rows of all ranks, and computes the whole on every rank."""

    crosses: ClassVar[Crossing] = "gather"

    def everyone(self, z: Tensor, graph: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of all ranks and the graph as numbers of their type.

        Raises:
            ValueError: for a graph of another size, one that is not symmetric, or negative entries.
        """
        count = check_pairs(z)
        if graph.shape != (count, count):
            raise ValueError(f"a graph of {count} rows has shape {[count, count]}, not {list(graph.shape)}")
        graph = graph.detach().to(z.dtype)
        if not torch.equal(graph, graph.T) or bool((graph < 0).any()):
            raise ValueError("a graph must be symmetric and not negative")
        return ranks.gather(z), graph


class GraphContrast(_OnGraph):
    """Contrast with the graph's neighbours as positives.

    With u the rows at unit length,

        loss = - 1/sum_{i != j} G_ij  sum_{i != j} G_ij log [ exp(u_i . u_j / t) / sum_{k != i} exp(u_i . u_k / t) ]

    A row without neighbours counts for nothing but as a negative. With two views of each sample as the only neighbours
    it is NT-Xent.

    Shape: ``z`` ``[B, D]``; ``graph`` ``[R*B, R*B]``, symmetric, 0 or more, its diagonal is of no account; ``-> []``.

    Source: Cabannes et al. 2023, Active Self-Supervised Learning, the SimCLR form.

    Args:
        temperature: t > 0.

    Raises:
        ValueError: for a temperature that is not positive, a bad graph, or fewer than two rows.
    """

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    @full_precision
    def forward(self, z: Tensor, graph: Tensor) -> Tensor:
        z, graph = self.everyone(z, graph)
        u = functional.normalize(z, eps=1e-6)
        own = torch.eye(len(u), dtype=torch.bool, device=u.device)
        similar, graph = u @ u.T / self.temperature, graph.masked_fill(own, 0)
        log = similar.masked_fill(own, -torch.inf).logsumexp(1)
        return (graph * (log[:, None] - similar)).sum() / graph.sum().clamp_min(1e-6)


class GraphVICReg(_OnGraph):
    """Neighbours close, every dimension spread and unlike the others.

    With S the unbiased covariance of all rows,

        loss = invariance * 1/(D sum G) sum_ij G_ij |z_i - z_j|^2
             + variance   * 1/D sum_d max(0, 1 - sqrt(S_dd + 1e-4))
             + covariance * 1/D sum_{d != e} S_de^2

    with i != j in the first. ``terms`` names the three.

    Shape: ``z`` ``[B, D]``; ``graph`` ``[R*B, R*B]``, symmetric, 0 or more; ``-> []``.

    Source: Cabannes et al. 2023, the practical VICReg form; Bardes et al. 2022 for the terms.

    Args:
        invariance, variance, covariance: weights of the three terms.

    Raises:
        ValueError: for a bad graph or fewer than two rows.
    """

    def __init__(self, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> None:
        super().__init__()
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def forward(self, z: Tensor, graph: Tensor) -> Tensor:
        return total_of(self.terms(z, graph))

    @full_precision
    def terms(self, z: Tensor, graph: Tensor) -> dict[str, Tensor]:
        """Named scalars that add up to the value."""
        z, graph = self.everyone(z, graph)
        graph = graph - torch.diag(graph.diagonal())
        width, centred = z.shape[1], z - z.mean(0)
        # sum_ij G_ij |z_i - z_j|^2 = 2 (sum_i d_i |z_i|^2 - sum_ij G_ij z_i . z_j), of centred rows for its rounding
        apart = 2 * ((graph.sum(1) * centred.square().sum(1)).sum() - (graph @ centred * centred).sum())
        moment = centred.T @ centred / (len(z) - 1)
        shared = (moment - torch.diag(moment.diagonal())).square().sum()
        return {
            "invariance": self.invariance * apart / (width * graph.sum().clamp_min(1e-6)),
            "variance": self.variance * functional.relu(1 - torch.sqrt(moment.diagonal() + 1e-4)).mean(),
            "covariance": self.covariance * shared / width,
        }


class GraphBarlowTwins(_OnGraph):
    """Cross-correlation of rows and their neighbours' mean, to the identity.

    With the rows standardised (a dimension that does not vary is zero) and G, without its diagonal, divided by its
    rows' sums, C = Z^T G Z / B over the B rows with neighbours, and

        loss = sum_d (1 - C_dd)^2 + lambda sum_{d != e} C_de^2

    Shape: ``z`` ``[B, D]``; ``graph`` ``[R*B, R*B]``, symmetric, 0 or more; ``-> []``.

    Source: Cabannes et al. 2023, the Barlow Twins form; Zbontar et al. 2021 for the weight.

    Args:
        lambda_: weight of the off-diagonal, 0 or more.

    Raises:
        ValueError: for a negative weight, a bad graph, or fewer than two rows.
    """

    def __init__(self, lambda_: float = 0.005) -> None:
        super().__init__()
        check_not_negative(lambda_=lambda_)
        self.lambda_ = lambda_

    @full_precision
    def forward(self, z: Tensor, graph: Tensor) -> Tensor:
        z, graph = self.everyone(z, graph)
        graph = graph - torch.diag(graph.diagonal())
        degree = graph.sum(1, keepdim=True)
        standard = functional.batch_norm(z, None, None, training=True)
        found = standard.T @ (graph @ standard / degree.clamp_min(1e-6)) / (degree > 0).sum().clamp_min(1)
        on = (1 - found.diagonal()).square().sum()
        off = (found - torch.diag(found.diagonal())).square().sum()
        return on + self.lambda_ * off


class GraphFactorisation(_OnGraph):
    """Inner products equal to the graph.

        loss = 1/B^2 | Z Z^T - G |_F^2

    For G = Y Y^T of one-hot labels Y and a width of at least the number of classes, any minimiser is Y R with R
    orthonormal: a linear probe of it is supervised learning. For other graphs it is their spectral embedding.

    Shape: ``z`` ``[B, D]``; ``graph`` ``[R*B, R*B]``, symmetric, 0 or more, its diagonal included; ``-> []``.

    Source: Cabannes et al. 2023, Active Self-Supervised Learning, the squared VICReg form; the mean in place of the
    sum is ours.

    Raises:
        ValueError: for a bad graph or fewer than two rows.
    """

    @full_precision
    def forward(self, z: Tensor, graph: Tensor) -> Tensor:
        z, graph = self.everyone(z, graph)
        return (z @ z.T - graph).square().mean()
