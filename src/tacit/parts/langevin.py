"""Samples of an unnormalised density, by Langevin dynamics from where earlier chains ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.parts import ranks
from tacit.parts.draws import Draws

FARTHEST = 1.0
"""How far the slope may move each number of a sample in a step: a standard deviation of standardised data."""


class Chains(nn.Module):
    """A store of samples that Langevin dynamics goes on from.

    A chain starts at a random stored sample, or now and then at Gaussian noise, and makes

        x <- x - clip(step * dE/dx) + noise * n,     n ~ N(0, 1)

    in float32; its end takes its place in the store. The store is part of the ``state_dict``, holds the samples of all
    ranks on each, and is laid out at the first call, when the shape of a sample is known.

    Args:
        size: samples in the store; a larger batch makes it as large as the batch.
        steps: of each chain, at least 1.
        step: factor on the slope (half the a of the literature).
        noise: standard deviation of the noise.
        fresh: chance that a chain starts at noise.

    Source: Du & Mordatch 2019, Implicit Generation and Modeling with Energy Based Models, section 3.

    Raises:
        OptionError: for a size or number of steps below 1, or a chance outside [0, 1].
    """

    stored: Tensor

    def __init__(self, size: int, steps: int, step: float, noise: float, fresh: float = 0.05) -> None:
        super().__init__()
        if size < 1 or steps < 1 or not 0 <= fresh <= 1:
            raise OptionError(f"chains need a store, steps and a chance in [0, 1], not {size}, {steps} and {fresh}")
        self.size, self.steps, self.step, self.noise, self.fresh = size, steps, step, noise, fresh
        self.register_buffer("stored", torch.empty(0))

    def draw(self, energy: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
        """As many samples as ``like`` (``[B, ...]``) has, without gradient.

        Args:
            energy: ``[B, ...] -> [B]``; it must not let one sample see another.
        """
        draws, rows = Draws(device=like.device), len(like)
        total = rows * ranks.world()[1]
        if not len(self.stored):
            self.stored = torch.randn(max(self.size, total), *like.shape[1:]).to(like.device, _wide(like.dtype))
        if len(self.stored) < total:
            raise OptionError(f"the store of {len(self.stored)} chains is smaller than a batch of {total}")
        place = draws.permutation(len(self.stored))[:total]
        start = self.stored[ranks.local(place)]
        new = (draws.uniform(rows) < self.fresh).view(-1, *[1] * (like.ndim - 1))
        x = torch.where(new, draws.normal(*like.shape).to(start.dtype), start)
        with torch.autocast(like.device.type, enabled=False), torch.enable_grad():
            for _ in range(self.steps):
                x = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(energy(x).sum(), x)
                move = (self.step * slope).nan_to_num(0.0).clamp(-FARTHEST, FARTHEST)
                x = x.detach() - move + self.noise * draws.normal(*like.shape).to(x.dtype)
        self.stored[place] = ranks.gather(x)
        return x

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if (stored := state_dict.get(f"{prefix}stored")) is not None and stored.shape != self.stored.shape:
            self.stored = torch.empty_like(stored, device=self.stored.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _wide(kind: torch.dtype) -> torch.dtype:
    """Float32 where samples come in half precision."""
    return torch.float32 if kind in (torch.half, torch.bfloat16) else kind
