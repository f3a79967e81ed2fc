"""Encoders of trajectories."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import unknown
from tacit.modalities.trajectory.spec import Spec
from tacit.options import settle
from tacit.parts.transformer import Pieces, TokenNet
from tacit.parts.wrapping import wrapped


def encoder_names() -> list[str]:
    """Names of the encoders: ``causal`` (a causal transformer over components, with tokens)."""
    return ["causal"]


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``causal``."""
    return "causal"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``[B, C, T] -> [B, dim]`` for the components of ``spec``, of any length.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`CausalNet`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name == "causal":
        return CausalNet(spec.parts, spec.length, **settle(options, CausalNet, "encoder causal", skip=2))
    raise unknown("encoder", name, encoder_names())


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on zeros of the spec's shape to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    return wrapped(module, torch.zeros(2, sum(spec.parts), spec.length))


class CausalNet(TokenNet):
    """A causal transformer over components: the state, the action and the reward of each step are a token each, in this
    order, and a token looks at itself and at those before it (:class:`tacit.parts.transformer.TokenNet`).

    The embedding is the mean over all tokens. A token's target are the numbers of its component; those of the smaller
    ones are filled up with zeros that are not asked for.

    Args:
        parts: numbers of each component.
        length: of the longest trajectory that is expected; a longer one will do.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.

    Source: the tokens of Chen et al. 2021, Decision Transformer: Reinforcement Learning via Sequence Modeling, with the
    reward of the step in place of the return to go.

    Raises:
        OptionError: for sizes that cannot be.
    """

    normalise_targets = False

    def __init__(
        self, parts: tuple[int, ...], length: int, *, width: int = 128, depth: int = 3, heads: int = 4
    ) -> None:
        largest = max(parts)
        # each component has its own place in what is embedded, and so its own weights and (by the 1) its own bias
        super().__init__(largest, sum(parts) + len(parts), width=width, depth=depth, heads=heads, causal=True)
        self.parts, self.length = parts, length

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        batch, _, steps = x.shape
        kinds, largest = len(self.parts), self.target_dim
        rows = x.transpose(1, 2).split(self.parts, 2)
        target = torch.stack([nn.functional.pad(row, (0, largest - row.shape[2])) for row in rows], 2)
        entry = x.new_zeros(batch, steps, kinds, sum(self.parts) + kinds)
        before = 0
        for i, row in enumerate(rows):
            entry[:, :, i, before : before + row.shape[2]] = row
            entry[:, :, i, before + row.shape[2]] = 1
            before += row.shape[2] + 1
        number = torch.arange(largest, device=x.device)
        asked = number < torch.tensor(self.parts, device=x.device)[:, None]
        known = asked.expand(batch, steps, -1, -1).flatten(1, 2)
        count = steps * kinds
        place = torch.arange(count, device=x.device)
        position = ((place + 0.5) / (self.length * kinds))[:, None]
        valid = None
        if length is not None:
            valid = place < kinds * length[:, None]
            known = known & valid[..., None]
        return Pieces(target.flatten(1, 2), position, valid, known, entry.flatten(1, 2))
