"""SMA: restore what the encoder itself would look at together."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.reconstruction import MaskedError
from tacit.parts.draws import Draws
from tacit.parts.latents import LatentDecoder, LatentNet, guided_mask
from tacit.parts.tokens import tokens_of
from tacit.registry import register


@register(
    "sma",
    kind="method",
    family="reconstruction",
    title="Self-Guided Masked Autoencoders for Domain-Agnostic Self-Supervised Learning",
    year=2024,
    url="https://arxiv.org/abs/2402.14789",
    basis="code",
    modalities=("table",),
)
class SMA(Method):
    """A masked autoencoder that knows nothing of how its tokens are related: hidden together are those at which a few
    randomly chosen latents of the encoder look most, and other latents restore them.

    Where the latents look says nothing at first, so that masks begin as random ones.

    Args:
        encoder: one that reads tokens by latents (:class:`tacit.parts.latents.LatentNet`).
        ratio: share of tokens that is hidden, in (0, 1). The paper has 0.15 to 0.3, and more for images.
        per_query: for how many hidden tokens one latent is chosen; many latents make masks that are less alike.
        random: share of the hidden tokens that are random at the start, in [0, 1]; it falls to 0 along a cosine.
        until: the part of the training after which none are random, in (0, 1].
        width, depth, heads: of the decoder.

    Raises:
        OptionError: for an encoder without latents, or an impossible value.
    """

    recipe: ClassVar[str] = "crop"
    preferred: ClassVar[str | None] = "perceiver"
    encoder: LatentNet

    def __init__(
        self,
        encoder: nn.Module,
        *,
        ratio: float = 0.2,
        per_query: float = 2.0,
        random: float = 1.0,
        until: float = 0.25,
        width: int = 64,
        depth: int = 1,
        heads: int = 4,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, LatentNet):
            raise OptionError(f"sma needs an encoder that reads by latents, which {type(encoder).__name__} is not")
        if not 0 < ratio < 1:
            raise OptionError(f"ratio is the share of hidden tokens, between 0 and 1, not {ratio}")
        if per_query <= 0:
            raise OptionError(f"per_query must be above 0, not {per_query}")
        if not 0 <= random <= 1 or not 0 < until <= 1:
            raise OptionError(f"random must lie in [0, 1] and until in (0, 1], not {random} and {until}")
        self.ratio, self.per_query, self.random, self.until = ratio, per_query, random, until
        self.decoder = LatentDecoder(encoder.dim, encoder.target_dim, width, depth, heads)
        self.objective = MaskedError(normalise=False)
        self.progress: Tensor
        self.register_buffer("progress", torch.zeros((), dtype=torch.float64))

    def by_chance(self) -> float:
        """The share of hidden tokens that are random now."""
        progress = float(self.progress)
        return self.random * (1 + math.cos(math.pi * progress / self.until)) / 2 if progress < self.until else 0.0

    def loss(self, batch: Batch) -> Tensor:
        (view,) = batch["views"]
        encoder = self.encoder
        tokens = tokens_of(encoder, view)
        padding = None if tokens.valid is None else ~tokens.valid
        with torch.no_grad():
            weights = encoder.weights(tokens.x, padding)
        hidden = guided_mask(
            weights, self.ratio, self.per_query, self.by_chance(), Draws(device=tokens.x.device), tokens.valid
        )
        latents = encoder.read(tokens.x, hidden if padding is None else hidden | padding)
        return self.objective(self.decoder(latents, tokens.position), tokens.target, hidden, tokens.known)

    def after_step(self, progress: float) -> None:
        self.progress.fill_(progress)
