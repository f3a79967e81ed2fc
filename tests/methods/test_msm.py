"""Masked scene modelling against plain loops, and what it must survive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.methods.predictive.msm import MSM, hidden_cells, partners
from tacit.modalities import open_source, points
from tacit.modalities.points.synthetic import rooms, sample
from tacit.parts.draws import Draws
from tacit.parts.voxels import Pyramid
from tacit.views.base import join


def built(count: int = 4, room: bool = False, **options: Any) -> tuple[MSM, dict[str, Any]]:
    source = open_source(rooms(count, points=300).clouds if room else sample(count), "points")
    spec = points.spec_of(source)
    torch.manual_seed(0)
    method = MSM(points.make_encoder("voxels", spec, cell=0.3, widths=(6, 8, 10)), **options)
    batch = source.batch(torch.arange(count))
    return method, batch | {"views": points.make_views(method.recipe, spec)(batch, Draws.seeded(1))}


def loss_of(method: MSM, batch: dict[str, Any], seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return method(batch)


def test_blocks_are_hidden_whole_and_as_many_as_asked() -> None:
    method, batch = built()
    view = join(batch["views"][:2])
    cells, _ = method.encoder.entry(view["x"], view["length"])
    shares = []
    for seed in range(20):
        hidden = hidden_cells(cells, 2, 0.4, Draws.seeded(seed))
        for i in range(8):
            own = cells.sample == i
            blocks: dict[tuple[int, ...], set[bool]] = {}
            for cell, gone in zip(cells.cell[own].tolist(), hidden[own].tolist(), strict=True):
                blocks.setdefault(tuple(c // 2 for c in cell), set()).add(gone)
            assert all(len(states) == 1 for states in blocks.values())
            gone = sum(True in states for states in blocks.values())
            assert gone == round(0.4 * len(blocks))
            shares.append(gone / len(blocks))
    assert np.mean(shares) == pytest.approx(0.4, abs=0.03)
    everything = hidden_cells(cells, 1, 0.999, Draws.seeded(0))
    assert all(bool((~everything[cells.sample == i]).any()) for i in range(8))


def test_what_is_hidden_is_not_seen() -> None:
    """What hidden cells hold changes nothing: neither what the way down gives nor what is predicted."""
    method, batch = built()
    view = join(batch["views"][:2])
    cells, entry = method.encoder.entry(view["x"], view["length"])
    seen = []
    for noise in (0.0, 5.0):
        torch.manual_seed(5)
        hidden = method.hidden_pass(view, Draws())[2][0]
        rows = entry + noise * hidden[:, None] * torch.randn_like(entry)
        method.encoder.entry = lambda x, length=None, rows=rows: (cells, rows)  # type: ignore[method-assign]
        torch.manual_seed(5)
        seen.append(method.hidden_pass(view, Draws())[1])
    assert 0.2 < float(hidden.float().mean()) < 0.7
    assert all(torch.equal(one, two) for one, two in zip(*seen, strict=True))
    rows = entry + 5.0 * (~hidden)[:, None]
    method.encoder.entry = lambda x, length=None: (cells, rows)  # type: ignore[method-assign]
    torch.manual_seed(5)
    changed = method.hidden_pass(view, Draws())[1]
    assert not any(torch.allclose(one, two) for one, two in zip(seen[0], changed, strict=True))


def test_partners_are_the_nearest_cells_at_the_same_place() -> None:
    method, batch = built()
    one, two = join(batch["views"][:2]), join([batch["views"][3], batch["views"][2]])
    levels = [Pyramid(method.encoder.entry(view["x"], view["length"])[0], 3).levels for view in (one, two)]
    for level in range(3):
        cells, among = levels[0][level], levels[1][level]
        rows = torch.arange(0, len(cells), 3)
        found = partners(cells, rows, one["theta"], two["theta"], among)
        matched = 0
        for row, there in zip(rows.tolist(), found.tolist(), strict=True):
            i = int(cells.sample[row])
            first, second = (np.eye(4) for _ in range(2))
            first[:3], second[:3] = one["theta"][i].numpy(), two["theta"][i].numpy()
            place = (second @ np.linalg.inv(first) @ [*cells.position[row].tolist(), 1])[:3]
            own = (among.sample == i).nonzero()[:, 0]
            away = np.linalg.norm(among.position[own].numpy() - place, axis=1)
            if away.min() < among.size - 1e-4:
                assert there == int(own[away.argmin()])
                matched += 1
            elif away.min() > among.size + 1e-4:
                assert there == -1
        assert matched > 0.3 * len(rows)


def test_the_loss_is_the_cosines_of_hidden_cells_with_what_the_teacher_gives() -> None:
    method, batch = built()
    losses = loss_of(method, batch, 3)
    torch.manual_seed(3)
    student, other = join(batch["views"][:2]), join([batch["views"][3], batch["views"][2]])
    pyramid, levels, hidden = method.hidden_pass(student, Draws())
    slow_pyramid, slow = method.encoder.hierarchy(other["x"], other["length"])  # the teacher begins as its copy
    for level in range(3):
        target = slow[level] - slow[level].mean(0)
        rows = hidden[level].nonzero()[:, 0]
        there = partners(pyramid.levels[level], rows, student["theta"], other["theta"], slow_pyramid.levels[level])
        values = [
            1 - torch.cosine_similarity(method.predictors[level](levels[level][row][None])[0], target[at], dim=0)
            for row, at in zip(rows.tolist(), there.tolist(), strict=True)
            if at >= 0
        ]
        assert values
        torch.testing.assert_close(losses[f"level_{level + 1}"], torch.stack(values).mean() / 3, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses["loss"], sum(losses[f"level_{k}"] for k in (1, 2, 3)))


@pytest.mark.parametrize("room", [True, False])
@pytest.mark.parametrize("count", [2, 5])
def test_finite_and_every_weight_is_reached(count: int, room: bool) -> None:
    method, batch = built(count, room)
    loss = loss_of(method, batch)["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    reached = {name for name, p in method.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert reached == {name for name, p in method.named_parameters() if p.requires_grad}
    assert all(bool(p.grad.isfinite().all()) for p in method.parameters() if p.grad is not None)


def test_half_precision_is_close() -> None:
    method, batch = built()
    exact = loss_of(method, batch)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss_of(method, batch)["loss"]
    rounded.backward()
    assert rounded.dtype == torch.float32
    assert float((abs(rounded - exact) / exact).detach()) < 0.1
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


def test_it_learns_and_features_do_not_collapse() -> None:
    method, batch = built(6)
    optimiser = torch.optim.AdamW(method.parameters(), 2e-3)
    values = []
    for step in range(60):
        loss = loss_of(method, batch, step)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step(step / 60)
        values.append(float(loss.detach()))
    assert np.mean(values[-10:]) < 0.85 * np.mean(values[:10])
    _, levels = method.encoder.hierarchy(batch["views"][2]["x"], batch["views"][2]["length"])
    assert all(float(features.detach().std(0).mean()) > 0.2 for features in levels)


def test_more_padding_changes_nothing() -> None:
    method, batch = built()
    wider = [view | {"x": nn.functional.pad(view["x"], (0, 9))} for view in batch["views"]]
    one, two = (loss_of(method, batch | {"views": views})["loss"] for views in (batch["views"], wider))
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_views_that_share_no_place_and_clouds_of_a_point_are_worth_nothing() -> None:
    method, batch = built()
    apart = [dict(view) for view in batch["views"]]
    for view in apart[2:]:
        view["x"] = view["x"].clone()
        view["x"][:, :3] = torch.where(view["x"][:, :3] != 0, view["x"][:, :3] + 500, 0)
    loss = loss_of(method, batch | {"views": apart})["loss"]
    assert float(loss) == 0
    loss.backward()
    alone = [view | {"x": view["x"][..., :1], "length": torch.ones_like(view["length"])} for view in batch["views"]]
    loss = loss_of(method, batch | {"views": alone})["loss"]
    assert float(loss) == 0
    loss.backward()
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


def test_what_cannot_be() -> None:
    method, _ = built()
    for options in ({"ratio": 0.0}, {"ratio": 1.0}, {"block": 0}, {"widen": 0}):
        with pytest.raises(OptionError):
            MSM(method.encoder, **options)
    plain = nn.Linear(3, 3)
    plain.dim = 3  # type: ignore[assignment]
    with pytest.raises(OptionError, match="--encoder voxels"):
        MSM(plain)
