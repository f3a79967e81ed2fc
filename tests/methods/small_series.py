"""Small series, and the methods for series in small settings."""

from __future__ import annotations

from typing import Any

import torch

from tacit import registry
from tacit.methods.base import Method
from tacit.modalities import series

STEPS, CHANNELS = 48, 2
SPEC = series.Spec(CHANNELS, STEPS, True, (0.0,) * CHANNELS, (1.0,) * CHANNELS)
SMALL: dict[str, dict[str, Any]] = {
    "patch": {"patch": 5, "width": 16, "depth": 1, "heads": 2},
    "dual": {"patch": 8, "width": 16, "depth": 1, "heads": 2},
    "three-bases": {"width": 8, "depth": 2, "dim": 12},
    "tcn": {"width": 8, "depth": 2, "dim": 12},
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "sdsc": ("patch", {"out": 8}),
    "timedrl": ("dual", {}),
    "frame-projections": ("three-bases", {"out": 8, "scales": 10, "width": 4}),
    "rebar": (
        "tcn",
        {"length": 8, "candidates": 4, "mask": 3, "retriever_epochs": 2, "retriever_width": 8, "retriever_kernel": 5},
    ),
}
RAGGED = ("sdsc", "timedrl", "rebar")


def waves(count: int = 6, seed: int = 0, ragged: bool = False) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(count, CHANNELS, 2, generator=generator)
    x = torch.sin(6.28 * (torch.arange(STEPS) / (6 + 10 * u[..., :1]) + u[..., 1:]))
    x = x + 0.1 * torch.randn(x.shape, generator=generator)
    if not ragged:
        return {"x": x}
    length = torch.randint(24, STEPS + 1, (count,), generator=generator)
    return {"x": x.masked_fill(torch.arange(STEPS) >= length[:, None, None], 0), "length": length}


def built(name: str, encoder: dict[str, Any] | None = None, **options: Any) -> Method:
    torch.manual_seed(0)
    wanted, more = METHODS[name]
    net = series.make_encoder(wanted, SPEC, **SMALL[wanted] | (encoder or {}))
    method = registry.find(name)(net, **more | options)
    method.sized(6)
    method.eval().begin(lambda: iter([{"views": [waves()], "index": torch.arange(6)}]))
    return method.train()


def loss(method: Method, view: dict[str, Any], seed: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return method({"views": [view], "index": torch.arange(len(view["x"]))})
