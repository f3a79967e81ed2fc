"""Taking back what a step did to a method's state before it turned out bad."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Undo:
    """A copy of a module's buffers (running statistics, queues, centres) as they were before a step.

    The forward pass of a batch writes to them, so that one bad batch would leave its NaN there although the
    optimiser never stepped.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._kept: list[Tensor] = []

    @torch.no_grad()
    def keep(self) -> None:
        """Remember the buffers as they are now."""
        buffers = list(self.module.buffers())
        if [b.shape for b in buffers] != [b.shape for b in self._kept]:
            self._kept = [b.clone() for b in buffers]
        else:
            _copy(self._kept, buffers)

    @torch.no_grad()
    def restore(self) -> None:
        """Give the buffers the values that they had when :meth:`keep` was called."""
        _copy(list(self.module.buffers()), self._kept)


def _copy(to: list[Tensor], of: list[Tensor]) -> None:
    """One kernel for all tensors of a type: a copy each would cost a small encoder noticeable time on a GPU."""
    for kind in {(t.dtype, t.device) for t in to}:
        pairs = [(a, b) for a, b in zip(to, of, strict=True) if (a.dtype, a.device) == kind]
        torch._foreach_copy_([a for a, _ in pairs], [b for _, b in pairs])
