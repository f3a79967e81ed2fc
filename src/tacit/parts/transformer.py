"""A small transformer over tokens of any kind, and the encoder that is made of one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.parts.decoder import position_code
from tacit.parts.tokens import Tokens, pooled


class Transformer(nn.Module):
    """Pre-norm transformer layers without dropout, GELU, hidden width 4 x ``width``, and a norm at the end.

    Args:
        width: of the tokens; a multiple of ``heads``.
        depth: number of layers.
        heads: of attention.
        causal: whether a token looks at itself and those before it alone.

    Shape: ``[B, N, width] -> [B, N, width]``; ``valid``, bool ``[B, N]``, says which tokens are real: the others are
    not looked at, and at least one of each sample must be.

    Raises:
        OptionError: for a width, depth or number of heads that cannot be.
    """

    def __init__(self, width: int, depth: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        for name, value in (("width", width), ("depth", depth), ("heads", heads)):
            if value < 1:
                raise OptionError(f"{name} of the transformer must be at least 1, not {value}")
        if width % heads:
            raise OptionError(f"width of the transformer must be a multiple of heads ({heads}), not {width}")
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        hidden = None if valid is None else ~valid
        later = None
        if self.causal:
            count = tokens.shape[1]
            later = torch.ones(count, count, dtype=torch.bool, device=tokens.device).triu(1)
        for layer in self.layers:
            tokens = layer(tokens, later, hidden, is_causal=self.causal and hidden is None)
        return self.norm(tokens)


@dataclass(frozen=True)
class Pieces:
    """A batch cut into pieces, before they are embedded.

    Attributes:
        target: what each piece is made of, ``[B, N, P]``, zero where it is not known.
        position: coordinates in [0, 1], ``[N, k]`` or ``[B, N, k]``.
        valid, known: as :class:`tacit.parts.tokens.Tokens` has them.
        entry: what is embedded, ``[B, N, E]``, where that is not the target.
    """

    target: Tensor
    position: Tensor
    valid: Tensor | None = None
    known: Tensor | None = None
    entry: Tensor | None = None


class TokenNet(nn.Module):
    """An encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`): pieces, a linear embedding, sines and cosines
    of their position, a transformer, and the mean over what it gives.

    A kind of data says in :meth:`cut` what the pieces are.

    Args:
        target_dim: numbers in a piece's target, P.
        entry_dim: numbers that are embedded, E; those of the target by default.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.
        causal: see :class:`Transformer`.

    Raises:
        OptionError: see :class:`Transformer`.
    """

    def __init__(
        self,
        target_dim: int,
        entry_dim: int | None = None,
        *,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.target_dim = width, target_dim
        self.transformer = Transformer(width, depth, heads, causal)
        self.enter = nn.Linear(entry_dim or target_dim, width)

    @abstractmethod
    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        """The batch as pieces; ``length`` where it is padded."""

    def embed(self, pieces: Pieces) -> Tensor:
        """Tokens ``[B, N, D]`` without their position."""
        return self.enter(pieces.target if pieces.entry is None else pieces.entry)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``x -> [B, D]``."""
        tokens = self.tokenize(x, length)
        return pooled(self.transformer(tokens.x, tokens.valid), tokens.valid)

    def tokenize(self, x: Tensor, length: Tensor | None = None) -> Tokens:
        """The batch as tokens."""
        return self.placed(self.cut(x, length))

    def placed(self, pieces: Pieces, embedded: Tensor | None = None) -> Tokens:
        """Pieces as tokens with the code of their position added; ``embedded`` (``[B, N, D]``) as given, for methods
        that change tokens before they have a place, or by :meth:`embed`."""
        embedded = self.embed(pieces) if embedded is None else embedded
        code = position_code(pieces.position, self.dim).to(embedded.dtype)
        return Tokens(embedded + code, pieces.target, pieces.position, pieces.valid, pieces.known)

    def encode_tokens(self, tokens: Tensor, keep: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Encode tokens ``[B, N, D]``, or only those at ``keep``, of which ``valid`` are real: ``[B, K, D]``."""
        if keep is not None:
            tokens = tokens.gather(1, keep[..., None].expand(-1, -1, tokens.shape[2]))
        return self.transformer(tokens, valid)


def pieces_of_line(
    x: Tensor, length: Tensor | None, size: int, far: int
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """A line cut into pieces of ``size`` places, the last one filled up with zeros.

    Args:
        x: ``[B, C, T]``.
        length: int64 ``[B]``, what is real of each sample; None: all of it.
        size: places in a piece.
        far: places over which the coordinate runs from 0 to 1 (the longest sample that is expected; longer ones go on
            beyond 1), so that a place means the same in samples of every length.

    Returns:
        ``target``: ``[B, N, C * size]``; ``position``: ``[N, 1]``; ``valid``: bool ``[B, N]``, the pieces that hold
        something real; ``known``: bool ``[B, N, C * size]``, the numbers that are. Both are None without need.
    """
    batch, channels, width = x.shape
    count = -(-width // size)
    filled = nn.functional.pad(x, (0, count * size - width))
    target = filled.unflatten(2, (count, size)).transpose(1, 2).flatten(2)
    position = ((torch.arange(count, device=x.device) + 0.5) * size / far)[:, None]
    if length is None and count * size == width:
        return target, position, None, None
    if length is None:
        length = torch.full((batch,), width, device=x.device)
        valid = None
    else:
        valid = torch.arange(count, device=x.device) * size < length[:, None]
    real = torch.arange(count * size, device=x.device) < length[:, None]
    known = real.unflatten(1, (count, 1, size)).expand(-1, -1, channels, -1).flatten(2)
    return target, position, valid, known
