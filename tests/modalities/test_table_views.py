"""Views, encoders and plots of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import tacit
from tacit.modalities import open_source, table
from tacit.modalities.table import plots
from tacit.modalities.table.changes import CutMix, Drop, Jitter, Swap
from tacit.modalities.table.synthetic import hidden_factors
from tacit.parts.draws import Draws
from tacit.parts.tokens import TokenEncoder


@pytest.fixture(scope="module")
def made():
    source = open_source(hidden_factors(300, 0, numbers=6, categories=3, irrelevant=4, missing=0.2).table, "table")
    spec = table.spec_of(source)
    view = table.evaluation_view(spec)(source.batch(torch.arange(300)))[0]
    return spec, view


def of_column(spec, x, i):
    return x[:, spec.layout.column_of == i]


def test_swapped_columns_come_whole_from_rows_of_the_batch(made) -> None:
    spec, view = made
    changed = Swap(0.5)(view, Draws.seeded(0))
    assert float(changed["swapped"].float().mean()) == pytest.approx(0.5, abs=0.03)
    for i in range(spec.layout.count):
        before, after, swapped = (
            of_column(spec, view["x"], i),
            of_column(spec, changed["x"], i),
            changed["swapped"][:, i],
        )
        torch.testing.assert_close(after[~swapped], before[~swapped], rtol=0, atol=0)
        there = (after[:, None] == before[None]).all(2).any(1)
        assert bool(there.all()), "a value that no row has"
        assert float((after != before).any(1)[swapped].float().mean()) > 0.2
    assert float((changed["x"][:, spec.layout.value].mean() - view["x"][:, spec.layout.value].mean()).abs()) < 0.02


def test_cut_mix_takes_all_from_one_other_row(made) -> None:
    spec, view = made
    after = CutMix(1.0)(view, Draws.seeded(0))["x"]
    assert bool((after[:, None] == view["x"][None]).all(2).any(1).all())
    half = CutMix(0.5)(view, Draws.seeded(0))["x"]
    # with the same draws the partner is the same, so each column is the row's own or the partner's
    own = torch.stack(
        [(of_column(spec, half, i) == of_column(spec, view["x"], i)).all(1) for i in range(spec.layout.count)]
    )
    partner = torch.stack(
        [(of_column(spec, half, i) == of_column(spec, after, i)).all(1) for i in range(spec.layout.count)]
    )
    assert bool((own | partner).all())
    assert 0.3 < float(own.float().mean()) < 0.8


def test_dropped_columns_look_like_missing_ones(made) -> None:
    spec, view = made
    changed = Drop(0.5)(view, Draws.seeded(0))
    layout = spec.layout
    for i in range(layout.count):
        column = of_column(spec, changed["x"], i)[changed["dropped"][:, i]]
        expected = torch.zeros(column.shape[1])
        if layout.flag[i] >= 0:
            expected[-1] = 1
        torch.testing.assert_close(column, expected.expand_as(column))
    kept = torch.where(changed["dropped"][:, layout.column_of], view["x"], changed["x"])
    torch.testing.assert_close(kept, view["x"])
    assert bool((~Drop(1.0)(view, Draws.seeded(0))["dropped"]).any(1).all())


def test_jitter_leaves_categories_and_missing_cells_alone(made) -> None:
    spec, view = made
    layout = spec.layout
    moved = Jitter(0.3)(view, Draws.seeded(0))["x"] - view["x"]
    assert not moved[:, ~layout.numeric].any()
    missing = layout.missing(view["x"])[:, layout.column_of]
    assert not moved[missing].any()
    assert float(moved[:, layout.numeric][~missing[:, layout.numeric]].std()) == pytest.approx(0.3, rel=0.05)


def test_subsets_cover_the_row_without_changing_a_value(made) -> None:
    spec, view = made
    batch = {"x": view["x"], "index": torch.arange(300)}
    one, other = table.make_views("subsets", spec, share=0.5)(batch, Draws.seeded(0))
    count = spec.layout.count
    assert bool((one["dropped"] != other["dropped"]).all()) or count % 2
    assert not bool((one["dropped"] & other["dropped"]).any()) or count % 2
    wide = table.make_views("subsets", spec, share=0.8)(batch, Draws.seeded(0))
    for made_view in wide:
        kept = ~made_view["dropped"]
        assert (kept.sum(1) == round(0.8 * count)).all()
        there = kept[:, spec.layout.column_of]
        torch.testing.assert_close(made_view["x"][there], view["x"][there], rtol=0, atol=0)
    assert bool((~wide[0]["dropped"] | ~wide[1]["dropped"]).all())
    with pytest.raises(tacit.TacitError, match="share"):
        table.make_views("subsets", spec, share=0.3)


def test_options_of_views_are_checked(made) -> None:
    spec, view = made
    corrupted = table.make_views("corrupted", spec, **{"swap.share": 1.0})({"x": view["x"]}, Draws.seeded(0))
    torch.testing.assert_close(corrupted[0]["x"], view["x"])
    assert bool(corrupted[1]["swapped"].all())
    for options in ({"swap.share": 2.0}, {"swap.shar": 0.1}, {"jitter.sigma": -1.0}, {"drop": 3.0}):
        with pytest.raises(tacit.TacitError):
            table.make_views("pair", spec, **options)


@pytest.mark.parametrize("name", ["columns", "mlp", "perceiver"])
def test_encoders_see_every_column_and_no_other_sample(made, name: str) -> None:
    spec, view = made
    torch.manual_seed(0)
    encoder = table.make_encoder(name, spec, width=16, depth=1).eval()
    x = view["x"][:8]
    out = encoder(x)
    assert out.shape == (8, encoder.dim)
    torch.testing.assert_close(encoder(x[2:3]), out[2:3], rtol=1e-4, atol=1e-5)
    for i in range(spec.layout.count):
        gone = torch.zeros(8, spec.layout.count, dtype=torch.bool)
        gone[:, i] = True
        assert not torch.allclose(encoder(spec.layout.cleared(x, gone)), out, atol=1e-6), i
    with pytest.raises(tacit.TacitError):
        table.make_encoder(name, spec, width=0)
    with pytest.raises(tacit.TacitError):
        table.make_encoder(name, spec, colour=1)


def test_tokens_are_columns(made) -> None:
    spec, view = made
    encoder = table.make_encoder("columns", spec, width=16, depth=1, heads=2)
    assert isinstance(encoder, TokenEncoder)
    assert not isinstance(table.make_encoder("perceiver", spec), TokenEncoder)
    tokens = encoder.tokenize(view["x"])
    layout = spec.layout
    assert tokens.x.shape == (300, layout.count, 16)
    missing = layout.missing(view["x"])
    for i, column in enumerate(spec.schema.columns):
        width = len(column.mean) + len(column.values)
        target, known = tokens.target[:, i], tokens.known[:, i]
        assert bool((known[:, :width] == ~missing[:, i : i + 1]).all())
        assert not known[:, column.width :].any()
        assert not target[:, column.width :].any()
        if column.missing:
            assert bool(known[:, width].all())
            assert bool((target[:, width].bool() == missing[:, i]).all())
        assert float(target[~missing[:, i], :width].var(0).mean()) == pytest.approx(1, abs=0.02)
    keep = torch.tensor([[4, 1, 2]]).expand(300, -1)
    some = encoder.encode_tokens(tokens.x, keep)
    assert some.shape == (300, 3, 16)
    torch.testing.assert_close(encoder.encode_tokens(tokens.x[:, [4, 1, 2]]), some)


def test_a_category_is_a_table_of_vectors(made) -> None:
    """The linear map of a centred one-hot code differs between values as rows of an embedding do."""
    spec, _ = made
    i = next(i for i, column in enumerate(spec.schema.columns) if column.sort == "category")
    column, first = spec.schema.columns[i], int(spec.layout.first[i])
    rows = torch.zeros(len(column.values), spec.features)
    shares = torch.tensor(column.shares)
    rows[:, first : first + len(column.values)] = (torch.eye(len(column.values)) - shares) * column.scale
    encoder = table.make_encoder("columns", spec, width=16, depth=1, heads=2)
    tokens = encoder.tokenize(rows).x[:, i]
    weight = encoder.enter.weight[i, : len(column.values)] * column.scale
    torch.testing.assert_close(tokens - tokens[:1], weight - weight[:1], rtol=1e-4, atol=1e-5)


def test_registers_take_part_and_do_not_come_back(made) -> None:
    spec, view = made
    torch.manual_seed(0)
    none = table.make_encoder("columns", spec, width=16, depth=1, heads=2, registers=0)
    torch.manual_seed(0)
    two = table.make_encoder("columns", spec, width=16, depth=1, heads=2, registers=2)
    assert none.registers is None
    x = view["x"][:4]
    assert two.encode_tokens(two.tokenize(x).x).shape == none.encode_tokens(none.tokenize(x).x).shape
    before = two(x)
    with torch.no_grad():
        two.registers.add_(torch.randn_like(two.registers))
    assert not torch.allclose(two(x), before)


def test_your_own_module_sees_features(made, tmp_path) -> None:
    spec, view = made
    own = table.wrap_encoder(torch.nn.Linear(spec.features, 7), spec)
    assert own(view["x"]).shape == (300, 7)
    data = np.random.default_rng(0).normal(size=(30, 4))
    run = tacit.pretrain(data, encoder=torch.nn.Linear(4, 5), steps=2, batch_size=8, out=tmp_path / "run", quiet=True)
    assert run.embed(data).shape == (30, 5)


def test_pictures_show_values_categories_and_gaps() -> None:
    frame = pd.DataFrame({"n": [0.0, 1, 2, 3, None], "c": ["a", "b", "a", "b", "b"], "m": [4.0, 4, 4, 5, 9]})
    source = open_source(frame, "table")
    spec = table.spec_of(source)
    view = table.evaluation_view(spec)(source.batch(torch.arange(5)))[0]
    seen = plots.as_seen(view, spec, 32)
    assert seen.shape == (5, 32, 32, 3)
    number, word = seen[:, 4, 4].astype(int), seen[:, 4, 20].astype(int)
    assert number[0, 2] > number[0, 0]  # low is blue
    assert number[3, 0] > number[3, 2]  # high is orange
    assert (number[4] == plots.MISSING).all()
    assert (word[0] == word[2]).all()
    assert (word[0] != word[1]).any()
    assert "tile" in plots.caption(seen)
