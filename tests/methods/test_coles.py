"""CoLES as a method: its views, its losses, and that it learns what counts do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tacit
from tacit.methods.base import Method
from tacit.methods.contrastive.coles import CoLES
from tacit.modalities import modality, open_source
from tacit.modalities.events.synthetic import habits
from tacit.parts.draws import Draws


def built(count: int = 8, **options: Any) -> tuple[Method, dict[str, Any]]:
    events = modality("events")
    source = open_source(habits(count, 0, events=(10, 40)), "events")
    spec = events.spec_of(source)
    torch.manual_seed(0)
    method = CoLES(events.make_encoder("gru", spec, width=16), **options)
    views = events.make_views(CoLES.recipe, spec, low=5, high=20)(source.batch(torch.arange(count)), Draws.seeded(0))
    return method, {"views": views}


@pytest.mark.parametrize("pairs", ["contrastive", "margin", "triplet", "binomial-deviance", "histogram"])
@pytest.mark.parametrize("count", [2, 8])
def test_every_loss_reaches_every_parameter(pairs: str, count: int) -> None:
    method, batch = built(count, pairs=pairs, margin=1.5 if pairs != "margin" else None)
    losses = method(batch)
    total = losses.pop("loss")
    torch.testing.assert_close(total, sum(losses.values()))
    total.backward()
    for name, value in method.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert count == 2 or value.grad.any(), name


def test_the_loss_is_the_objective_of_the_embeddings() -> None:
    method, batch = built()
    embeddings = method.encode(*batch["views"])
    torch.testing.assert_close(method(batch)["loss"], method.objective(*embeddings))


def test_half_precision_is_near() -> None:
    method, batch = built()
    with torch.autocast("cpu", torch.bfloat16):
        half = method(batch)["loss"]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, method(batch)["loss"], rtol=0.05, atol=0.05)


def test_it_learns_to_tell_histories_apart_and_takes_other_cuts(tmp_path: Path) -> None:
    log = habits(64, 0, classes=2, kinds=6, order=0.8, events=(30, 40))
    options = {"encoder.width": 32, "lr": 5e-3, "views.low": 8, "views.high": 20, "batch_size": 32}
    run = tacit.pretrain(
        log, "coles", steps=40, modality="events", out=tmp_path / "run", quiet=True, options=options | {"log_every": 1}
    )
    assert run.config["encoder"]["name"] == "gru"
    losses = run.metrics["loss"]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    for views in ("subsets", "split"):
        more = {"views.count": 2} | ({} if views == "split" else {"views.low": 8})
        tacit.pretrain(
            log, "coles", steps=2, modality="events", views=views, out=tmp_path / views, quiet=True, options=more
        )


def test_it_trains_on_trajectories(tmp_path: Path) -> None:
    from tacit.modalities.trajectory.synthetic import sample

    options = {"encoder.width": 16, "encoder.depth": 1, "encoder.heads": 2, "views.low": 5}
    run = tacit.pretrain(sample(16), "coles", steps=2, batch_size=4, out=tmp_path / "run", quiet=True, options=options)
    assert run.embed(sample(16)).shape == (16, 16)
