"""Learned kernels: how near two projections are, as the logarithm of a weight."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.objectives.base import check_positive

Metric = Literal["cosine", "euclidean", "dot"]
EPS = 1e-12
"""Added to squared distances under a root, whose slope at zero is infinite."""
LEAST = 1e-8
"""What a cluster kernel's weight is taken to be at least."""


class Learned(nn.Module, ABC):
    """The weight of each column for each row, before it is normalised over the columns."""

    def embed(self, z: Tensor) -> Tensor:
        """What is done to each projection by itself: ``[N, D] -> [N, E]``."""
        return z

    @abstractmethod
    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Logarithms of the weights: ``[R, E], [C, E] -> [R, C]``. ``columns`` are always all of them."""

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in vars(self).items() if not k.startswith("_") and k != "training")


class Gaussian(Learned):
    """``exp(-d / (2 sigma^2))``; d is the squared distance, 1 - cosine, or minus the inner product.

    With the cosine, 2 sigma^2 is NT-Xent's temperature.

    Args:
        sigma: width, above 0. The paper's SimCLR has 0.5 with the cosine.
        metric: what d is.

    Raises:
        ValueError: for a width that is not positive or an unknown metric.
    """

    def __init__(self, sigma: float = 0.5, metric: Metric = "cosine") -> None:
        super().__init__()
        _check_metric(metric)
        check_positive(sigma=sigma)
        self.sigma = sigma
        self.metric = metric

    def embed(self, z: Tensor) -> Tensor:
        return functional.normalize(z, eps=1e-6) if self.metric == "cosine" else z

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        scale = 1 / (2 * self.sigma**2)
        if self.metric == "euclidean":
            return -scale * squared_distance(rows, columns)
        # The constant 1 of the cosine's distance falls away with the normalisation.
        return (scale * rows) @ columns.T


class StudentT(Learned):
    """``(1 + d^2 / (df gamma^2))^(-(df + 1) / 2)`` of the Euclidean distance d: a heavy tail.

    With df = gamma = 1 it is t-SNE's. The official code of I-Con squares the squared distance once more.

    Args:
        df: degrees of freedom, above 0; the tail gets lighter as they grow.
        gamma: width, above 0.

    Raises:
        ValueError: for an argument that is not positive.
    """

    def __init__(self, df: float = 1.0, gamma: float = 1.0) -> None:
        super().__init__()
        if not (df > 0 and gamma > 0):
            raise ValueError(f"df and gamma must be positive, not {df} and {gamma}")
        self.df = df
        self.gamma = gamma

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        return -(self.df + 1) / 2 * torch.log1p(squared_distance(rows, columns) / (self.df * self.gamma**2))


class Cluster(Learned):
    """Two samples are neighbours as far as they are in one cluster: ``sum_c phi_ic phi_jc / sum_b phi_bc``.

    phi is the softmax of the projection, whose width is the number of clusters. Rows are distributions already;
    weights are at least 1e-8.
    """

    def embed(self, z: Tensor) -> Tensor:
        return z.softmax(1)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        shares = columns / columns.sum(0).clamp_min(LEAST)
        return (rows @ shares.T).clamp_min(LEAST).log()


class Exponential(Learned):
    """``exp(-|| a - b ||_p^gamma / t)`` of projections with unit p-norm.

    gamma = 2 is the Gaussian kernel, on the sphere NT-Xent at temperature t/2; gamma = 1 the Laplacian.

    Source: Tan et al. 2024, Contrastive Learning Is Spectral Clustering On Similarity Graph, on exponential kernels.

    Args:
        gamma: exponent, in (0, 2].
        temperature: t > 0.
        p: of the norm, at least 1.
        normalise: whether projections are brought to unit p-norm first; else they are taken as they come.

    Raises:
        ValueError: for an argument out of its range.
    """

    def __init__(self, gamma: float = 2.0, temperature: float = 1.0, p: float = 2.0, normalise: bool = True) -> None:
        super().__init__()
        if not 0 < gamma <= 2:
            raise ValueError(
                f"gamma must be above 0 and at most 2, or the kernel is not positive definite; not {gamma}"
            )
        check_positive(temperature=temperature)
        if not p >= 1:
            raise ValueError(f"p must be at least 1 for a norm, not {p}")
        self.gamma = gamma
        self.temperature = temperature
        self.p = p
        self.normalise = normalise

    def embed(self, z: Tensor) -> Tensor:
        return functional.normalize(z, p=self.p, eps=1e-6) if self.normalise else z

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        square = squared_distance(rows, columns) if self.p == 2 else torch.cdist(rows, columns, p=self.p).square()
        if self.gamma != 2:
            square = (square + EPS) ** (self.gamma / 2)
        return -square / self.temperature


class ArcCosine(Learned):
    """Arc-cosine kernel of order 1, 2 or 3 of the angle ``acos(t cos + 1 - t)``.

    J_1 = pi - a, J_2 = sin a + (pi - a) cos a, J_3 = 3 sin a cos a + (pi - a)(1 + 2 cos^2 a).

    Source: as :class:`Exponential`, its code.

    Args:
        order: 1, 2 or 3.
        temperature: t in (0, 1]: the angles are drawn together towards 0.

    Raises:
        ValueError: for an argument out of its range.
    """

    def __init__(self, order: int = 1, temperature: float = 1.0) -> None:
        super().__init__()
        if order not in (1, 2, 3):
            raise ValueError(f"order must be 1, 2 or 3, not {order}")
        if not 0 < temperature <= 1:
            raise ValueError(f"temperature must be above 0 and at most 1, not {temperature}")
        self.order = order
        self.temperature = temperature

    def embed(self, z: Tensor) -> Tensor:
        return functional.normalize(z, eps=1e-6)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        cosine = (self.temperature * (rows @ columns.T) + 1 - self.temperature).clamp(-1 + 1e-6, 1 - 1e-6)
        angle = cosine.acos()
        if self.order == 1:
            weight = math.pi - angle
        elif self.order == 2:
            weight = angle.sin() + (math.pi - angle) * cosine
        else:
            weight = 3 * angle.sin() * cosine + (math.pi - angle) * (1 + 2 * cosine.square())
        return weight.clamp_min(LEAST).log()


def squared_distance(rows: Tensor, columns: Tensor) -> Tensor:
    """``|| a - b ||^2`` of all pairs, at least 0: ``[R, D], [C, D] -> [R, C]``."""
    # Distances stay what they are when all points are shifted, and are more precise near the origin.
    origin = columns.detach().mean(0)
    rows, columns = rows - origin, columns - origin
    return torch.addmm(columns.square().sum(1), rows, columns.T, alpha=-2).add(rows.square().sum(1, True)).clamp_min(0)


def _check_metric(metric: str) -> None:
    if metric not in get_args(Metric):
        raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, not '{metric}'")
