import pytest
import torch

from tacit.errors import OptionError
from tacit.parts.blocks import block_sides, blocks, context_and_targets, grid_of
from tacit.parts.draws import Draws

GRID = torch.cartesian_prod((torch.arange(6) + 0.5) / 6, (torch.arange(8) + 0.5) / 8)


def test_the_grid_is_read_off_the_positions():
    assert grid_of(GRID) == (6, 8)
    assert grid_of(torch.linspace(0, 1, 9)[:, None]) == (1, 9)
    for bad in (GRID[:-1], GRID[None], torch.rand(5, 3)):
        with pytest.raises(OptionError, match="blocks need"):
            grid_of(bad)


def test_sides_have_the_share_and_the_ratio():
    high, wide = block_sides((100, 100), torch.tensor([0.16, 0.16]), torch.tensor([1.0, 4.0]))
    assert high.tolist() == [40, 80]
    assert wide.tolist() == [40, 20]
    assert block_sides((4, 4), torch.tensor([1e-6]), torch.ones(1))[0].tolist() == [1]
    assert [s.tolist() for s in block_sides((1, 20), torch.tensor([0.25]), torch.tensor([3.0]))] == [[1], [5]]


def test_blocks_are_whole_rectangles_anywhere_inside():
    u = torch.rand(500, 2)
    inside = blocks((6, 8), torch.full((500,), 2), torch.full((500,), 3), u).unflatten(1, (6, 8))
    assert (inside.sum((1, 2)) == 6).all()
    rows, columns = inside.any(2), inside.any(1)
    assert (rows.sum(1) == 2).all()
    assert (columns.sum(1) == 3).all()
    assert rows.float().argmax(1).unique().tolist() == [0, 1, 2, 3, 4]
    assert columns.float().argmax(1).unique().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("grid", [(6, 8), (1, 40), (4, 4), (2, 2), (1, 2)])
def test_context_and_targets_are_apart(grid):
    for seed in range(10):
        keep, wanted = context_and_targets(grid, 7, Draws.seeded(seed))
        assert wanted.shape[:2] == (7, 4)
        assert keep.shape[0] == 7
        assert keep.shape[1] >= 1
        assert (keep.diff(dim=1) > 0).all()
        if keep.shape[1] > 1:
            hidden = torch.zeros(7, grid[0] * grid[1], dtype=torch.bool).scatter_(1, wanted.flatten(1), True)
            assert not hidden.gather(1, keep).any()
