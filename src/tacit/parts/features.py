"""What a network computes on its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from tacit.errors import OptionError, unknown


@contextmanager
def captured(network: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Collect what a layer of ``network`` gives while the block runs, one tensor a call, with its gradient.

    Args:
        network: any module.
        layer: the name of a module inside it, as ``network.named_modules()`` has it. Of a layer that gives several
            things the first is taken.

    Raises:
        OptionError: if there is no such layer; the nearest name is suggested.
    """
    known = dict(network.named_modules())
    if layer not in known:
        raise unknown("layer", layer, [name for name in known if name])
    found: list[Tensor] = []

    def keep(_: nn.Module, inputs: Any, output: Any) -> None:
        output = output[0] if isinstance(output, (tuple, list)) else output
        if not isinstance(output, Tensor):
            raise OptionError(f"layer '{layer}' gives {type(output).__name__}, not a tensor")
        found.append(output)

    hook = known[layer].register_forward_hook(keep)
    try:
        yield found
    finally:
        hook.remove()
