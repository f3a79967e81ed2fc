"""What the layers of an encoder say of samples: features of bounded width, in memory or in mapped files."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.assessment.halves import Half
from tacit.data import Batch
from tacit.errors import OptionError, unknown
from tacit.evaluation import arrays
from tacit.methods.base import embed
from tacit.parts.tokens import TokenEncoder
from tacit.run import Run, through
from tacit.views.base import View

LIMIT = 9_000
"""Most numbers that a layer gives for a sample; larger maps are pooled to fewer."""
EMBEDDING = "embedding"
"""The name of what the encoder gives in the end."""
MOST = 6
"""Most layers that are chosen where a network has many alike."""


def pooled(out: Tensor, limit: int = LIMIT, tokens: bool = False) -> Tensor:
    """Maps ``[B, C, ...]`` (``tokens``: ``[B, T, C]``) as vectors ``[B, D]``, by adaptive max pooling over positions
    to at most ``limit`` numbers (or one position, if one has more)."""
    if out.ndim == 2:
        return out
    if tokens and out.ndim == 3:
        out = out.transpose(1, 2)
    size, most = list(out.shape[2:]), max(1, limit // out.shape[1])
    if math.prod(size) > most:
        share = (most / math.prod(size)) ** (1 / len(size))
        size = [max(1, int(side * share)) for side in size]
        while math.prod(size) > most:  # where one side is a single position already
            size[size.index(max(size))] -= 1
        pool = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[len(size) - 1]
        out = pool(out, size)
    return out.flatten(1)


def layers_of(network: nn.Module, view: Mapping[str, Any]) -> list[str]:
    """Layers worth looking at, first to last, by name: where the resolution or the width changes next; of a
    transformer, and wherever there are not three such, up to six of its blocks. Last comes the ``embedding``."""
    count, shapes = len(view["x"]), dict[str, tuple[int, ...]]()
    whole: set[str] = set()  # gives maps of the shape it was given: a residual block, inside of which nothing counts

    def seen(name: str) -> Any:
        def keep(_: nn.Module, inputs: Any, out: Any) -> None:
            if isinstance(out, Tensor) and 3 <= out.ndim <= 5 and len(out) == count:
                shapes.pop(name, None)
                shapes[name] = tuple(out.shape[1:])
                if out.ndim > 3 and inputs and isinstance(inputs[0], Tensor) and inputs[0].shape == out.shape:
                    whole.add(name)

        return keep

    with _hooks(network, {name: seen(name) for name, _ in network.named_modules() if name}):
        embed(network, dict(view))
    last: dict[tuple[int, ...], str] = {}
    for name, shape in shapes.items():
        inner = any(name.startswith(f"{block}.") for block in whole)
        if not inner and not any(other != shape and kept.startswith(f"{name}.") for other, kept in last.items()):
            last[shape] = name
    chosen = list(last.values())
    if len(chosen) < 3 or isinstance(network, TokenEncoder):
        containers = [
            [f"{name}.{child}" for child, _ in module.named_children() if f"{name}.{child}" in shapes]
            for name, module in network.named_modules()
            if isinstance(module, (nn.Sequential, nn.ModuleList))
        ]
        blocks = max(containers, key=len, default=[])
        if blocks and (len(blocks) > len(chosen) or isinstance(network, TokenEncoder)):
            places = np.linspace(0, len(blocks) - 1, min(MOST, len(blocks))).round().astype(int)
            chosen = [blocks[place] for place in places]
    return [*chosen, EMBEDDING]


@contextmanager
def tapped(
    run: Run,
    network: nn.Module,
    half: Half,
    layers: Sequence[str] | None = None,
    limit: int = LIMIT,
    size: int = 128,
    shown: Sequence[Callable[[Batch], View]] | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Features of all samples at some layers: float32 ``[N, D]`` by name, which live as long as the block runs.

    Beyond 1 GiB they lie in mapped files, which are deleted afterwards.

    Args:
        network: an encoder of the run, in evaluation mode.
        layers: names as ``network.named_modules()`` has them, and ``embedding``; by default :func:`layers_of`.
        limit: see :func:`pooled`.
        shown: what makes of samples what the encoder is shown, in place of the run's evaluation view; of several there
            are all samples by the first, then all by the second, and so on: ``[len(shown) * N, D]``.

    Raises:
        OptionError: for an unknown layer, one that gives no map of every sample, or samples of different lengths, whose
            padding inner layers do not tell apart.
    """
    with tempfile.TemporaryDirectory() as folder:
        features = _features(run, network, half, layers, limit, size, Path(folder), shown)
        try:
            yield features
        finally:
            features.clear()


def _features(
    run: Run,
    network: nn.Module,
    half: Half,
    layers: Sequence[str] | None,
    limit: int,
    size: int,
    folder: Path,
    shown: Sequence[Callable[[Batch], View]] | None,
) -> dict[str, np.ndarray]:
    view, tokens = run.evaluation_view(), isinstance(network, TokenEncoder)
    makers = [lambda batch: view(batch)[0]] if shown is None else list(shown)
    names = None if layers is None else list(layers)

    def of(batch: Batch, make: Callable[[Batch], View]) -> dict[str, np.ndarray]:
        nonlocal names
        seen = make(batch)
        if names is None:
            names = [EMBEDDING] if "length" in seen else layers_of(network, seen)
        if "length" in seen and set(names) != {EMBEDDING}:
            raise OptionError("layers can only be probed where all samples have one shape; use embedding")
        rows = _one_batch(network, seen, names, limit, tokens)
        return {name: x.float().cpu().numpy() for name, x in rows.items()}

    features: dict[str, np.ndarray] = {}
    done = 0
    for make in makers:
        for rows in through(partial(of, make=make), half.batches(size), network):
            if not features:
                features = _room({name: x.shape[1] for name, x in rows.items()}, len(makers) * len(half), folder)
            for name, x in rows.items():
                features[name][done : done + len(x)] = x
            done += len(x)
    return features


def _one_batch(
    network: nn.Module, view: Mapping[str, Any], layers: Sequence[str], limit: int, tokens: bool
) -> dict[str, Tensor]:
    known, count = dict(network.named_modules()), len(view["x"])
    found: dict[str, Tensor] = {}

    def tap(name: str) -> Any:
        def keep(_: nn.Module, inputs: Any, out: Any) -> None:
            out = out[0] if isinstance(out, (tuple, list)) else out
            if not isinstance(out, Tensor) or not 2 <= out.ndim <= 5 or len(out) != count:
                raise OptionError(f"layer '{name}' gives no features of each sample; choose another")
            found[name] = pooled(out, limit, tokens)

        return keep

    for name in layers:
        if name != EMBEDDING and name not in known:
            raise unknown("layer", name, [*known, EMBEDDING])
    with _hooks(network, {name: tap(name) for name in layers if name != EMBEDDING}):
        found[EMBEDDING] = embed(network, dict(view))
    return {name: found[name] for name in layers}


def _room(widths: Mapping[str, int], count: int, folder: Path) -> dict[str, np.ndarray]:
    if count * sum(widths.values()) <= arrays.MEMORY:
        return {name: np.empty((count, width), np.float32) for name, width in widths.items()}
    return {
        name: np.lib.format.open_memmap(folder / f"{place}.npy", "w+", np.float32, (count, width))
        for place, (name, width) in enumerate(widths.items())
    }


@contextmanager
def _hooks(network: nn.Module, hooks: Mapping[str, Any]) -> Iterator[None]:
    known = dict(network.named_modules())
    made = [known[name].register_forward_hook(hook) for name, hook in hooks.items()]
    try:
        yield
    finally:
        for hook in made:
            hook.remove()


__all__ = ["EMBEDDING", "LIMIT", "layers_of", "pooled", "tapped"]
