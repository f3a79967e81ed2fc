import pytest
import torch

from tacit.objectives.flow import FlowMatching


def test_is_the_mean_squared_error():
    v = [[1.0, 2.0], [3.0, 5.0], [0.0, -1.0]]
    u = [[0.0, 2.5], [3.0, 1.0], [2.0, 2.0]]
    expected = sum((a - b) ** 2 for r, s in zip(v, u, strict=True) for a, b in zip(r, s, strict=True)) / 6
    assert FlowMatching()(torch.tensor(v), torch.tensor(u)).item() == pytest.approx(expected)


def test_half_precision_is_widened():
    v = torch.randn(4, 3, 2).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert FlowMatching()(v, -v) == FlowMatching()(v.float(), -v.float())


def test_unequal_shapes():
    with pytest.raises(ValueError, match="one shape"):
        FlowMatching()(torch.ones(4, 3), torch.ones(4, 1))
