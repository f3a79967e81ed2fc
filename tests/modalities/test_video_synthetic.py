"""What the sprites are said to be and to do is really in the pictures."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import OptionError
from tacit.evaluation.knn import knn_accuracy
from tacit.modalities.video.synthetic import (
    IDENTITIES,
    MOTIONS,
    Sprites,
    covered,
    drifting_sprites,
    moving_sprites,
)

KINDS = {"moving": moving_sprites, "drifting": drifting_sprites}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_repeats_and_another_does_not(kind: str) -> None:
    one, two, other = (KINDS[kind](6, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.x, two.x)
    assert not np.array_equal(one.x, other.x)
    assert one.x.dtype == np.uint8
    assert one.x.shape == (6, 16 if kind == "moving" else 32, 3, 24, 24)


def found_places(made: Sprites) -> tuple[np.ndarray, np.ndarray]:
    """Where the sprites are by the pictures alone, ``[N, T, 2]``, and how many pixels they cover, ``[N, T]``: no
    background is as bright in any channel."""
    lit = made.x.max(2) > 135
    count = lit.sum((2, 3))
    line = np.arange(made.x.shape[3]) + 0.5
    place = (
        np.stack([(lit * line).sum((2, 3)), (lit * line[:, None]).sum((2, 3))], -1) / np.maximum(count, 1)[..., None]
    )
    return place, count


def test_sprites_are_where_they_are_said_to_be() -> None:
    made = moving_sprites(300, 0, size=48, noise=0.0)
    place, count = found_places(made)
    radius = made.radius[..., None]
    inside = ((made.place > radius) & (made.place < 48 - radius)).all(2) & (count > 20)
    assert inside.mean() > 0.6
    # crescents are thicker on one side: their middle is not that of the circle around them
    centred = inside & (made.identity != IDENTITIES.index("crescent"))[:, None]
    apart = np.hypot(*(place - made.place)[centred].T)
    assert np.median(apart) < 0.8
    assert np.quantile(apart, 0.95) < 2.5


def test_drifting_sprites_leave_on_one_side_and_come_back_on_the_other() -> None:
    made = drifting_sprites(200, 0)
    step = np.diff(made.place, axis=1)
    world = (24 + 2 * made.radius[:, 1:])[..., None]
    wrapped = np.abs(step) > world / 2
    assert wrapped.any()
    step = np.where(wrapped, step - np.sign(step) * world, step)
    direction, pace = made.motion // 2, made.motion % 2
    heading = np.arctan2(step[..., 1], step[..., 0])
    off = np.angle(np.exp(1j * (heading - 2 * np.pi / 8 * direction[:, None])))
    assert np.abs(off).max() <= 2 * np.pi / 8 / 6 + 1e-9
    speed = np.hypot(*np.moveaxis(step, -1, 0))
    assert speed.min() > 0.15
    slow, fast = (speed.mean(1)[pace == k] for k in (0, 1))
    assert slow.max() < fast.min()
    # now faster and now slower, smoothly
    assert (speed.std(1) / speed.mean(1)).min() > 0.08
    assert np.abs(np.diff(speed, axis=1)).max() < 0.35
    assert np.abs(np.diff(made.angle, axis=1)).max() < 0.4


def test_motions_are_those_of_their_names() -> None:
    made = moving_sprites(800, 3)
    steps = np.diff(made.place, axis=1)
    far = np.hypot(steps[..., 0], steps[..., 1])
    rows = {name: made.motion == k for k, name in enumerate(MOTIONS)}
    resting = far.max(1) < 1e-9
    assert np.array_equal(resting, rows["spin"] | rows["pulse"])
    turning = np.ptp(made.angle, 1) > 1
    assert np.array_equal(turning, rows["spin"] | rows["roll"])
    breathing = np.ptp(made.radius, 1) > 0.5
    assert np.array_equal(breathing, rows["pulse"])
    for name in ("straight", "roll"):
        assert np.allclose(steps[rows[name]], steps[rows[name]][:, :1])
    on_line = np.linalg.svd(made.place - made.place.mean(1, keepdims=True), compute_uv=False)[:, 1] < 1e-6
    assert np.array_equal(on_line, ~(rows["circle"] | rows["shake"]))
    middle = made.place[rows["circle"]]
    assert np.allclose(far[rows["circle"]].std(1), 0, atol=1e-9)
    assert len(middle) > 50
    back = (np.sign(np.einsum("ntk,nk->nt", steps, steps[:, 0])) < 0).any(1)
    assert back[rows["to and fro"]].all()
    still = (far < 1e-9).mean(1)
    assert (still[rows["jumps"]] > 0.4).all()
    assert (still[rows["to and fro"] | rows["shake"] | rows["circle"]] == 0).all()


def test_what_and_how_are_independent() -> None:
    made = moving_sprites(8000, 5, frames=1, size=4)
    table = np.zeros((8, 8))
    np.add.at(table, (made.identity, made.motion), 1)
    expected = 8000 / 64
    chi = ((table - expected) ** 2 / expected).sum()
    assert chi < 95  # 63 degrees of freedom: beyond this once in 200 tries


def test_one_frame_tells_what_and_not_how() -> None:
    train, test = (moving_sprites(n, seed, frames=9, size=20, noise=0.0) for n, seed in ((1500, 0), (500, 1)))
    bank, queries = (np.where(m.x[:, 4].max(1) > 135, 1.0, 0.0).reshape(len(m.x), -1) for m in (train, test))
    sides = [np.stack([b.sum(1), (b.reshape(-1, 20, 20).sum(1) ** 2).sum(1)], 1) / 50 for b in (bank, queries)]
    assert knn_accuracy(bank, train.motion, queries, test.motion) < 0.25  # chance is 0.125
    assert knn_accuracy(sides[0], train.motion, sides[1], test.motion) < 0.25
    assert knn_accuracy(sides[0], train.identity, sides[1], test.identity) > 0.2


@pytest.mark.parametrize("identity", range(8))
def test_shapes_have_the_areas_of_their_formulas(identity: int) -> None:
    rng = np.random.default_rng(0)
    place, angle = 32 + rng.uniform(-1, 1, (1, 12, 2)), rng.uniform(0, 6.3, (1, 12))
    cover, shade = covered(np.array([identity]), place, angle, np.full((1, 12), 20.0), 64)
    star = 5 * 0.45 * np.sin(np.pi / 5)
    corner = np.arccos
    # the crescent is a disc less a disc, whose common part is a lens
    big, small, apart = 0.95, 0.75, 0.5
    one = (apart**2 + big**2 - small**2) / (2 * apart * big)
    two = (apart**2 + small**2 - big**2) / (2 * apart * small)
    kite = 0.5 * np.sqrt((-apart + big + small) * (apart + big - small) * (apart - big + small) * (apart + big + small))
    lens = big**2 * corner(one) + small**2 * corner(two) - kite
    areas = {
        "disc": np.pi * 0.85**2,
        "square": 1.44**2,
        "triangle": 3 * np.sqrt(3) / 4,
        "cross": 2 * 1.9 * 0.6 - 0.6**2,
        "ring": np.pi * (0.94**2 - 0.5**2),
        "bar": 1.96 * 0.66,
        "star": star,
        "crescent": np.pi * big**2 - lens,
    }
    assert np.allclose(cover.sum((2, 3)) / 400, areas[IDENTITIES[identity]], rtol=0.03)
    # one half is brighter, and it turns with the sprite
    line = np.arange(64) + 0.5
    dx, dy = line - place[..., 0, None], line - place[..., 1, None]
    along = dx[..., None, :] * np.cos(angle)[..., None, None] + dy[..., :, None] * np.sin(angle)[..., None, None]
    assert np.all(shade[along > 1] == 1.0)
    assert np.allclose(shade[along < -1], 0.6)


@pytest.mark.parametrize("options", [{"count": 0}, {"frames": 0}, {"size": 0}, {"scenes": 0}, {"noise": -1.0}])
@pytest.mark.parametrize("kind", KINDS)
def test_impossible_numbers_are_refused(kind: str, options: dict) -> None:
    with pytest.raises(OptionError):
        KINDS[kind](**{"count": 2, **options})
    if kind == "drifting":
        with pytest.raises(OptionError, match="direction"):
            drifting_sprites(2, directions=0)
