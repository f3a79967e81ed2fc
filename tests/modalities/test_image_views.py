"""Recipes of image views: whole recipes against torchvision, ranks, options, odd inputs."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torchvision.transforms.v2 import functional as tvf

from tacit.errors import OptionError
from tacit.modalities.image.blur import kernel_size
from tacit.modalities.image.recipes import RECIPES, Recipe, resolve
from tacit.modalities.image.spec import Spec
from tacit.modalities.image.views import evaluation_view, make_views, normalise
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.views.base import View, join

NAMES = ("pair", "asymmetric-pair", "triple", "multi-crop", "crop")
CHANGES = (tvf.adjust_brightness, tvf.adjust_contrast, tvf.adjust_saturation, tvf.adjust_hue)


def spec(size: int | tuple[int, int] = 32, channels: int = 3) -> Spec:
    side = (size, size) if isinstance(size, int) else size
    return Spec(channels, side, (0.4, 0.5, 0.45, 0.3, 0.6)[:channels], (0.2, 0.25, 0.3, 0.2, 0.1)[:channels])


def photos(n: int, side: int = 32, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n + side)
    smooth = torch.rand(n, channels, 6, 6, generator=generator)
    return (torch.nn.functional.interpolate(smooth, (side, side), mode="bilinear") * 255).byte()


def one_by_one(x: torch.Tensor, view: View, i: int, s: Spec) -> torch.Tensor:
    """The view of sample ``i`` again, by torchvision's functions in float64 from the parameters it carries."""
    along, down = float(view["theta"][i, 0, 0]), float(view["theta"][i, 1, 1])
    width, height = round(abs(along) * x.shape[3]), round(down * x.shape[2])
    left = round((float(view["theta"][i, 0, 2]) + 1) * x.shape[3] / 2 - width / 2)
    top = round((float(view["theta"][i, 1, 2]) + 1) * x.shape[2] / 2 - height / 2)
    size = list(view["x"].shape[2:])
    out = tvf.resized_crop(x[i].double() / 255, top, left, height, width, size, antialias=True)
    assert (along < 0) == bool(view["flip"][i])
    if along < 0:
        out = tvf.hflip(out)
    for change in view["order"][i].tolist():
        out = CHANGES[change](out, float(view[("brightness", "contrast", "saturation", "hue")[change]][i]))
    if view["gray"][i]:
        out = tvf.rgb_to_grayscale(out, 3)
    if "blur" in view and view["blur"][i] > 0:
        kernel, sigma = kernel_size(min(size)), float(view["blur"][i])
        out = tvf.gaussian_blur(out, [kernel, kernel], [sigma, sigma])
    if "solarize" in view and view["solarize"][i]:
        out = torch.where(out >= 128 / 255, 1 - out, out)
    return tvf.normalize(out, list(s.mean), list(s.std))


@pytest.mark.parametrize(
    ("name", "count", "stored", "size"),
    [
        ("pair", 160, 32, 32),
        ("asymmetric-pair", 40, 32, 32),
        ("pair", 8, 100, 96),
        ("asymmetric-pair", 20, 80, 70),
        ("pair", 5, 256, 224),
        ("multi-crop", 8, 100, 96),
    ],
)
def test_whole_recipe_equals_torchvision_per_sample(name: str, count: int, stored: int, size: int) -> None:
    x, s = photos(count, stored), spec(size)
    views = make_views(name, s)({"x": x}, Draws.seeded(count))
    assert len(views) == len(RECIPES[name])
    for view, recipe in zip(views, RECIPES[name], strict=True):
        side = 41 if recipe.side < 1 else size
        assert view["x"].shape == (count, 3, side, side)
        assert view["x"].is_contiguous()
        errors = [(view["x"][i].double() - one_by_one(x, view, i, s)).abs() for i in range(count)]
        # Float32 through the whole chain: a hundredth of a grey level, divided by the smallest std. Solarization
        # jumps at its threshold only where a value lies on it within rounding.
        close = torch.stack(errors) < 0.01 / 255 / min(s.std) * 2
        assert close.float().mean() > 0.9999
        if "solarize" not in view:
            assert close.all()


def test_every_change_occurs_as_often_as_it_should() -> None:
    n = 3000
    x = torch.zeros(n, 3, 64, 64, dtype=torch.uint8)[:, :, :2, :2]
    one, two = make_views("asymmetric-pair", spec(64))({"x": x}, Draws.seeded(9))
    changed = {
        "flip": [(v["flip"] > 0) for v in (one, two)],
        "jitter": [(v["brightness"] != 1) for v in (one, two)],
        "gray": [(v["gray"] > 0) for v in (one, two)],
        "blur": [(v["blur"] > 0) for v in (one, two)],
        "solarize": [(v["solarize"] > 0) for v in (one, two)],
    }
    wanted = {"flip": (0.5, 0.5), "jitter": (0.8, 0.8), "gray": (0.2, 0.2), "blur": (1, 0.1), "solarize": (0, 0.2)}
    for name, pair in wanted.items():
        for rows, share in zip(changed[name], pair, strict=True):
            assert abs(rows.float().mean() - share) <= 4 * (share * (1 - share) / n) ** 0.5, name
    assert two["hue"].abs().max() <= 0.1
    assert (one["saturation"] - 1).abs().max() <= 0.2
    sigma = one["blur"]
    assert 0.1 <= sigma.min() < 0.12
    assert 1.98 < sigma.max() <= 2
    both = torch.stack([one["flip"], two["flip"]])
    assert abs(torch.corrcoef(both)[0, 1]) < 0.08


@pytest.mark.parametrize("name", NAMES)
def test_views_do_not_depend_on_how_the_batch_is_split_over_ranks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, s = photos(24), spec()
    batch = {"x": x, "aspect": torch.linspace(0.5, 2, 24)}
    whole = make_views(name, s)(batch, Draws.seeded(4, 2))
    parts = []
    for rank in range(3):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 3))
        rows = slice(8 * rank, 8 * rank + 8)
        mine = {key: value[rows] for key, value in batch.items()}
        parts.append(make_views(name, s)(mine, Draws.seeded(4, 2)))
    for view, *pieces in zip(whole, *parts, strict=True):
        for key, value in view.items():
            torch.testing.assert_close(value, torch.cat([piece[key] for piece in pieces]), atol=1e-5, rtol=0)


def test_same_draws_same_views_and_results_are_not_overwritten() -> None:
    views, x = make_views("pair", spec()), photos(10)
    first = views({"x": x}, Draws.seeded(1))
    kept = [view["x"].clone() for view in first]
    other = views({"x": x}, Draws.seeded(2))
    again = views({"x": x}, Draws.seeded(1))
    for a, b, c, d in zip(first, kept, other, again, strict=True):
        assert torch.equal(a["x"], b)
        assert torch.equal(b, d["x"])
        assert not torch.equal(b, c["x"])


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels(channels: int) -> None:
    x = photos(30, channels=channels)
    for name in NAMES:
        views = make_views(name, spec(channels=channels))({"x": x}, Draws.seeded(0))
        assert len(views) == len(RECIPES[name])
        for view, recipe in zip(views, RECIPES[name], strict=True):
            assert view["x"].shape == (*x.shape[:2], *recipe.size((32, 32)))
            assert view["x"].isfinite().all()
            assert not {"hue", "saturation", "gray", "order"} & set(view)
    joined = join(make_views("pair", spec(channels=channels))({"x": x}, Draws.seeded(0)))
    assert len(joined["theta"]) == 60


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 3, 40), (3, 1, 500, 2)])
def test_odd_shapes(shape: tuple[int, int, int, int]) -> None:
    x = torch.full(shape, 51, dtype=torch.uint8)
    s = Spec(shape[1], (8, 12), (0.0,) * shape[1], (1.0,) * shape[1])
    (view,) = make_views("crop", s)({"x": x}, Draws.seeded(0))
    torch.testing.assert_close(view["x"], torch.full((shape[0], shape[1], 8, 12), 0.2))
    (view,) = evaluation_view(s)({"x": x})
    torch.testing.assert_close(view["x"], torch.full((shape[0], shape[1], 8, 12), 0.2))


def test_float_images_give_what_uint8_gives() -> None:
    x, s = photos(12), spec()
    for a, b in zip(
        make_views("pair", s)({"x": x}, Draws.seeded(3)),
        make_views("pair", s)({"x": x.float() / 255}, Draws.seeded(3)),
        strict=True,
    ):
        torch.testing.assert_close(a["x"], b["x"], atol=1e-5, rtol=0)


def test_not_a_number_stays_in_its_sample() -> None:
    x = photos(6).float() / 255
    x[2, 0, 10, 10] = torch.nan
    (view,) = make_views("crop", spec(), crop_scale=(1, 1))({"x": x}, Draws.seeded(0))
    assert view["x"].isnan().flatten(1).any(1).tolist() == [False, False, True, False, False, False]


def test_working_memory_survives_inference_mode_and_threads() -> None:
    x, views = photos(64, 90), make_views("pair", spec(80))
    alone = [views({"x": x}, Draws.seeded(seed))[0]["x"] for seed in range(4)]
    with torch.inference_mode():
        views({"x": photos(3, 100)}, Draws.seeded(0))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: views({"x": x}, Draws.seeded(seed))[0]["x"], range(4)))
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_input_is_left_as_it_was() -> None:
    x = photos(6).float() / 255
    before = x.clone()
    make_views("asymmetric-pair", spec())({"x": x}, Draws.seeded(0))
    evaluation_view(spec())({"x": x})
    assert torch.equal(x, before)


def test_evaluation_view_is_the_image_where_sizes_agree() -> None:
    x, s = photos(5), spec()
    (view,) = evaluation_view(s)({"x": x})
    torch.testing.assert_close(view["x"], normalise(x.float() / 255, s), atol=1e-6, rtol=0)


def test_evaluation_view_takes_the_centre_of_the_true_geometry() -> None:
    x, s = photos(3, 60), spec(20)
    wide = torch.nn.functional.interpolate(x.float(), (60, 120), mode="bilinear").round().byte()
    (view,) = evaluation_view(s)({"x": wide})
    expected = tvf.resize(wide[..., 30:90].float() / 255, [20, 20], antialias=True)
    torch.testing.assert_close(view["x"], normalise(expected, s), atol=1e-4, rtol=0)
    squashed = evaluation_view(s)({"x": x, "aspect": torch.full((3,), 2.0)})[0]
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(squashed["x"][inner], view["x"][inner], atol=0.05, rtol=0)


def test_recipes_follow_the_size() -> None:
    small, middle, large = (resolve("pair", spec(side))[0] for side in (32, 64, 96))
    assert (small.blur, middle.blur, large.blur) == (0.0, 0.5, 0.5)
    assert (small.crop_scale, middle.crop_scale, large.crop_scale) == ((0.2, 1.0), (0.2, 1.0), (0.08, 1.0))
    assert resolve("pair", spec(32), blur=0.3)[1].blur == 0.3
    assert resolve("crop", spec(224))[0].jitter == 0


def test_smaller_views_see_smaller_parts() -> None:
    x = photos(200, 100)
    for side, bound, least in ((96, 0.14, 0.05), (48, 0.4, 0.1)):
        made = make_views("multi-crop", spec(side))({"x": x}, Draws.seeded(0))
        sides = [view["x"].shape[2] for view in made]
        assert sides == [side] * 2 + [round(side * 3 / 7)] * 6
        for view, size in zip(made, sides, strict=True):
            area = view["theta"][:, 0, 0].abs() * view["theta"][:, 1, 1]
            low, high = (bound, 1.0) if size == side else (least, bound)
            assert low - 0.02 < area.min() < low + 0.1 * (high - low) + 0.02
            assert high - 0.2 * (high - low) - 0.02 < area.max() < high + 0.02


def test_smaller_views_have_options_of_their_own_and_are_what_there_are_more_of() -> None:
    options = {"count": 11, "flip": 0.0, "local_flip": 1.0, "local_side": 0.5, "local_crop_scale": [0.2, 0.2]}
    made = make_views("multi-crop", spec(), **options)({"x": photos(9)}, Draws.seeded(0))
    assert [view["x"].shape[2] for view in made] == [32] * 2 + [16] * 9
    assert [bool(view["flip"].all()) for view in made] == [False] * 2 + [True] * 9
    assert not made[0]["flip"].any()
    with pytest.raises(OptionError, match="local_flip"):
        make_views("pair", spec(), local_flip=0.0)


def test_overlaid_views_of_two_sizes_are_made_of_their_own_images() -> None:
    x = photos(6)
    plain = {"jitter": 0.0, "gray": 0.0, "flip": 0.0, "crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "count": 4}
    views = make_views("multi-crop", spec(), overlay=2, local_side=0.5, **plain)
    made = views({"x": x}, Draws.seeded(0))
    for view in made:
        size = view["x"].shape[2]
        (bare,) = make_views("crop", spec(size), flip=0.0, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))({"x": x})
        distance = (view["x"][:, None] - bare["x"][None]).abs().flatten(2).mean(2)
        assert distance.argmin(1).tolist() == list(range(6))


def test_options_override_every_view() -> None:
    x = photos(40)
    views = make_views("pair", spec(), flip=0.0, jitter=1.0, strength=0.5, gray=0, count=3, crop_scale=[0.5, 0.5])
    made = views({"x": x}, Draws.seeded(0))
    assert len(made) == 3
    for view in made:
        assert not view["flip"].any()
        assert "gray" not in view
        assert (view["brightness"] - 1).abs().max() <= 0.2
        area = view["theta"][:, 0, 0] * view["theta"][:, 1, 1]
        assert (area - 0.5).abs().max() < 0.05
    assert not torch.equal(made[0]["theta"], made[2]["theta"])


@pytest.mark.parametrize(("name", "plain"), [("pair-and-plain", 2), ("plain-and-view", 0)])
def test_a_plain_view_beside_others_stays_the_image(name: str, plain: int) -> None:
    x = photos(8)
    made = make_views(name, spec(), flip=1.0, crop_scale=(0.3, 0.5))({"x": x}, Draws.seeded(0))
    (image,) = evaluation_view(spec())({"x": x})
    for view, found in enumerate(made):
        assert torch.allclose(found["x"], image["x"], atol=1e-5) == (view == plain)
    (alone,) = make_views("plain", spec(), flip=1.0)({"x": x}, Draws.seeded(0))
    assert torch.allclose(alone["x"], image["x"].flip(3), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("pairs", {}, "did you mean 'pair'"),
        ("pair", {"jiter": 0.5}, "did you mean 'jitter'"),
        ("pair", {"flip": 1.5}, "flip is a probability"),
        ("pair", {"crop_scale": (0.5, 0.2)}, "crop_scale"),
        ("pair", {"crop_scale": 0.5}, "crop_scale"),
        ("pair", {"flip": "often"}, "flip"),
        ("pair", {"strength": -1}, "strength"),
        ("pair", {"hue": 0.6}, "hue times strength"),
        ("pair", {"count": 0}, "count"),
        ("multi-crop", {"local_side": 1.5}, "side is a share"),
    ],
)
def test_impossible_options_are_named(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make_views(name, spec(), **options)


def test_recipes_are_a_table_of_values() -> None:
    for views in RECIPES.values():
        for recipe in views:
            assert Recipe(**dataclasses.asdict(recipe)) == recipe
