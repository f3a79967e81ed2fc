"""Views and encoders of histories, and what the made-up ones hold."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.modalities import modality, open_source
from tacit.modalities.events.changes import EventDrop, FieldMask, NumberNoise, Pace, Slice
from tacit.modalities.events.encoders import EventEntry, EventGRU, EventTransformer
from tacit.modalities.events.synthetic import habits, rules
from tacit.parts.draws import Draws
from tacit.parts.tokens import TokenEncoder
from tacit.views.base import View

events = modality("events")


@pytest.fixture(scope="module")
def opened() -> tuple[Any, Any]:
    source = open_source(habits(12, 1, events=(5, 40)), "events")
    return events.spec_of(source), source


def view_of(opened: tuple[Any, Any]) -> View:
    spec, source = opened
    return events.evaluation_view(spec)(source.batch(torch.arange(12)))[0]


def without_time(view: View, i: int) -> list[tuple[float, ...]]:
    """Events of one sample as tuples of all but their time."""
    return [tuple(column) for column in view["x"][i, 1:, : int(view["length"][i])].T.tolist()]


def gaps(view: View, i: int) -> torch.Tensor:
    return view["x"][i, 0, : int(view["length"][i])].diff()


def test_slices_are_stretches_of_the_history_of_the_lengths_asked_for(opened: tuple[Any, Any]) -> None:
    whole = view_of(opened)
    seen: Counter[int] = Counter()
    for seed in range(40):
        made = events.make_views("slices", opened[0], low=8, high=20)(
            opened[1].batch(torch.arange(12)), Draws.seeded(seed)
        )
        assert len(made) == 5
        for view in made:
            for i, size in enumerate(view["length"].tolist()):
                everything, part = without_time(whole, i), without_time(view, i)
                start = next(s for s in range(len(everything)) if everything[s : s + size] == part)
                torch.testing.assert_close(
                    gaps(view, i), gaps(whole, i)[start : start + size - 1], rtol=1e-3, atol=1e-4
                )
                assert not view["x"][i, :, size:].any()
                assert view["x"][i, 0, 0] == 0
                if len(everything) <= 8:
                    assert size == len(everything)
                else:
                    assert 8 <= size <= min(20, len(everything))
                if len(everything) >= 20:
                    seen[size] += 1
    assert set(seen) == set(range(8, 21))
    assert max(seen.values()) < 2 * min(seen.values()), "lengths are even"


def test_subsets_keep_the_order_and_split_deals_out_every_event_once(opened: tuple[Any, Any]) -> None:
    whole, batch = view_of(opened), opened[1].batch(torch.arange(12))
    for view in events.make_views("subsets", opened[0], count=3, low=5, high=9)(batch, Draws.seeded(0)):
        for i in range(12):
            everything, part = without_time(whole, i), without_time(view, i)
            rest = iter(everything)
            assert all(event in rest for event in part), "a subsequence"
            assert 5 <= len(part) <= 9
    halves = events.make_views("split", opened[0])(batch, Draws.seeded(0))
    for i in range(12):
        parts = sum((Counter(without_time(half, i)) for half in halves), Counter())
        assert parts == Counter(without_time(whole, i))
        assert min(len(without_time(half, i)) for half in halves) >= 1


def test_a_history_of_one_event_is_every_view_of_it() -> None:
    frame = habits(6, 0, events=(1, 1))
    source = open_source(frame, "events")
    spec = events.spec_of(source)
    batch = source.batch(torch.arange(6))
    plain = events.evaluation_view(spec)(batch)[0]
    for recipe in ("slices", "subsets", "split"):
        for view in events.make_views(recipe, spec)(batch, Draws.seeded(0)):
            assert view["length"].tolist() == [1] * 6
            assert torch.equal(view["x"][..., :1], plain["x"])


def test_event_drop_leaves_a_subsequence_and_one_event_at_least(opened: tuple[Any, Any]) -> None:
    whole = view_of(opened)
    for share in (0.3, 0.99):
        view = EventDrop(share)(whole, Draws.seeded(3))
        assert view["length"].min() >= 1
        for i in range(12):
            rest = iter(without_time(whole, i))
            assert all(event in rest for event in without_time(view, i))
    kept = torch.stack([EventDrop(0.3)(whole, Draws.seeded(s))["length"] for s in range(50)]).float().sum()
    assert float(kept / 50 / whole["length"].sum()) == pytest.approx(0.7, abs=0.03)


def test_field_mask_noise_and_pace_change_what_they_say_and_nothing_else(opened: tuple[Any, Any]) -> None:
    whole = view_of(opened)
    real = torch.arange(whole["x"].shape[2]) < whole["length"][:, None]
    masked = FieldMask(0.4)(whole, Draws.seeded(0))["x"]
    hidden = masked[:, 1] != whole["x"][:, 1]
    assert (masked[:, 1][hidden] == 1).all()
    assert float(hidden[real].float().mean()) == pytest.approx(0.4, abs=0.08)
    gone = masked[:, 2] != whole["x"][:, 2]
    assert not masked[:, 2][gone].any()
    for row in (0, 3, 4, 5, 6):
        assert torch.equal(masked[:, row], whole["x"][:, row])
    noisy = NumberNoise(0.5)(whole, Draws.seeded(0))["x"]
    change = noisy - whole["x"]
    assert not change[:, [0, 1, 3, 4, 5, 6]].any()
    assert not change[:, 2][~real].any()
    assert float(change[:, 2][real].std()) == pytest.approx(0.5, abs=0.08)
    paced = Pace(0.5)(whole, Draws.seeded(0))["x"]
    assert torch.equal(paced[:, 1:], whole["x"][:, 1:])
    factor = paced[:, 0, 1:] / whole["x"][:, 0, 1:]
    for i in range(12):
        torch.testing.assert_close(factor[i][real[i, 1:]], factor[i, :1].expand(int(whole["length"][i]) - 1))


def test_masked_numbers_are_told_to_be_unknown() -> None:
    frame = habits(8, 0).to_pandas()
    frame.loc[frame.index[:5], "amount"] = np.nan
    source = open_source(frame, "events")
    spec = events.spec_of(source)
    view = events.evaluation_view(spec)(source.batch(torch.arange(8)))[0]
    masked = FieldMask(0.5)(view, Draws.seeded(0))["x"]
    hidden = (masked[:, 2] != view["x"][:, 2]) & (view["x"][:, 2] != 0)
    assert hidden.any()
    assert not masked[:, 3][hidden].any()
    assert (masked[:, 3] <= view["x"][:, 3]).all()


@pytest.mark.parametrize("make", [lambda: Slice((0.0, 1.0)), lambda: EventDrop(1.0), lambda: Pace(-1.0)])
def test_impossible_strengths_are_refused(make: Any) -> None:
    with pytest.raises(OptionError):
        make()


def test_impossible_cuts_are_refused(opened: tuple[Any, Any]) -> None:
    for options in ({"low": 0}, {"low": 9, "high": 8}, {"count": 0}):
        with pytest.raises(OptionError):
            events.make_views("slices", opened[0], **options)
    with pytest.raises(OptionError):
        events.make_views("split", opened[0], count=1)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_a_sample_alone_gives_what_it_gives_in_company(opened: tuple[Any, Any], name: str) -> None:
    torch.manual_seed(0)
    encoder, view = events.make_encoder(name, opened[0]).eval(), view_of(opened)
    together = encoder(view["x"], view["length"])
    assert together.shape == (12, encoder.dim)
    for i in (0, 5):
        size = int(view["length"][i])
        alone = encoder(view["x"][i : i + 1, :, :size])
        torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_the_order_of_events_and_their_gaps_matter(opened: tuple[Any, Any], name: str) -> None:
    torch.manual_seed(0)
    encoder, view = events.make_encoder(name, opened[0]).eval(), view_of(opened)
    x = view["x"][:, :, :5]
    swapped = x.clone()
    swapped[:, 1:, [1, 2]] = x[:, 1:, [2, 1]]
    slower = x.clone()
    slower[:, 0] *= 3
    base = encoder(x)
    assert (encoder(swapped) - base).abs().amax(1).min() > 1e-4
    assert (encoder(slower) - base).abs().amax(1).min() > 1e-4


def test_codes_beyond_the_list_do_not_break_the_network(opened: tuple[Any, Any]) -> None:
    entry, x = EventEntry(opened[0]), view_of(opened)["x"].clone()
    x[0, 1] = 10_000
    assert entry(x).isfinite().all()
    assert not entry(torch.zeros(2, 7, 4))[..., :16].any(), "padding has the embedding 0"


def test_tokens_are_events_and_their_targets_what_these_hold(opened: tuple[Any, Any]) -> None:
    spec, view = opened[0], view_of(opened)
    encoder = EventTransformer(spec, width=16, depth=1, heads=2)
    assert isinstance(encoder, TokenEncoder)
    tokens = encoder.tokenize(view["x"], view["length"])
    assert tokens.valid is not None
    assert tokens.known is not None
    assert tokens.counts().tolist() == view["length"].tolist()
    assert tokens.target.shape[2] == encoder.target_dim
    i, t = 3, 2
    target, code = tokens.target[i, t], int(view["x"][i, 1, t])
    size = spec.sizes[0]
    assert target[:size].tolist() == pytest.approx([size**0.5 if j == code else 0.0 for j in range(size)])
    assert target[size] == view["x"][i, 2, t]
    waited = np.log1p(float(view["x"][i, 0, t] - view["x"][i, 0, t - 1]) / spec.gap)
    assert float(target[-1]) == pytest.approx(waited, rel=1e-3)
    assert not tokens.target[~tokens.valid].any()
    unknown = view["x"].clone()
    unknown[i, 1, t] = 1
    known = encoder.tokenize(unknown, view["length"]).known
    assert known is not None
    assert not known[i, t, :size].any()
    assert known[i, t, size:].all()


def test_fields_of_many_values_have_targets_of_few_numbers() -> None:
    frame = habits(20, 0, kinds=60)
    spec = events.spec_of(open_source(frame, "events"))
    encoder = EventTransformer(spec, width=16, depth=1, heads=2)
    assert encoder.target_dim == 32 + 1 + 4 + 1
    codes = encoder.code0
    assert len({tuple(row) for row in codes.tolist()}) == len(codes), "no two values alike"


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 0}, {"field": 0}])
def test_sizes_that_cannot_be_are_refused(opened: tuple[Any, Any], options: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        EventGRU(opened[0], **options)


def test_raw_is_counts_and_averages(opened: tuple[Any, Any]) -> None:
    spec, view = opened[0], view_of(opened)
    found = events.raw(view)
    i, size = 4, int(view["length"][4])
    codes = Counter(int(code) for code in view["x"][i, 1, :size].tolist())
    shares = [codes[c] / size for c in range(spec.sizes[0])]
    assert found[i, : spec.sizes[0]].tolist() == pytest.approx(shares, abs=1e-6)
    amounts = view["x"][i, 2, :size]
    assert float(found[i, spec.sizes[0]]) == pytest.approx(float(amounts.mean()), abs=1e-5)
    spread = found[i, spec.sizes[0] + 6]
    assert float(spread) == pytest.approx(float(amounts.std(unbiased=False)), abs=1e-5)


def test_habits_follow_their_rules_and_no_count_tells_them() -> None:
    frame = habits(2000, 5, kinds=10, order=0.7, week=0.0, taste=0.0, classes=4).to_pandas()
    follows, _, dear = rules(10)
    frame["kind"] = frame["kind"].str[5:].astype(int)
    frame = frame.sort_values(["entity", "time"], kind="stable")
    frame["next"] = frame.groupby("entity")["kind"].shift(-1)
    pairs = frame.dropna(subset="next")
    right = follows[pairs["label"], pairs["kind"]] == pairs["next"]
    assert right.mean() == pytest.approx(0.7 + 0.3 / 10, abs=0.01)
    for habit, rows in frame.groupby("label"):
        assert rows["kind"].value_counts(normalize=True).to_numpy() == pytest.approx(np.full(10, 0.1), abs=0.01)
        cost = np.log(rows["amount"]).groupby(rows["kind"]).mean()
        assert np.corrcoef(cost, dear[habit])[0, 1] > 0.99
        assert np.log(rows["amount"]).mean() == pytest.approx(3, abs=0.08)


def test_habits_rule_the_days_of_kinds_and_not_the_days() -> None:
    frame = habits(600, 6, kinds=14, order=0.0, week=0.9, taste=0.0, classes=3).to_pandas()
    _, days, _ = rules(14)
    frame["kind"] = frame["kind"].str[5:].astype(int)
    weekday = frame["time"].dt.dayofweek
    for habit, rows in frame.groupby("label"):
        found = np.zeros((7, 14))
        np.add.at(found, (weekday[rows.index], rows["kind"]), 1)
        found /= found.sum(1, keepdims=True)
        assert found == pytest.approx(0.1 / 14 + 0.9 * days[habit] / days[habit].sum(1, keepdims=True), abs=0.03)
        shares = np.bincount(weekday[rows.index], minlength=7) / len(rows)
        assert shares == pytest.approx(np.full(7, 1 / 7), abs=0.02)


def test_a_seed_repeats_a_log_and_another_does_not() -> None:
    assert habits(5, 3).equals(habits(5, 3))
    assert not habits(5, 3).equals(habits(5, 4))
    for options in ({"classes": 1}, {"kinds": 2}, {"order": 1.0}, {"events": (5, 4)}):
        with pytest.raises(OptionError):
            habits(5, **options)
