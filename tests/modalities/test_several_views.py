"""Views of samples of several parts: each part's own, together or apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.modalities import modality, open_source
from tacit.modalities.several import plots
from tacit.modalities.several.synthetic import sample
from tacit.parts.draws import Draws
from tacit.views.bundle import Bundle, names_of, of_two_parts

several = modality("several")


def opened(count: int = 8) -> tuple[Any, Batch]:
    source = open_source(sample(count), "several")
    return several.spec_of(source), source.batch(torch.arange(count))


def three(count: int = 8) -> tuple[Any, Batch]:
    random = np.random.default_rng(0)
    data = {name: random.normal(0, 1, (count, 2, 16)).astype(np.float32) for name in "abc"}
    source = open_source(data, "several", parts=dict.fromkeys("abc", "series"))
    return several.spec_of(source), source.batch(torch.arange(count))


def test_each_part_has_the_views_of_its_kind() -> None:
    """Drawn from one stream, in the order of the parts."""
    spec, batch = opened()
    found = several.make_views("pair", spec)(batch, Draws.seeded(5))
    draws = Draws.seeded(5)
    for name, kind in spec.kinds.items():
        wanted = modality(kind).make_views("pair", spec.specs[name])(batch["x"][name], draws)
        for one, other in zip(found, wanted, strict=True):
            assert torch.equal(one["x"][name]["x"], other["x"])


def test_the_plain_view_is_what_is_evaluated() -> None:
    spec, batch = opened()
    view = several.evaluation_view(spec)(batch)[0]
    for name, kind in spec.kinds.items():
        wanted = modality(kind).evaluation_view(spec.specs[name])(batch["x"][name])[0]
        assert torch.equal(view["x"][name]["x"], wanted["x"])
    raw = several.raw(view)
    rows = [modality(kind).raw(view["x"][name]) for name, kind in spec.kinds.items()]
    torch.testing.assert_close(raw, torch.cat([row / row.shape[1] ** 0.5 for row in rows], 1))


def test_across_shows_one_part_and_the_other_without_change() -> None:
    spec, batch = opened()
    first, second = several.make_views("across", spec)(batch, Draws.seeded(0))
    assert (first["x"].names, second["x"].names) == (("image",), ("series",))
    assert of_two_parts(first, second)
    plain = several.evaluation_view(spec)(batch)[0]["x"]
    assert torch.equal(second["x"]["series"]["x"], plain["series"]["x"])
    augmented = several.make_views("across", spec, change="single")(batch, Draws.seeded(0))
    assert not torch.equal(augmented[1]["x"]["series"]["x"], plain["series"]["x"])


def test_of_more_parts_two_are_drawn_or_named() -> None:
    spec, batch = three()
    pairs = [
        tuple(view["x"].names[0] for view in several.make_views("across", spec)(batch, Draws.seeded(seed)))
        for seed in range(40)
    ]
    assert {frozenset(pair) for pair in pairs} == {frozenset("ab"), frozenset("ac"), frozenset("bc")}
    named = several.make_views("across", spec, pair=("c", "a"))(batch, Draws.seeded(0))
    assert [view["x"].names for view in named] == [("c",), ("a",)]
    assert [view["x"].names[0] for view in several.make_views("parts", spec)(batch, Draws.seeded(0))] == ["a", "b", "c"]
    for wrong in (("a",), ("a", "a"), ("a", "d"), "a"):
        with pytest.raises(OptionError, match="pair must be two of the parts a, b, c"):
            several.make_views("across", spec, pair=wrong)


def test_options_are_for_one_part_or_for_all_that_have_them() -> None:
    spec, batch = opened()
    still = {
        "image.crop_scale": (1.0, 1.0),
        "image.flip": 0.0,
        "image.jitter": 0.0,
        "image.gray": 0.0,
        "image.blur": 0.0,
    }
    views = several.make_views("pair", spec, **still)(batch, Draws.seeded(0))
    plain = several.evaluation_view(spec)(batch)[0]["x"]
    torch.testing.assert_close(views[0]["x"]["image"]["x"], plain["image"]["x"], rtol=1e-4, atol=1e-4)
    assert not torch.equal(views[0]["x"]["series"]["x"], plain["series"]["x"])
    calm = dict.fromkeys(("crop", "scaling", "time-mask", "jitter"), 0.0)
    views = several.make_views("pair", spec, **calm)(batch, Draws.seeded(0))  # images have a jitter too
    assert torch.equal(views[0]["x"]["series"]["x"], plain["series"]["x"])
    made = several.make_views("pair", spec, **{"series": "neighbours", "series.share": 0.25})(batch, Draws.seeded(0))
    assert made[0]["x"]["series"]["x"].shape[2] == 12
    for wrong in ({"jiter": 0.1}, {"series.jiter": 0.1}, {"series": "nothing"}):
        with pytest.raises(OptionError):
            several.make_views("pair", spec, **wrong)
    with pytest.raises(OptionError, match="2 of 'image', 1 of 'series'"):
        several.make_views("pair", spec, series="plain")(batch, Draws.seeded(0))
    with pytest.raises(OptionError, match="views"):
        several.make_views("side-by-side", spec)


def test_across_needs_two_parts() -> None:
    source = open_source(sample(4), "several", only="image")
    with pytest.raises(OptionError, match="there is only 'image'"):
        several.make_views("across", several.spec_of(source))


def test_a_batch_may_lack_a_part() -> None:
    spec, batch = opened()
    alone = batch | {"x": batch["x"].only("series")}
    view = several.evaluation_view(spec)(alone)[0]
    assert names_of(view) == ("series",)
    assert several.raw(view).shape == (8, 96)


def test_bundles_are_taken_apart_and_joined() -> None:
    _, batch = opened()
    x: Bundle = batch["x"]
    halves = [x.rows(slice(0, 3)), x.rows(slice(3, 8))]
    assert [len(half) for half in halves] == [3, 5]
    joined = Bundle.join(halves)
    for name in x:
        assert torch.equal(joined[name]["x"], x[name]["x"])
    assert halves[0].signature() == halves[1].signature()
    assert x.only("image").signature() != x.only("series").signature()
    assert x.to(torch.float64)["series"]["x"].dtype == torch.float64
    assert x.to(torch.float64)["image"]["x"].dtype == torch.uint8
    assert not of_two_parts({"x": x}, {"x": x.only("image")})
    assert not of_two_parts({"x": torch.zeros(2)}, {"x": torch.zeros(2)})
    ragged = [Bundle({"s": {"x": torch.ones(2, 1, n), "length": torch.tensor([n, n - 1])}}) for n in (4, 7)]
    whole = Bundle.join(ragged)
    assert whole["s"]["x"].shape == (4, 1, 7)
    assert whole["s"]["length"].tolist() == [4, 3, 7, 6]


def test_pictures_have_a_cell_for_each_part() -> None:
    spec, batch = opened()
    view = several.evaluation_view(spec)(batch)[0]
    whole = plots.as_seen(view, spec, 48)
    assert whole.dtype == np.uint8
    assert whole.shape[0] == 8
    assert max(whole.shape[1:3]) <= 48
    one = plots.as_seen({"x": view["x"].only("series")}, spec, 48)
    assert one.shape == whole.shape
    cell = (48 - plots.GAP) // 2
    assert (one[:, :, :cell] == 255).all()
    assert np.array_equal(one[:, :, cell:], whole[:, :, cell:])
    assert (whole[:, :, :cell] < 255).any()
    assert "white" in plots.caption(whole)
