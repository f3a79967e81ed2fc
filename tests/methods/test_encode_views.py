"""Views of several shapes go through the encoder in one call a shape, and come back in their order."""

import torch
from torch import nn

from tacit.methods.base import Method


class Counting(nn.Module):
    dim = 3

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, x):
        self.calls.append(tuple(x.shape))
        return x.mean((2, 3))


def test_one_call_a_shape_in_the_order_of_the_views():
    method = Method(Counting())
    views = [{"x": torch.full((4, 3, size, size), float(i))} for i, size in enumerate((8, 5, 8, 5, 5))]
    found = method.encode(*views)
    assert method.encoder.calls == [(8, 3, 8, 8), (12, 3, 5, 5)]
    assert [h.unique().tolist() for h in found] == [[0], [1], [2], [3], [4]]
    assert [h.shape for h in found] == [(4, 3)] * 5
