"""Two processes with half the batch each give the losses and weights of one, on every kind of data."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tacit
from tacit import registry
from tacit.methods.base import Method
from tacit.modalities import modality, open_source
from tacit.options import parameters
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.training.feed import once
from two_ranks import on_two_ranks

ROWS, STEPS, RATE = 8, 3, 0.02
KINDS = [kind for kind in registry.modality_names() if kind != "image"]  # which tests/methods cover more closely
SHARED = ("simclr", "vicreg", "masked-autoencoder", "jepa")
SMALL = {"hidden": 16, "out": 12, "norm": "layer"}
TINY = {"width": 16, "depth": 1, "heads": 2}
ABSENT = {"dropout": 0.0}
"""Drawn by the network itself, and so different in each process; timedrl lives by it and draws its own."""
OPTIONS: dict[str, dict[str, Any]] = {
    "rebar": {"length": 8, "candidates": 4, "mask": 3, "retriever_epochs": 2, "retriever_width": 8},
}
LINES = np.random.default_rng(0).normal(size=(2, 24, 3, 48)).astype(np.float32)
OWN_DATA: dict[str, tuple[Any, dict[str, Any]]] = {
    "frame-projections": (LINES[0], {}),
    "collossl": ({"wrist": LINES[0], "chest": LINES[1]}, {"parts": {"wrist": "series", "chest": "series"}}),
}
"""For methods that do not take any data of their kind."""


def names_for(kind: str) -> list[str]:
    """Methods that any kind has, and those of this one."""
    own = [row.name for row in registry.catalogue("method", kind) if row.modalities == (kind,)]
    return [*SHARED, *own]


def built(kind: str, name: str) -> tuple[Method, Any, Any]:
    """A small method, its views and its data."""
    torch.manual_seed(0)
    package, cls = modality(kind), registry.find(name)
    sample = importlib.import_module(f"tacit.modalities.{kind}.synthetic").sample
    data, reading = OWN_DATA[name] if name in OWN_DATA else (sample(24, 0), {})
    source = open_source(data, kind, **reading)
    spec = package.spec_of(source)
    wanted = cls.preferred if cls.preferred in package.encoder_names() else None
    encoder_name = wanted or package.default_encoder(spec, tokens=cls.tokens, fast=True)
    absent = {} if name == "timedrl" else ABSENT
    made: dict[str, Any] = {}
    for key, value in (TINY | absent).items():
        try:
            package.make_encoder(encoder_name, spec, **made, **{key: value})
        except tacit.TacitError:
            continue
        made[key] = value
    options = {key: value for key, value in (SMALL | absent).items() if key in parameters(cls, skip=1)}
    options |= OPTIONS.get(name, {})
    method = without_batch_statistics(cls(package.make_encoder(encoder_name, spec, **made), **options))
    method.sized(len(source))
    if cls.uses_labels:
        method.labelled(2)
    view = package.evaluation_view(spec)
    method.eval().begin(lambda: once(source, view, torch.device("cpu"), cls.uses_labels))
    return method.train(), package.make_views(cls.recipe, spec), source


def without_batch_statistics(module: Method) -> Method:
    """The same with statistics of each sample, since those of batches are shared by ranks only on GPUs."""
    for name, child in list(module.named_modules()):
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.set_submodule(name, nn.GroupNorm(1, child.num_features))
    return module


def train(kind: str, name: str, rows: slice) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Losses of some steps of plain descent, and the weights after them."""
    method, views, source = built(kind, name)
    weights = [p for p in method.parameters() if p.requires_grad]
    losses = []
    for step in range(STEPS):
        torch.manual_seed(step)
        batch = source.batch(torch.arange(step * ROWS, (step + 1) * ROWS)[rows])
        if not method.uses_labels:
            batch.pop("y", None)
        batch["views"] = views(batch, Draws.seeded(7, step))
        method.zero_grad()
        loss = method(batch)["loss"]
        loss.backward()
        with torch.no_grad():
            for weight in weights:
                if weight.grad is not None:  # averaged, as data-parallel training does
                    weight -= RATE * ranks.total(weight.grad) / ranks.world()[1]
        method.after_step((step + 1) / STEPS)
        losses.append(loss.detach())
    return torch.stack(losses), method.state_dict()


def check(rank: int, together: Callable[[], AbstractContextManager[None]], kind: str) -> None:
    warnings.simplefilter("ignore")
    own = slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)
    alone = {name: train(kind, name, slice(0, ROWS)) for name in names_for(kind)}
    with together():
        for name, (losses, weights) in alone.items():
            found, after = train(kind, name, own)
            close(ranks.total(found) / 2, losses, f"{kind}, {name}")
            for key, value in weights.items():
                close(after[key], value, f"{kind}, {name}: {key}")


def close(found: torch.Tensor, wanted: torch.Tensor, name: str) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5, msg=lambda text: f"{name}: {text}")


class Check:
    """``check`` of one kind, which a new process can be given."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, rank: int, together: Callable[[], AbstractContextManager[None]]) -> None:
        check(rank, together, self.kind)


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_equal_one(kind: str, tmp_path: Path) -> None:
    on_two_ranks(Check(kind), tmp_path)
