"""Random fields: repeatability, ranks, chunks, any images, and bad input by name."""

from __future__ import annotations

import math

import pytest
import torch
from field_transforms import EXTRAS, GLOBAL, images, only
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit import registry
from tacit.errors import DataError, OptionError
from tacit.modalities.image.random_field import RandomField, random_field_views
from tacit.modalities.image.spec import Spec
from tacit.parts import ranks
from tacit.parts.draws import Draws


def test_families_are_applied_with_their_probability_apart() -> None:
    change = RandomField(p={"rotation": 0.2, "hue": 1.0, "shear": 0.0})
    drawn = change.draw((4000, 3, 4, 4), Draws.seeded(0))
    assert "shear" not in drawn.fields
    shares = {name: float(chosen.float().mean()) for name, chosen in drawn.applied.items()}
    assert abs(shares["rotation"] - 0.2) < 0.03
    assert shares["hue"] == 1.0
    assert abs(shares["brightness"] - 0.5) < 0.04
    both = float((drawn.applied["rotation"] & drawn.applied["brightness"]).float().mean())
    assert abs(both - 0.1) < 0.02
    for name, chosen in drawn.applied.items():
        assert torch.equal(drawn.fields[name].flatten(1).abs().amax(1) > 0, chosen)


def test_a_seed_repeats_and_torchs_global_state_is_left_alone() -> None:
    x = images(5, 3, 12, 12)
    change = RandomField(p=1.0, **EXTRAS)
    state = torch.get_rng_state()
    first, second = (change(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(change(x, Draws(torch.Generator().manual_seed(3))), first)
    assert not torch.equal(change(x, torch.Generator().manual_seed(4)), first)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    assert torch.equal(change(x), first)


def test_ranks_see_the_rows_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(6, 3, 10, 14)
    change = RandomField(random_centre=True, **EXTRAS)
    whole = change(x, Draws.seeded(9))
    halves = []
    for rank in range(2):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 2))
        halves.append(change(x[3 * rank : 3 * rank + 3], Draws.seeded(9)))
    assert torch.allclose(torch.cat(halves), whole, atol=1e-5)


def test_chunks_do_not_show() -> None:
    x = images(9, 3, 96, 96)  # more than one chunk on a CPU
    change = RandomField(p=1.0)
    assert len(change._chunks(tuple(x.shape), x.device)) > 1
    out, drawn = change(x, Draws.seeded(1), return_fields=True)
    assert torch.allclose(change.apply_drawn(x, drawn), out, atol=1e-5)
    assert torch.allclose(drawn.grid, change.draw(tuple(x.shape), Draws.seeded(1)).grid, atol=1e-5)


def test_a_random_centre_stays_in_place() -> None:
    change = only("rotation", random_centre=True, rotation=30.0, **GLOBAL)
    drawn = change.draw((5, 3, 20, 30), Draws.seeded(2))
    size = torch.tensor([30.0, 20.0])
    at = ((drawn.centre + 1) * size - 1) / 2
    moved, found = drawn.warp_keypoints(at[:, None])
    assert bool(found.all())
    inside = ((at > 0) & (at < size - 1)).all(-1)  # beyond the outer pixels' centres the grid has no values
    assert torch.allclose(moved[inside, 0], at[inside], atol=0.06)
    assert float(drawn.centre[inside].abs().max()) > 0.3


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 3),
    channels=st.sampled_from([1, 2, 3]),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    strength=st.floats(0, 4),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    options=st.fixed_dictionaries(
        {
            "additive": st.booleans(),
            "isotropic": st.booleans(),
            "random_centre": st.booleans(),
            "every": st.integers(1, 4),
            "sampler": st.sampled_from(["spectral", "fourier-features", "coarse-grid"]),
        }
    ),
)
def test_any_images_stay_images(
    batch: int, channels: int, height: int, width: int, strength: float, dtype: torch.dtype, options: dict
) -> None:
    x = images(batch, channels, height, width).to(dtype)
    out = RandomField(strength=strength, p=1.0, features=16, **EXTRAS, **options)(x, Draws.seeded(1))
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    assert bool(out.isfinite().all())
    assert -1e-3 <= float(out.min()) <= float(out.max()) <= 1 + 1e-3


def test_gradients_reach_the_images_when_asked_for() -> None:
    x = images(2, 3, 8, 8).requires_grad_()
    assert not RandomField(p=1.0)(x, Draws.seeded(0)).requires_grad
    RandomField(p=1.0, differentiable=True, **EXTRAS)(x, Draws.seeded(0)).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
    assert float(x.grad.abs().sum()) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hue": -0.1}, "hue must be a number of at least 0"),
        ({"strength": math.nan}, "strength must be"),
        ({"rotation_length": 0.0}, "rotation_length must be a positive"),
        ({"hue_length": -1.0}, "hue_length"),
        ({"shear_length": math.nan}, "shear_length"),
        ({"p": 1.5}, "probability"),
        ({"p": {"hues": 0.5}}, "did you mean 'hue'"),
        ({"sampler": "fft"}, "sampler"),
    ],
)
def test_bad_options_are_named(options: dict, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        RandomField(**options)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "divide 8-bit images by 255"),
        (torch.full((2, 3, 4, 4), 200.0), "scale them first"),
        (torch.full((2, 3, 4, 4), -0.5), "scale them first"),
        (torch.full((2, 3, 4, 4), math.nan), "NaN"),
        (torch.full((2, 3, 4, 4), math.inf), "scale them first"),
        (torch.zeros(3, 4, 4), "must be .B, C, H, W."),
    ],
)
def test_bad_images_are_named(bad: torch.Tensor, words: str) -> None:
    with pytest.raises(DataError, match=words):
        RandomField()(bad, Draws.seeded(0))


def test_bad_masks_are_named() -> None:
    drawn = RandomField().draw((2, 3, 4, 4), Draws.seeded(0))
    with pytest.raises(DataError, match="masks"):
        drawn.warp_masks(torch.zeros(3, 4, 4))


def test_an_empty_batch_stays_empty() -> None:
    assert RandomField()(torch.zeros(0, 3, 8, 8), Draws.seeded(0)).shape == (0, 3, 8, 8)


# --- as views

SPEC = Spec(3, (24, 30), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def test_views_carry_the_way_back_to_the_stored_image() -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 50), indexing="ij")
    x = torch.stack([rows, columns, rows * columns]).expand(4, -1, -1, -1).clone()
    views = random_field_views(SPEC, colour=0, jitter=0, gray=0, p=1.0, crop_scale=(0.3, 0.8))
    for view in views({"x": x}, Draws.seeded(1)):
        assert view["x"].shape == (4, 3, 24, 30)
        assert view["grid"].shape == (4, 24, 30, 2)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SPEC.mean, SPEC.std))
        there = torch.nn.functional.grid_sample(x, view["grid"], align_corners=False, padding_mode="border")
        assert float((view["x"] * std + mean - there).abs().mean()) < 0.005
        assert float((view["x"] * std + mean - there).abs().max()) < 0.06  # at the crop's borders
        assert bool(view["local_rotation"].all())


def test_without_local_changes_the_grid_is_the_crop() -> None:
    x = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    for view in random_field_views(SPEC, strength=0, count=3)({"x": x}, Draws.seeded(1)):
        wanted = torch.nn.functional.affine_grid(view["theta"], [3, 1, 24, 30], align_corners=False)
        assert torch.allclose(view["grid"], wanted, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_views_of_any_channels_and_range(channels: int, scale: float) -> None:
    spec = Spec(channels, (16, 16), (0.0,) * channels, (1.0,) * channels)
    x = (images(3, channels, 20, 22) - 0.25) * scale
    views = random_field_views(spec, fields=True, global_blur=0.5)({"x": x}, Draws.seeded(1))
    assert len(views) == 2
    assert not torch.equal(views[0]["x"], views[1]["x"])
    for view in views:
        assert bool(view["x"].isfinite().all())
        assert float(view["x"].min()) >= float(x.min()) - 1e-3
        assert float(view["x"].max()) <= max(float(x.max()), 1) + 1e-3
        assert view["field_translation"].shape == (3, 2, 16, 16)
        assert ("field_hue" in view) == (channels == 3)


def test_views_are_the_same_on_any_number_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    views = random_field_views(SPEC, global_blur=0.5)
    whole = views({"x": x}, Draws.seeded(2))
    halves = []
    for rank in range(2):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 2))
        halves.append(views({"x": x[2 * rank : 2 * rank + 2]}, Draws.seeded(2)))
    for i in range(2):
        assert torch.allclose(torch.cat([half[i]["x"] for half in halves]), whole[i]["x"], atol=1e-4)


def test_options_of_views() -> None:
    views = random_field_views(SPEC, strength=0.5, rotation=4, count=3)
    assert math.isclose(views.transform.sigma["rotation"], math.radians(2.0))
    assert len(views.recipes) == 3
    with pytest.raises(OptionError, match="did you mean 'strength'"):
        random_field_views(SPEC, strenght=0.5)
    with pytest.raises(OptionError, match="wrong type"):
        random_field_views(SPEC, strength="much")
    with pytest.warns(UserWarning, match="folds"):
        random_field_views(SPEC, strength=8.0)


def test_it_is_registered() -> None:
    entry = registry.entry("random-field", "views")
    assert entry.url.endswith("2311.03629")
    assert registry.find("random-field").__name__ == "RandomFieldViews"
