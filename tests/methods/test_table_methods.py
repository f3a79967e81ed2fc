"""T-JEPA and self-guided masks on rows of tables."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import tacit
from tacit import registry
from tacit.evaluation.rankme import spectrum
from tacit.modalities import open_source, table
from tacit.modalities.table.synthetic import rows, sample
from tacit.objectives.predictive import TokenError
from tacit.parts.draws import Draws
from tacit.parts.subsets import context_and_target_sets, possible_sizes

NAMES = ("t-jepa", "sma")
each = pytest.mark.parametrize("name", NAMES)


def built(name: str, count: int = 16, seed: int = 0):
    torch.manual_seed(seed)
    source = open_source(sample(60), "table")
    spec = table.spec_of(source)
    kind = registry.find(name)
    encoder = table.make_encoder(kind.preferred, spec, width=16, depth=1, heads=2)
    method = kind(encoder, width=16, heads=2, depth=1)
    batch = source.batch(torch.arange(count))
    return method, batch | {"views": table.make_views(kind.recipe, spec)(batch)}


@each
@pytest.mark.parametrize("count", [2, 16])
def test_loss_is_finite_and_reaches_every_trainable_parameter(name: str, count: int) -> None:
    method, batch = built(name, count)
    loss = method(batch)["loss"]
    assert torch.isfinite(loss)
    loss.backward()
    for parameter, value in method.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, parameter
            assert value.grad.isfinite().all(), parameter
            if count > 2:
                assert value.grad.any(), parameter


@each
def test_bf16_is_close_to_float32(name: str) -> None:
    method, batch = built(name)
    torch.manual_seed(1)
    exact = method(batch)["loss"]
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = method(batch)["loss"]
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).abs() / exact) < 0.1


def test_the_loss_of_t_jepa_by_plain_loops() -> None:
    method, batch = built("t-jepa", 5)
    method.eval()
    x = batch["views"][0]["x"]
    torch.manual_seed(3)
    loss = float(method(batch)["loss"])
    torch.manual_seed(3)
    count = len(method.encoder.places)
    keep, wanted = context_and_target_sets(5, count, possible_sizes(count, (0.2, 0.5), (0.15, 0.4)), 4, Draws())
    errors = []
    with torch.no_grad():
        for i in range(5):
            tokens = method.encoder.tokenize(x[i : i + 1])
            seen = method.encoder.encode_tokens(tokens.x[:, keep[i]])
            slow = method.teacher.network
            target = slow.encode_tokens(slow.tokenize(x[i : i + 1]).x)[0]
            for m in range(4):
                found = method.predictor(seen, keep[i : i + 1], wanted[i : i + 1, m], tokens.position)[0]
                for place, row in zip(wanted[i, m].tolist(), found, strict=True):
                    errors += [(float(p) - float(t)) ** 2 for p, t in zip(row, target[place], strict=True)]
    assert loss == pytest.approx(sum(errors) / len(errors), rel=1e-4)


def test_token_error_is_the_mean_square_and_pulls_the_prediction_alone() -> None:
    p, t = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 4, requires_grad=True)
    loss = TokenError()(p, t)
    assert float(loss) == pytest.approx(np.square(p.detach().numpy() - t.detach().numpy()).mean(), rel=1e-5)
    loss.backward()
    assert t.grad is None
    torch.testing.assert_close(p.grad, 2 * (p - t).detach() / 24)
    with pytest.raises(ValueError):
        TokenError()(p, t[:1])


def test_what_t_jepa_does_not_see_does_not_matter() -> None:
    """The encoder's outputs at the seen columns are the same whatever the hidden ones hold."""
    method, batch = built("t-jepa")
    view = batch["views"][0]
    layout = view["layout"]
    keep = torch.arange(0, layout.count, 2).expand(16, -1)
    gone = torch.ones(16, layout.count, dtype=torch.bool)
    gone[:, ::2] = False
    tokens = [method.encoder.tokenize(x).x for x in (view["x"], layout.cleared(view["x"], gone))]
    assert not torch.allclose(*tokens)
    torch.testing.assert_close(*(method.encoder.encode_tokens(t, keep) for t in tokens))


def test_what_sma_hides_does_not_reach_the_restored() -> None:
    method, batch = built("sma")
    encoder, view = method.encoder, batch["views"][0]
    tokens = encoder.tokenize(view["x"])
    hidden = torch.zeros(tokens.x.shape[:2], dtype=torch.bool)
    hidden[:, 1::3] = True
    changed = torch.where(hidden[..., None], torch.randn_like(tokens.x), tokens.x)
    torch.testing.assert_close(encoder.read(changed, hidden), encoder.read(tokens.x, hidden))
    assert not torch.allclose(encoder.read(changed), encoder.read(tokens.x))


def test_the_loss_of_sma_counts_hidden_known_numbers_alone() -> None:
    method, batch = built("sma")
    x = batch["views"][0]["x"]
    seen = {}
    method.objective.register_forward_hook(lambda _, args, out: seen.update(args=args, out=out))
    loss = float(method(batch)["loss"])
    restored, target, hidden, known = (value.detach().numpy() for value in seen["args"])
    errors = []
    for b in range(len(x)):
        for n in range(target.shape[1]):
            if hidden[b, n] and known[b, n].any():
                errors.append(np.square(restored[b, n][known[b, n]] - target[b, n][known[b, n]]).mean())
    assert loss == pytest.approx(np.mean(errors), rel=1e-4)
    count = target.shape[1]
    assert (hidden.sum(1) == round(0.2 * count)).all()


def test_chance_fades_along_a_cosine_and_survives_saving() -> None:
    method, _ = built("sma")
    assert method.by_chance() == 1.0
    for progress in (0.05, 0.125, 0.2, 0.25, 0.9):
        method.after_step(progress)
        expected = (1 + math.cos(math.pi * progress / 0.25)) / 2 if progress < 0.25 else 0.0
        assert method.by_chance() == pytest.approx(expected, abs=1e-12)
        other, _ = built("sma", seed=1)
        other.load_state_dict(copy.deepcopy(method.state_dict()))
        assert other.by_chance() == method.by_chance()


def test_self_guided_masks_hide_related_columns_together() -> None:
    """Latents that look at one of two groups of columns each hide that group, not a mixture."""
    method, batch = built("sma")
    tokens = method.encoder.tokenize(batch["views"][0]["x"])
    count = tokens.x.shape[1]
    group = torch.arange(count) % 2
    from tacit.parts.latents import guided_mask

    weights = torch.stack([(group == q % 2).float() for q in range(8)]).expand(16, -1, -1)
    hidden = guided_mask(weights, 0.2, round(0.2 * count), 0.0, Draws.seeded(0))
    assert all(len(set(group[row].tolist())) == 1 for row in hidden)


@each
def test_learning_lowers_the_loss_and_does_not_collapse(name: str, tmp_path: Path) -> None:
    data = rows(600, 1, numbers=6, categories=2, irrelevant=2)
    options = {"encoder.width": 32, "encoder.depth": 1, "lr": 2e-3, "log_every": 10}
    run = tacit.pretrain(data, name, steps=120, batch_size=64, out=tmp_path / "run", quiet=True, options=options)
    losses = [float(v) for v in run.metrics["loss"]]
    if name == "sma":  # T-JEPA's loss compares with a moving target
        assert np.mean(losses[-3:]) < losses[0]
    assert spectrum(torch.from_numpy(run.embed(data))).rankme > 4


def test_impossible_options_are_refused() -> None:
    method, _ = built("t-jepa")
    columns = method.encoder
    kind = registry.find("t-jepa")
    for options in ({"context": (0.6, 0.2)}, {"targets": (0.1, 1.0)}, {"predictions": 0}):
        with pytest.raises(tacit.TacitError):
            kind(columns, **options)
    with pytest.raises(tacit.TacitError, match="tokens"):
        kind(built("sma")[0].encoder)
    latents, sma = built("sma")[0].encoder, registry.find("sma")
    for options in ({"ratio": 1.0}, {"per_query": 0.0}, {"random": 1.5}, {"until": 0.0}):
        with pytest.raises(tacit.TacitError):
            sma(latents, **options)
    with pytest.raises(tacit.TacitError, match="latents"):
        sma(columns)
    narrow = open_source(np.random.default_rng(0).normal(size=(20, 1)), "table")
    spec = table.spec_of(narrow)
    alone = kind(table.make_encoder("columns", spec))
    batch = narrow.batch(torch.arange(4))
    with pytest.raises(tacit.TacitError, match="more tokens"):
        alone(batch | {"views": table.make_views("crop", spec)(batch)})


def test_a_row_is_its_tokens_side_by_side() -> None:
    method, batch = built("t-jepa")
    x = batch["views"][0]["x"]
    out = method.row_tokens(x)
    assert out.shape == (16, len(method.encoder.places) * 16)
    slow = method.teacher.network
    torch.testing.assert_close(out.unflatten(1, (-1, 16)).mean(1), slow(x))
