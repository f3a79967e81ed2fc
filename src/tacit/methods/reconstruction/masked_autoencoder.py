"""Masked autoencoder: restore the hidden tokens of a sample from the others."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.reconstruction import MaskedError
from tacit.parts.decoder import TokenDecoder
from tacit.parts.draws import Draws
from tacit.parts.masks import random_mask
from tacit.parts.tokens import TokenEncoder
from tacit.registry import register


@register(
    "masked-autoencoder",
    kind="method",
    family="reconstruction",
    title="Masked Autoencoders Are Scalable Vision Learners",
    year=2021,
    url="https://arxiv.org/abs/2111.06377",
    basis="paper",
)
class MaskedAutoencoder(Method):
    """The encoder sees a quarter of the tokens; a small decoder restores the rest.

    Args:
        encoder: an encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`).
        ratio: share of tokens that is hidden, in (0, 1).
        width, depth, heads: of the decoder. The paper has 512, 8 and 16.
        normalise: whether each token's target is brought to zero mean and unit variance, which the paper
            found better.

    Raises:
        OptionError: for an encoder without tokens.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        ratio: float = 0.75,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        normalise: bool = True,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"masked-autoencoder needs an encoder with tokens, which {type(encoder).__name__} is not")
        self.ratio = ratio
        self.decoder = TokenDecoder(encoder.dim, encoder.target_dim, width, depth, heads)
        self.objective = MaskedError(normalise)

    def loss(self, batch: Batch) -> Tensor:
        (view,) = batch["views"]
        tokens = self.encoder.tokenize(view["x"])  # type: ignore[operator]
        samples, count = tokens.x.shape[:2]
        keep, hidden = random_mask(samples, count, self.ratio, Draws(device=tokens.x.device))
        seen = self.encoder.encode_tokens(tokens.x, keep)  # type: ignore[operator]
        return self.objective(self.decoder(seen, keep, tokens.position), tokens.target, hidden)
