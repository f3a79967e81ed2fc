from __future__ import annotations

import pytest
import torch

from tacit.modalities import image
from tacit.modalities.image.overlay import LIGHT, SIDES, overlay
from tacit.parts import ranks
from tacit.parts.draws import Draws


def test_each_pixel_is_the_image_or_a_dimmed_pixel_of_another() -> None:
    x = torch.rand(6, 2, 20, 30)
    for pieces in (0, 1, 3):
        out = overlay(x, Draws.seeded(1), 2, pieces)
        assert out.shape == (12, 2, 20, 30)
        assert (out >= x.repeat(2, 1, 1, 1)).all()
        assert (out <= x.amax(0)).all()
        changed = (out > x.repeat(2, 1, 1, 1)).float().mean(dim=(1, 2, 3))
        assert (changed <= pieces * SIDES[1] ** 2 * 1.2).all()
        assert bool((changed > 0).any()) == (pieces > 0)


def test_the_pieces_are_rectangles_of_the_declared_size_and_light() -> None:
    x = torch.zeros(40, 1, 100, 100)
    x[1:] = 1.0
    out = overlay(x, Draws.seeded(3), 1, 1)[0, 0]
    rows, columns = out.amax(1).nonzero()[:, 0], out.amax(0).nonzero()[:, 0]
    for found in (rows, columns):
        assert len(found) == found[-1] - found[0] + 1
        assert SIDES[0] * 100 - 1 <= len(found) <= SIDES[1] * 100 + 1
    values = out[out > 0].unique()
    assert len(values) == 1
    assert LIGHT[0] <= float(values) <= LIGHT[1]


def test_two_views_share_no_pieces_and_the_seed_decides() -> None:
    x = torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8)
    first, second = overlay(x, Draws.seeded(0), 2, 2).chunk(2)
    assert not torch.equal(first, second)
    assert torch.equal(overlay(x, Draws.seeded(0), 2, 2), torch.cat([first, second]))


def test_ranks_see_the_pieces_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(8, 1, 12, 12)
    whole = overlay(x, Draws.seeded(5), 2, 3).view(2, 8, 1, 12, 12)
    monkeypatch.setattr(ranks, "gather", lambda _: x)
    for rank in (0, 1):
        monkeypatch.setattr(ranks, "world", lambda rank=rank: (rank, 2))
        part = overlay(x[4 * rank : 4 * rank + 4], Draws.seeded(5), 2, 3).view(2, 4, 1, 12, 12)
        assert torch.equal(part, whole[:, 4 * rank : 4 * rank + 4])


def test_it_is_an_option_of_every_recipe() -> None:
    spec = image.Spec(1, (16, 16), (0.5,), (0.25,))
    x = torch.randint(0, 256, (4, 1, 16, 16), dtype=torch.uint8)
    plain, laid = (image.make_views("pair", spec, overlay=n)({"x": x}, Draws.seeded(0)) for n in (0, 3))
    assert not torch.equal(plain[0]["x"], laid[0]["x"])
    assert torch.equal(plain[0]["theta"], laid[0]["theta"])
    with pytest.raises(ValueError, match="overlay"):
        image.make_views("pair", spec, overlay=-1)
