"""iSogCLR: global contrast with a learned temperature for each sample; SogCLR where temperatures are fixed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError, RunError
from tacit.methods.base import JointEmbedding
from tacit.objectives.individual import RobustAcross, RobustGlobal
from tacit.parts import ranks
from tacit.parts.heads import Norm, mlp
from tacit.registry import register
from tacit.views.bundle import of_two_parts


@register(
    "isogclr",
    kind="method",
    family="contrastive",
    title="Not All Semantics are Created Equal: Contrastive Self-supervised Learning with Automatic Temperature "
    "Individualization",
    year=2023,
    url="https://arxiv.org/abs/2305.11965",
    basis="code",
)
class ISogCLR(JointEmbedding):
    """Two views, one projector; each sample has its own temperature and moving average over its negatives.

    A temperature rises for samples with many that are alike and sinks for rare ones. With eta=0 temperatures stay
    at ``tau`` and the method is SogCLR. It keeps three numbers for each sample of the data set.

    Where the two views show different parts of a sample, an image and its text (``--views across``), it is the paper's
    method for two encoders: each part is contrasted with the other part of other samples alone, and each has
    temperatures and moving averages of its own, those of the second in ``other_temperature`` and ``other_log_s``. The
    code then has tau=0.01, tau_min=0.005, rho=6 and beta=0.9.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``.
        tau: temperature that every sample starts with; the paper has 0.1 (its code's class 0.07).
        tau_min, tau_max: bounds; the paper has 0.05 and 1.
        rho: bound of the relative entropy of the negatives' weights, above 0; the code has 0.4 for CIFAR-100. It
            must lie well below the logarithm of the number of negatives.
        gamma: weight of a batch's estimate in the moving average over negatives; the paper has 0.8.
        eta: step of the temperatures, 0 for SogCLR; the code has 0.03.
        beta: weight of a batch's slope in their momentum; the code has 0.5.
        norm: normalisation in the projector.

    Raises:
        OptionError: for bounds that do not hold ``tau``, a negative eta, or beta outside (0, 1].
        RunError: from :meth:`loss`, for an index outside the data set that :meth:`sized` was told of.
    """

    log_s: Tensor
    slope: Tensor
    temperature: Tensor
    other_log_s: Tensor
    other_slope: Tensor
    other_temperature: Tensor
    objective: RobustGlobal

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        tau: float = 0.1,
        tau_min: float = 0.05,
        tau_max: float = 1.0,
        rho: float = 0.4,
        gamma: float = 0.8,
        eta: float = 0.03,
        beta: float = 0.5,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if not 0 < tau_min <= tau <= tau_max:
            raise OptionError(f"tau must lie between tau_min and tau_max, not {tau_min} <= {tau} <= {tau_max}")
        if not (eta >= 0 and 0 < beta <= 1):
            raise OptionError(f"eta must not be negative and beta lie in (0, 1], not {eta} and {beta}")
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = RobustGlobal(gamma, rho)
        self.across = RobustAcross(gamma, rho)
        self.tau, self.tau_min, self.tau_max, self.eta, self.beta = tau, tau_min, tau_max, eta, beta
        self.sized(0)

    def sized(self, count: int) -> None:
        """Start every sample at ``tau``, without momentum, and without moving average (``log_s`` is inf)."""
        for name, value in (("log_s", torch.inf), ("slope", 0.0), ("temperature", self.tau)):
            self.register_buffer(name, torch.full((count,), value))
            self.register_buffer(f"other_{name}", torch.full((count,), value))

    def loss(self, batch: Batch) -> Tensor:
        index = batch["index"]
        if int(index.max()) >= len(self.temperature):
            raise RunError(
                f"sample {int(index.max())} is outside the {len(self.temperature)} that the method was told of; "
                "call method.sized(count) before training in a loop of your own"
            )
        first, second = self.project(*batch["views"])
        if of_two_parts(*batch["views"]):
            return self._between_parts(index, first, second)
        found = self.objective.individual(first, second, self.temperature[index], self.log_s[index])
        if self.training:
            self._remember(index, found.log_s, found.slope)
        return found.loss.mean()

    def _between_parts(self, index: Tensor, first: Tensor, second: Tensor) -> Tensor:
        tau = torch.stack((self.temperature[index], self.other_temperature[index]))
        before = torch.stack((self.log_s[index], self.other_log_s[index]))
        found = self.across.individual(first, second, tau, before)
        if self.training:
            self._remember(index, found.log_s[0], found.slope[0])
            self._remember(index, found.log_s[1], found.slope[1], "other_")
        return found.loss.sum(0).mean()

    @torch.no_grad()
    def _remember(self, index: Tensor, log_s: Tensor, slope: Tensor, side: str = "") -> None:
        """Write the state of the samples of all ranks, the same on each."""
        index, log_s, slope = (ranks.gather(value) for value in (index, log_s, slope))
        kept, momentum, temperature = (getattr(self, side + name) for name in ("log_s", "slope", "temperature"))
        kept[index] = log_s.to(kept.dtype)
        momentum[index] = (1 - self.beta) * momentum[index] + self.beta * slope.to(momentum.dtype)
        temperature[index] = (temperature[index] - self.eta * momentum[index]).clamp(self.tau_min, self.tau_max)
