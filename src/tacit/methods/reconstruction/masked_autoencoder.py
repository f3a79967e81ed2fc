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
from tacit.parts.masks import ragged_mask, random_mask
from tacit.parts.tokens import TokenEncoder, encoded, tokens_of
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
            found better; by default where that makes sense for the encoder's tokens.

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
        normalise: bool | None = None,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"masked-autoencoder needs an encoder with tokens, which {type(encoder).__name__} is not")
        self.ratio = ratio
        self.decoder = TokenDecoder(encoder.dim, encoder.target_dim, width, depth, heads)
        if normalise is None:
            normalise = bool(getattr(encoder, "normalise_targets", encoder.target_dim > 1))
        self.objective = MaskedError(normalise)

    def loss(self, batch: Batch) -> Tensor:
        (view,) = batch["views"]
        tokens = tokens_of(self.encoder, view)
        samples, count = tokens.x.shape[:2]
        kept, draws = None, Draws(device=tokens.x.device)
        if tokens.valid is None:
            keep, hidden = random_mask(samples, count, self.ratio, draws)
        else:
            keep, kept, hidden = ragged_mask(tokens.valid, self.ratio, draws)
        seen = encoded(self.encoder, tokens, keep, kept)
        restored = self.decoder(seen, keep, tokens.position, kept, tokens.valid)
        return self.objective(restored, tokens.target, hidden, tokens.known)
