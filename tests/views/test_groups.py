import itertools
from typing import get_args

import pytest
import torch

from tacit.errors import OptionError
from tacit.views.groups import Change, Group, changes

SIZES = {"rotation": 4, "rotation2": 2, "colour": 6, "colour3": 3, "rotation2-colour3": 6}
SIZES |= {"rotation-colour3": 12, "rotation-colour": 24}
X = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)


@pytest.mark.parametrize("name", get_args(Group))
def test_elements_differ_start_with_the_identity_and_are_closed(name):
    found = changes(name)
    assert len(found) == SIZES[name]
    assert torch.equal(found[0](X), X)
    seen = {tuple(change(X).flatten().tolist()) for change in found}
    assert len(seen) == len(found)
    for first, second in itertools.product(found, repeat=2):
        assert tuple(second(first(X)).flatten().tolist()) in seen


def test_a_quarter_turn_takes_the_right_edge_to_the_top():
    turned = Change(1)(X)
    assert torch.equal(turned[:, :, 0], X[:, :, :, 3])


def test_what_cannot_be_changed_is_refused():
    with pytest.raises(OptionError, match="square"):
        Change(1)(torch.ones(1, 1, 4, 6))
    assert Change(2)(torch.ones(1, 1, 4, 6)).shape == (1, 1, 4, 6)
    with pytest.raises(OptionError, match="3 channels"):
        Change(0, (1, 2, 0))(torch.ones(1, 1, 4, 4))
    with pytest.raises(OptionError, match="did you mean 'rotation'"):
        changes("rotatio")
