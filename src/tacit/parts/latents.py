"""Latents that look at the tokens of a sample once, and masks drawn from where they look."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.parts.decoder import position_code
from tacit.parts.draws import Draws
from tacit.parts.tokens import Tokens
from tacit.parts.transformer import Pieces, Transformer


class Look(nn.Module):
    """Pre-norm attention of some tokens to others, and a two-layer perceptron, both residual.

    Args:
        width: of both kinds of tokens.
        heads: of attention.

    Shape: ``asking`` ``[B, L, width]``, ``seen`` ``[B, N, width] -> [B, L, width]``. ``hidden``, bool ``[B, N]``, says
        what is not looked at; something must be.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.asking, self.seen, self.norm = (nn.LayerNorm(width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, asking: Tensor, seen: Tensor, hidden: Tensor | None = None) -> Tensor:
        keys = self.seen(seen)
        found, _ = self.attention(self.asking(asking), keys, keys, key_padding_mask=hidden, need_weights=False)
        asking = asking + found
        return asking + self.mlp(self.norm(asking))

    def weights(self, asking: Tensor, seen: Tensor, hidden: Tensor | None = None) -> Tensor:
        """How much each looks at each, a softmax over the seen, the mean of all heads: ``[B, L, N]``."""
        keys = self.seen(seen)
        return self.attention(self.asking(asking), keys, keys, key_padding_mask=hidden, need_weights=True)[1]


class LatentNet(nn.Module):
    """An encoder that reads a sample's tokens by a few learned latents, which then attend to each other; the embedding
    is their mean.

    A kind of data says in :meth:`cut` what the tokens are made of.

    Args:
        enter: embeds what a token is made of: ``[B, N, E] -> [B, N, width]``.
        target_dim: numbers in a token's target, P.
        width, depth, heads: of the attention among latents.
        latents: how many there are.

    Source: Jaegle et al. 2021, Perceiver: General Perception with Iterative Attention, section 3.1, with one look.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self, enter: nn.Module, target_dim: int, *, width: int = 64, depth: int = 3, heads: int = 4, latents: int = 16
    ) -> None:
        super().__init__()
        if latents < 1:
            raise OptionError(f"latents must be at least 1, not {latents}")
        self.dim, self.target_dim, self.enter = width, target_dim, enter
        self.transformer = Transformer(width, depth, heads)
        self.queries = nn.Parameter(torch.randn(latents, width))
        self.look = Look(width, heads)

    @abstractmethod
    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        """The batch as pieces; ``length`` where it is padded."""

    def tokenize(self, x: Tensor, length: Tensor | None = None) -> Tokens:
        """The batch as tokens."""
        pieces = self.cut(x, length)
        embedded = self.enter(pieces.target if pieces.entry is None else pieces.entry)
        code = position_code(pieces.position, self.dim).to(embedded.dtype)
        return Tokens(embedded + code, pieces.target, pieces.position, pieces.valid, pieces.known)

    def read(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Latents ``[B, L, width]`` of tokens ``[B, N, width]``, of which ``hidden`` (bool ``[B, N]``) are not seen."""
        return self.transformer(self.look(self._asking(tokens), tokens, hidden))

    def weights(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        """How much each latent looks at each token: ``[B, L, N]``, summing to one over the tokens."""
        return self.look.weights(self._asking(tokens), tokens, hidden)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``x -> [B, width]``."""
        tokens = self.tokenize(x, length)
        return self.read(tokens.x, None if tokens.valid is None else ~tokens.valid).mean(1)

    def _asking(self, tokens: Tensor) -> Tensor:
        return self.queries.to(tokens.dtype).expand(len(tokens), -1, -1)


class LatentDecoder(nn.Module):
    """Restores every token's content from latents: places with the code of their position look at them.

    Args:
        dim: width of the latents.
        target_dim: numbers to predict for each token, P.
        width, depth, heads: of the looks.

    Shape: ``latents`` ``[B, L, dim]``, ``position`` ``[N, k]`` or ``[B, N, k]`` in [0, 1] ``-> [B, N, P]``.
    """

    def __init__(self, dim: int, target_dim: int, width: int = 64, depth: int = 1, heads: int = 4) -> None:
        super().__init__()
        if min(width, depth, heads) < 1 or width % heads:
            raise OptionError(f"width of the decoder must be a multiple of heads ({heads}), not {width}")
        self.enter = nn.Linear(dim, width)
        self.place = nn.Parameter(torch.randn(width) * 0.02)
        self.looks = nn.ModuleList(Look(width, heads) for _ in range(depth))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, target_dim))

    def forward(self, latents: Tensor, position: Tensor) -> Tensor:
        seen = self.enter(latents)
        places = (self.place + position_code(position, len(self.place))).to(seen.dtype)
        places = places.expand(len(seen), -1, -1)
        for look in self.looks:
            places = look(places, seen)
        return self.leave(places)


def guided_mask(
    weights: Tensor, ratio: float, per_query: float, by_chance: float, draws: Draws, valid: Tensor | None = None
) -> Tensor:
    """Hides together what some randomly chosen latents look at most.

    Of ``k = round(ratio N)`` hidden tokens, ``round(by_chance k)`` are drawn from what the others left, all alike; the
    others are those at which ``round(N ratio / per_query)``, at least one, random latents look most in sum.

    Args:
        weights: how much each latent looks at each token, after the softmax, ``[B, L, N]``.
        ratio: share of a sample's tokens that is hidden, in (0, 1); at least one is, and one is not.
        per_query: for how many hidden tokens one latent is chosen.
        by_chance: share of the hidden tokens that are drawn without looking, in [0, 1].
        valid: bool ``[B, N]``, which tokens are real; the others are never hidden.

    Returns:
        bool ``[B, N]``.

    Raises:
        ValueError: for a ratio outside (0, 1), or so few tokens that no latent would be chosen or none be left.

    Source: Xie et al. 2024, Self-Guided Masked Autoencoders for Domain-Agnostic Self-Supervised Learning, section 3.2,
    with the official code's way of mixing in chance where samples differ in length.
    """
    batch, latents, count = weights.shape
    if not 0 < ratio < 1:
        raise ValueError(f"the share of hidden tokens must lie between 0 and 1, not {ratio}")
    counts = torch.full((batch,), count, device=weights.device) if valid is None else valid.sum(1)
    chosen = (counts * ratio / per_query).round().clamp_max(latents)
    if int(counts.max()) < 2 or int(chosen.max()) < 1:
        raise ValueError(
            f"samples of {count} tokens with ratio={ratio:g} have less than half a latent of {per_query} tokens to "
            "choose: raise ratio or lower per_query"
        )
    picked = draws.uniform(batch, latents).argsort(1) < chosen.clamp_min(1)[:, None]
    score = (weights.float() * picked[:, :, None]).sum(1)
    chance = draws.along(batch, count)
    if valid is not None:
        score, chance = score.masked_fill(~valid, -torch.inf), chance.masked_fill(~valid, torch.inf)
    hidden = torch.minimum((counts * ratio).round().long().clamp_min(1), (counts - 1).clamp_min(0))
    drawn = (hidden * by_chance).round().long()
    looked = score.argsort(dim=1, descending=True, stable=True).argsort(1) < (hidden - drawn)[:, None]
    rest = chance.masked_fill(looked, torch.inf).argsort(dim=1, stable=True).argsort(1) < drawn[:, None]
    return looked | rest
