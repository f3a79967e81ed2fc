"""Objectives that make the projections an isotropic Gaussian."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from tacit.objectives.base import Crossing, Objective, check_pairs, full_precision, total_of
from tacit.parts import ranks


class SIGReg(Objective):
    """How far the projections are from a standard normal distribution, seen along random directions.

    With a_m unit vectors, phi(t) = exp(-t^2/2) and ecf_m(t) = 1/N sum_i exp(i t a_m . z_i) over the N samples of all
    ranks, the mean over directions of the statistic of Epps and Pulley,

        loss = 1/M sum_m N integral_{-T}^{T} |ecf_m(t) - phi(t)|^2 phi(t) dt

    by the trapezoidal rule at ``knots`` points from 0 to T. Zero for a perfect Gaussian with N to infinity, of the
    order of 1 for N Gaussian samples; its gradient is bounded whatever the projections are.

    Shape: ``z`` ``[B, D]``; ``directions`` ``[D, M]`` of any length, the same on all ranks; ``-> []``. Memory
        O(B M knots).

    Source: Balestriero & LeCun 2025, LeJEPA, section 4 (sketched isotropic Gaussian regularisation).

    Args:
        knots: points of the quadrature, at least 2.
        reach: T > 0.

    Raises:
        ValueError: for fewer than two samples, directions that do not fit, or parameters out of range.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, knots: int = 17, reach: float = 3.0) -> None:
        super().__init__()
        if knots < 2 or not reach > 0:
            raise ValueError(f"knots must be at least 2 and reach positive, not {knots} and {reach}")
        self.knots = knots
        self.reach = reach

    @full_precision
    def forward(self, z: Tensor, directions: Tensor) -> Tensor:
        samples = check_pairs(z)
        if directions.ndim != 2 or len(directions) != z.shape[1]:
            raise ValueError(f"directions must be [{z.shape[1]}, M], not {tuple(directions.shape)}")
        t = torch.linspace(0, self.reach, self.knots, dtype=z.dtype, device=z.device)
        phi = torch.exp(-t.square() / 2)
        weight = torch.full_like(t, 2 * self.reach / (self.knots - 1))  # both halves of an even integrand
        weight[[0, -1]] /= 2
        unit = directions.to(z.dtype) / torch.linalg.vector_norm(directions.to(z.dtype), dim=0)
        angle = (z @ unit)[..., None] * t
        real, imaginary = (ranks.total(part.sum(0)) / samples for part in (angle.cos(), angle.sin()))
        error = (real - phi).square() + imaginary.square()
        return samples * (error @ (weight * phi)).mean()


class LeJEPA(Objective):
    """Every view near the mean of the first views, and every view's batch an isotropic Gaussian.

    With V views of which the first G are global, and mu_i the mean of sample i's global projections,

        loss = (1 - lambda) 1/VBD sum_vi |mu_i - z_vi|^2  +  lambda 1/V sum_v SIGReg(z_v)

    Gradients flow through the means too: there is no teacher and no stopped gradient.

    Shape: V projections ``[B, D]``; ``directions`` ``[D, M]``; ``-> []``.

    Source: Balestriero & LeCun 2025, LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics.

    Args:
        lambda_: weight of :class:`SIGReg` in [0, 1]; the paper has 0.05.
        global_views: G, at least 1; all views where there are fewer.
        knots, reach: of :class:`SIGReg`.

    Raises:
        ValueError: for unequal shapes, fewer than two samples, or parameters out of range.
    """

    crosses: ClassVar[Crossing] = "sum"

    def __init__(self, lambda_: float = 0.05, global_views: int = 2, knots: int = 17, reach: float = 3.0) -> None:
        super().__init__()
        if not 0 <= lambda_ <= 1:
            raise ValueError(f"lambda must lie between 0 and 1, not {lambda_}")
        if global_views < 1:
            raise ValueError(f"global_views must be at least 1, not {global_views}")
        self.lambda_ = lambda_
        self.global_views = global_views
        self.regulariser = SIGReg(knots, reach)

    def forward(self, *projections: Tensor, directions: Tensor) -> Tensor:
        return total_of(self.terms(*projections, directions=directions))

    @full_precision
    def terms(self, *projections: Tensor, directions: Tensor) -> dict[str, Tensor]:
        """The loss as ``prediction`` and ``isotropy``."""
        check_pairs(*projections)
        z = torch.stack(projections)
        error = (z[: self.global_views].mean(0) - z).square().mean()
        isotropy = torch.stack([self.regulariser(view, directions) for view in projections]).mean()
        return {"prediction": (1 - self.lambda_) * error, "isotropy": self.lambda_ * isotropy}
