"""Batches larger than memory, with the value and gradient of the large batch.

Gradients are cached at the projections: the projections of all samples are computed chunk by chunk without
keeping what the backward pass needs, the objective sees all of them at once, and its gradient at each chunk's
projections is then sent through a second forward pass of that chunk.

Source: Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.checkpoint import get_device_states, set_device_states

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.parts import ranks

if TYPE_CHECKING:
    from tacit.methods.base import JointEmbedding, Method
    from tacit.views.base import View

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def check(method: Method) -> None:
    """Make sure that cached gradients are exact for ``method``.

    Raises:
        OptionError: if its loss is not a function of the projections alone, or if a sample's projection
            depends on the other samples through batch norm.
    """
    if not method.in_chunks:
        raise OptionError(f"{type(method).__name__} cannot train in chunks: its loss needs more than the projections")
    for name, module in method.named_modules():
        if isinstance(module, BATCH_NORMS) and module.training:
            raise OptionError(
                f"chunks would change the statistics of the batch norm '{name}': use norm=layer and an "
                "encoder without batch norm, or train without chunks"
            )


def backward(
    method: JointEmbedding,
    batch: Batch,
    chunk: int,
    backward: Callable[[Tensor], None] = torch.autograd.backward,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> dict[str, Tensor]:
    """Add to the parameters' gradients those of ``method`` on the whole batch, holding one chunk in memory.

    Random numbers are replayed, so that dropout is the same in both passes. In a process group the gradients
    are averaged over ranks here, since a data-parallel wrapper sees neither pass; call it with the wrapped
    module itself.

    Args:
        method: the method, unwrapped.
        batch: with ``views`` made; each view's tensors are split along the samples.
        chunk: samples of the batch that go through encoder and projector at a time.
        backward: what the loop calls on a scalar in place of ``Tensor.backward``, e.g. ``fabric.backward``.
        autocast: makes the context of the forward passes, e.g. ``fabric.autocast``.

    Returns:
        Named scalars without gradient, as ``method(batch)`` gives them.

    Raises:
        OptionError: where this would not be exact, see :func:`check`, or for a chunk below 1.
    """
    check(method)
    if chunk < 1:
        raise OptionError(f"a chunk must hold at least 1 sample, not {chunk}")
    parts = _split(batch["views"], chunk)
    states, chunks = [], []
    with torch.no_grad():
        for views in parts:
            states.append((torch.get_rng_state(), get_device_states(*_tensors(views))))
            with autocast():
                chunks.append(method.project(*views))
    projections = [torch.cat(found).requires_grad_() for found in zip(*chunks, strict=True)]
    with autocast():
        terms = method.named(method.compare(*projections))
    # An objective may have parameters of its own, e.g. a learned temperature or prototypes.
    learned = [p for p in method.objective.parameters() if p.requires_grad]
    grads = torch.autograd.grad(terms["loss"], [*projections, *learned], allow_unused=True)
    cached = list(zip(*(_rows(g, z, chunk) for g, z in zip(grads, projections, strict=False)), strict=True))
    own = [(p * g).sum() for p, g in zip(learned, grads[len(projections) :], strict=True) if g is not None]
    if own:
        backward(torch.stack(own).sum())
    devices = sorted({d for _, (found, _) in states for d in found})
    with torch.random.fork_rng(devices=devices):
        for views, (cpu, device_states), gradient in zip(parts, states, cached, strict=True):
            torch.set_rng_state(cpu)
            set_device_states(*device_states)
            with autocast():
                found = method.project(*views)
            backward(torch.stack([(z.to(g.dtype) * g).sum() for z, g in zip(found, gradient, strict=True)]).sum())
    _average(method)
    return {name: value.detach() for name, value in terms.items()}


def _split(views: list[View], chunk: int) -> list[list[View]]:
    samples = len(views[0]["x"])
    return [
        [{k: _part(v, slice(start, start + chunk)) for k, v in view.items()} for view in views]
        for start in range(0, samples, chunk)
    ]


def _part(value: Any, rows: slice) -> Any:
    if isinstance(value, Tensor):
        return value[rows]
    return value.rows(rows) if hasattr(value, "rows") else value


def _rows(gradient: Tensor | None, projection: Tensor, chunk: int) -> tuple[Tensor, ...]:
    return (torch.zeros_like(projection) if gradient is None else gradient).split(chunk)


def _tensors(views: list[View]) -> list[Tensor]:
    return [value for view in views for value in view.values() if isinstance(value, Tensor)]


def _average(method: nn.Module) -> None:
    size = ranks.world()[1]
    if size == 1:
        return
    for parameter in method.parameters():
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= size
