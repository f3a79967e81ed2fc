"""TERA: restore frames that were altered along time, frequency and magnitude."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.units import ChosenError
from tacit.parts.draws import Draws
from tacit.parts.spans import span_starts, spans_from
from tacit.parts.tokens import encoded
from tacit.parts.transformer import Pieces, TokenNet
from tacit.registry import register

ZERO, SWAP = 0.8, 0.1
"""Shares of the recordings whose blocks of time are set to zero, and replaced by others; the rest stay."""


@register(
    "tera",
    kind="method",
    family="reconstruction",
    title="TERA: Self-Supervised Learning of Transformer Encoder Representation for Speech",
    year=2020,
    url="https://arxiv.org/abs/2007.06028",
    basis="code",
    modalities=("audio",),
)
class TERA(Method):
    """A transformer restores frames: blocks of time that were blanked, swapped or left, a band of frequencies that was
    blanked in all frames, and values that noise was added to.

    What counts is the error in the blocks and in the band; where neither is asked for, that of all frames. With
    ``frequency=0`` and ``magnitude=0`` it is Mockingjay.

    Args:
        encoder: one whose tokens are frames (``frames``); tokens of several stay whole.
        time: share of the frames in altered blocks, in [0, 1); 0: none.
        block: frames in a block.
        frequency: the widest band, as a share of all, in [0, 1]; its width is uniform from 0 to that. 0: none.
        magnitude: probability, for each batch, of noise, in [0, 1].
        deviation: standard deviation of that noise.
        squared: whether the error is squared, and not absolute.

    Raises:
        OptionError: for an encoder without such tokens, or an impossible value.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True
    preferred: ClassVar[str | None] = "frames"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        time: float = 0.15,
        block: int = 7,
        frequency: float = 0.2,
        magnitude: float = 0.15,
        deviation: float = 0.2,
        squared: bool = False,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenNet) or type(encoder).embed is not TokenNet.embed:
            raise OptionError(
                f"tera needs an encoder with frames as tokens, which {type(encoder).__name__} is not; say --encoder "
                "frames"
            )
        if not 0 <= time < 1 or not 0 <= frequency <= 1 or not 0 <= magnitude <= 1:
            raise OptionError(
                f"time, frequency and magnitude are shares from 0 to 1, not {time}, {frequency} and {magnitude}"
            )
        if block < 1 or not deviation >= 0:
            raise OptionError(f"block must be at least 1 and deviation not negative, not {block} and {deviation}")
        if frequency and int(frequency * encoder.target_dim) < 1:
            raise OptionError(
                f"frequency={frequency:g} of {encoder.target_dim} numbers a token makes no band; give a larger share "
                "or 0"
            )
        self.time, self.block, self.frequency = time, block, frequency
        self.magnitude, self.deviation = magnitude, deviation
        width = encoder.dim
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, encoder.target_dim)
        )
        self.objective = ChosenError(2 if squared else 1)

    def loss(self, batch: Batch) -> Tensor:
        (view,) = batch["views"]
        encoder = self.encoder
        assert isinstance(encoder, TokenNet)
        pieces = encoder.cut(view["x"], view.get("length"))
        changed, chosen = self.altered(pieces, Draws(device=pieces.target.device))
        tokens = encoder.placed(dataclasses.replace(pieces, target=changed))
        return self.objective(self.head(encoded(encoder, tokens)), pieces.target, chosen)

    def altered(self, pieces: Pieces, draws: Draws) -> tuple[Tensor, Tensor]:
        """Altered targets, and which numbers of them are to be restored: ``[B, N, P]`` each. Padding stays zero and is
        never chosen."""
        x = pieces.target
        batch, width, numbers = x.shape
        valid = pieces.valid
        if valid is None:
            valid = torch.ones(batch, width, dtype=torch.bool, device=x.device)
        counts = valid.sum(1)
        chosen = torch.zeros_like(x, dtype=torch.bool)
        made = x
        if self.time:
            blocks = (counts * self.time / self.block).round().long().clamp_min(1)
            starts = span_starts(counts, blocks, self.block, width, draws)
            inside = spans_from(starts, counts, self.block)
            die = draws.uniform(batch, 1, 1)
            swapped = x.gather(1, self._from(starts, counts, draws)[..., None].expand_as(x))
            new = torch.where(die < ZERO, torch.zeros_like(x), torch.where(die < ZERO + SWAP, swapped, x))
            made = torch.where(inside[..., None], new, made)
            chosen |= inside[..., None]
        if self.frequency:
            u = draws.uniform(batch, 2)
            wide = (u[:, :1] * (int(self.frequency * numbers) + 1)).long()
            first = (u[:, 1:] * (numbers - wide + 1)).long()
            place = torch.arange(numbers, device=x.device)
            band = ((place >= first) & (place < first + wide))[:, None]
            made = made.masked_fill(band, 0)
            chosen |= band
        if not self.time and not self.frequency:
            chosen = torch.ones_like(chosen)
        if self.magnitude:
            noise = torch.special.ndtri(draws.along(batch, numbers, width).clamp(1e-6, 1 - 1e-6)).transpose(1, 2)
            noisy = draws.shared(1) < self.magnitude
            made = made + torch.where(noisy, self.deviation, 0.0) * noise.to(x.dtype)
        return made.masked_fill(~valid[..., None], 0), chosen & valid[..., None]

    def _from(self, starts: Tensor, counts: Tensor, draws: Draws) -> Tensor:
        """For each token of a block, the place whose content it is swapped with, equally far into another block: int64
        ``[B, N]``."""
        width = starts.shape[1]
        place = torch.arange(width, device=starts.device)
        begun = torch.where(starts, place, 0).cummax(1).values
        room = (counts - self.block + 1).clamp_min(1)[:, None]
        other = (draws.along(len(starts), width) * room).long()
        return torch.minimum(other.gather(1, begun) + place - begun, counts[:, None] - 1).clamp_min(0)
