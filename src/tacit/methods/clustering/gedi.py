"""GEDI: one network as clusters that do not change with the view, and as a density of the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.energy import ClusterEnergy, energy
from tacit.parts.heads import mlp
from tacit.parts.langevin import Chains
from tacit.parts.prototypes import Prototypes
from tacit.registry import register
from tacit.views.base import alike


@register(
    "gedi",
    kind="method",
    family="clustering",
    title="Unifying Self-Supervised Clustering and Energy-Based Models",
    year=2023,
    url="https://arxiv.org/abs/2401.00873",
    basis="reading",
)
class GEDI(Method):
    """The logits of c clusters, cosines with prototypes over a temperature, are confident, the same in a view as in the
    image, evenly used, and their log-sum-exp is a log density, learned with samples of the model.

    Samples are drawn by Langevin dynamics in the space of views (normalised pixels), which costs ``langevin_steps``
    passes more; on a CPU images should be small. Give it an encoder without batch norm (``encoder.norm=group``): batch
    norm lets samples see each other, and the density is then not one.

    :meth:`logits` gives clusters, and ``-energy`` of them how likely an image is.

    Args:
        encoder: gives ``[B, dim]``.
        clusters: c, at least 2.
        hidden, out: widths of the projector ``dim -> hidden -> out``, which has no normalisation.
        temperature: of the cosines.
        generative, invariance, prior: weights of the terms; generative=0 draws no samples and leaves a clustering
            alone. (Ours: 1, 50, 25.)
        langevin_steps, langevin_step, langevin_noise: number of steps, factor on the slope and standard deviation of
            the noise of the dynamics; see :class:`tacit.parts.langevin.Chains`.
        chains: samples that are stored for chains to go on from; the literature has 10000.
        fresh: chance that a chain starts at noise.

    Raises:
        OptionError: for fewer than two clusters, or a temperature that is not positive.
    """

    recipe: ClassVar[str] = "plain-and-view"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        clusters: int = 10,
        hidden: int = 256,
        out: int = 64,
        temperature: float = 0.1,
        generative: float = 1.0,
        invariance: float = 50.0,
        prior: float = 25.0,
        langevin_steps: int = 20,
        langevin_step: float = 1.0,
        langevin_noise: float = 0.01,
        chains: int = 1000,
        fresh: float = 0.05,
    ) -> None:
        super().__init__(encoder)
        if clusters < 2 or not temperature > 0:
            raise OptionError(f"gedi needs 2 clusters and a positive temperature, not {clusters} and {temperature}")
        self.temperature, self.generative = temperature, generative
        self.projector = mlp([self.dim, hidden, out], "none")
        self.prototypes = Prototypes(out, clusters)
        self.chains = Chains(chains, langevin_steps, langevin_step, langevin_noise, fresh)
        self.objective = ClusterEnergy(generative, invariance, prior)

    def logits(self, embedding: Tensor) -> Tensor:
        """``[B, dim] -> [B, clusters]``."""
        assert self.projector is not None
        return self.prototypes(self.projector(embedding)) / self.temperature

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        image, view = batch["views"]
        logits, other = (self.logits(h) for h in self.encode(image, view))
        drawn = None
        if self.generative:
            with _evaluating(self):
                samples = self.chains.draw(lambda x: energy(self.logits(self.encoder(x))), alike(image, "gedi"))
            drawn = self.logits(self.encoder(samples))
        return self.objective.terms(logits, other, drawn)


@contextmanager
def _evaluating(method: nn.Module) -> Iterator[None]:
    """Running statistics and dropout rest meanwhile, and no parameter takes part in a gradient."""
    modes = {module: module.training for module in method.modules()}
    learned = [p for p in method.parameters() if p.requires_grad]
    method.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter in learned:
            parameter.requires_grad_()
