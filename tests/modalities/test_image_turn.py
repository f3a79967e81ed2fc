from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional
from torchvision.transforms.v2 import functional as tvf

from tacit.modalities import image
from tacit.modalities.image.turn import draw_turns, turned
from tacit.parts import ranks
from tacit.parts.draws import Draws

SPEC = image.Spec(2, (24, 32), (0.0, 0.0), (1.0, 1.0))
STILL = {"crop_scale": (1.0, 1.0), "crop_ratio": (4 / 3, 4 / 3), "flip": 0.0, "jitter": 0.0, "gray": 0.0}


def smooth(count: int) -> torch.Tensor:
    rough = torch.rand(count, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    return functional.interpolate(rough, (24, 32), mode="bicubic").clamp(0, 1)


def test_a_turn_is_torchvisions_rotation_inside_the_image() -> None:
    x = smooth(6)
    turns = draw_turns(Draws.seeded(2), 6, [40.0], (24, 32))
    found = turned(x, turns)
    for row, turn, before in zip(found, turns, x, strict=True):
        degrees = math.degrees(math.atan2(float(turn[1, 0]) * 24 / 32, float(turn[0, 0])))
        wanted = tvf.rotate(before, degrees, tvf.InterpolationMode.BILINEAR)
        seen = tvf.rotate(torch.ones_like(before), degrees, tvf.InterpolationMode.BILINEAR) > 0.999
        assert seen.float().mean() > 0.5
        torch.testing.assert_close(row[seen], wanted[seen], atol=1e-4, rtol=0)


def test_angles_are_uniform_up_to_the_largest_of_each_view() -> None:
    turns = draw_turns(Draws.seeded(0), 4000, [10.0, 90.0], (8, 8)).view(2, 4000, 2, 2)
    angles = torch.rad2deg(torch.atan2(turns[..., 1, 0], turns[..., 0, 0]))
    for found, largest in zip(angles, (10.0, 90.0), strict=True):
        assert found.abs().max() <= largest
        assert abs(float(found.std()) - 2 * largest / math.sqrt(12)) < 0.03 * largest
        assert abs(float(found.mean())) < 0.05 * largest
    assert abs(float(torch.corrcoef(angles)[0, 1])) < 0.06


def test_theta_leads_from_the_view_to_the_stored_image() -> None:
    x = smooth(5)
    for options in (STILL, STILL | {"crop_scale": (0.4, 0.7), "flip": 0.5}):
        for view in image.make_views("pair", SPEC, turn=25.0, **options)({"x": x}, Draws.seeded(3)):
            grid = functional.affine_grid(view["theta"], [5, 2, 24, 32], align_corners=False)
            wanted = functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
            inside = (grid.abs() < 0.9).all(-1)
            error = (view["x"] - wanted).abs().mean(1)[inside]
            # two interpolations in a row (turn, then crop) against one
            assert error.mean() < 0.02


def test_ranks_see_the_turns_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw_turns(Draws.seeded(5), 8, [30.0, 30.0], (9, 9)).view(2, 8, 2, 2)
    for rank in (0, 1):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 2))
        part = draw_turns(Draws.seeded(5), 4, [30.0, 30.0], (9, 9)).view(2, 4, 2, 2)
        assert torch.equal(part, whole[:, 4 * rank : 4 * rank + 4])


def test_no_turn_changes_nothing_and_bad_angles_are_named() -> None:
    x = torch.randint(0, 256, (4, 2, 24, 32), dtype=torch.uint8)
    plain, still = (image.make_views("pair", SPEC, **o)({"x": x}, Draws.seeded(0)) for o in ({}, {"turn": 0.0}))
    assert torch.equal(plain[0]["x"], still[0]["x"])
    assert turned(x, torch.eye(2).expand(4, 2, 2)).equal(x)
    with pytest.raises(ValueError, match="turn is an angle"):
        image.make_views("pair", SPEC, turn=-1.0)
