"""Encoders of histories."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, unknown
from tacit.modalities.events.spec import Spec
from tacit.options import settle
from tacit.parts.transformer import Pieces, TokenNet
from tacit.parts.wrapping import wrapped

ONE_HOT = 32
"""Codes of a field up to which a target has a number for each."""


def encoder_names() -> list[str]:
    """Names of the encoders: ``gru`` and ``transformer`` (a token an event)."""
    return ["gru", "transformer"]


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``transformer`` where tokens are needed, else ``gru``."""
    return "transformer" if tokens else "gru"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder of views (:func:`tacit.modalities.events.make_views`), ``[B, C, T] -> [B, dim]``.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`EventGRU` or :class:`EventTransformer`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name == "gru":
        return EventGRU(spec, **settle(options, EventGRU, "encoder gru", skip=1))
    if name == "transformer":
        return EventTransformer(spec, **settle(options, EventTransformer, "encoder transformer", skip=1))
    raise unknown("encoder", name, encoder_names())


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on zeros of the spec's shape to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    return wrapped(module, torch.zeros(2, 1 + len(spec.categories) + spec.measured, spec.length))


class EventEntry(nn.Module):
    """What an event is to a network: an embedding of each code, the numbers, and the time since the event before.

    That time is ``log(1 + gap / g)`` with g the middle gap of the data.

    Args:
        spec: of the data.
        field: width of an embedding; of a field with few codes no more than these.

    Shape: ``[B, C, T] -> [B, T, dim]``.

    Source: the event encoder of Babaev et al. 2022, CoLES, section 3.2.
    """

    def __init__(self, spec: Spec, field: int = 16) -> None:
        super().__init__()
        if field < 1:
            raise OptionError(f"field is the width of an embedding, at least 1, not {field}")
        self.sizes, self.gap = spec.sizes, spec.gap
        self.tables = nn.ModuleList(nn.Embedding(size, min(field, size), padding_idx=0) for size in spec.sizes)
        self.dim = sum(min(field, size) for size in spec.sizes) + spec.measured + 1

    def forward(self, x: Tensor) -> Tensor:
        codes = len(self.sizes)
        parts = [
            table(x[:, 1 + i].long().clamp(0, size - 1))
            for i, (table, size) in enumerate(zip(self.tables, self.sizes, strict=True))
        ]
        return torch.cat([*parts, x[:, 1 + codes :].transpose(1, 2), self.waited(x)[..., None]], 2)

    def waited(self, x: Tensor) -> Tensor:
        """``log(1 + gap / g)``, 0 for the first event: ``[B, T]``; negative only where padding follows."""
        gaps = nn.functional.pad(x[:, 0].diff(dim=1), (1, 0))
        return (gaps.clamp_min(0) / self.gap).log1p()


class EventGRU(nn.Module):
    """A gated recurrent network over events; the embedding is its state after the last one.

    Args:
        spec: of the data.
        width: of the state, which is the embedding; the paper has 800.
        field: see :class:`EventEntry`.
        depth: layers of the network.

    Source: Babaev et al. 2022, CoLES, section 3.2, with the learned first state of the official code.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(self, spec: Spec, *, width: int = 128, field: int = 16, depth: int = 1) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth)):
            if value < 1:
                raise OptionError(f"{name} of the gru must be at least 1, not {value}")
        self.dim = width
        self.entry = EventEntry(spec, field)
        self.first = nn.Parameter(torch.zeros(depth, 1, width))
        self.network = nn.GRU(self.entry.dim, width, depth, batch_first=True)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, C, T] -> [B, dim]``."""
        states, _ = self.network(self.entry(x), self.first.expand(-1, len(x), -1).contiguous())
        if length is None:
            return states[:, -1]
        # what is before the last real event does not see what comes after it
        return states.gather(1, (length - 1)[:, None, None].expand(-1, 1, self.dim))[:, 0]


class EventTransformer(TokenNet):
    """A transformer with a token an event (:class:`tacit.parts.transformer.TokenNet`).

    The target of a token is what masked methods restore: of each field with a list of values one number a value (of
    those with many, a fixed random code of 32 numbers), the measured fields, the clock, and the time since the event
    before. Missing values are not asked for.

    Args:
        spec: of the data.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.
        field: see :class:`EventEntry`.

    Raises:
        OptionError: for sizes that cannot be.
    """

    normalise_targets = False

    def __init__(self, spec: Spec, *, width: int = 128, depth: int = 3, heads: int = 4, field: int = 16) -> None:
        entry = EventEntry(spec, field)
        numbers = len(spec.numbers) + 2 * len(spec.periods) + 1
        target = sum(min(size, ONE_HOT) for size in spec.sizes) + numbers
        super().__init__(target, entry.dim, width=width, depth=depth, heads=heads)
        self.entry, self.length = entry, spec.length
        self.numbers, self.gaps = len(spec.numbers), spec.gaps
        for i, size in enumerate(spec.sizes):
            self.register_buffer(f"code{i}", _codes(size, i))

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        codes, count = len(self.entry.sizes), x.shape[2]
        valid = torch.ones(len(x), count, dtype=torch.bool, device=x.device)
        if length is not None:
            valid = torch.arange(count, device=x.device) < length[:, None]
        target, known = [], []
        for i, size in enumerate(self.entry.sizes):
            code = x[:, 1 + i].long().clamp(0, size - 1)
            target.append(getattr(self, f"code{i}")[code])
            known.append((code > 1)[..., None].expand_as(target[-1]))
        rows = x[:, 1 + codes :].transpose(1, 2)
        numbers, flags, clock = rows.split(
            [self.numbers, sum(self.gaps), rows.shape[2] - self.numbers - sum(self.gaps)], 2
        )
        there = valid[..., None].repeat(1, 1, self.numbers)
        there[..., torch.tensor(self.gaps, dtype=torch.bool)] &= flags > 0
        target += [numbers, clock, self.entry.waited(x)[..., None]]
        known += [there, valid[..., None].expand(-1, -1, clock.shape[2] + 1)]
        everything = torch.cat(known, 2) & valid[..., None]
        position = ((torch.arange(count, device=x.device) + 0.5) / self.length)[:, None]
        wanted = torch.where(everything, torch.cat(target, 2), 0)
        return Pieces(wanted, position, None if length is None else valid, everything, x.transpose(1, 2))

    def embed(self, pieces: Pieces) -> Tensor:
        assert pieces.entry is not None
        return self.enter(self.entry(pieces.entry.transpose(1, 2)))


def _codes(size: int, seed: int) -> Tensor:
    """Rows that stand for the codes of a field, of mean square 1: ``[size, at most 32]``."""
    if size <= ONE_HOT:
        return math.sqrt(size) * torch.eye(size)
    signs = torch.randint(0, 2, (size, ONE_HOT), generator=torch.Generator().manual_seed(seed))
    return 2.0 * signs - 1
