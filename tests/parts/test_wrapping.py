"""The user's own module as an encoder of any kind of data."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.parts.wrapping import Wrapped, wrapped


class Mean(nn.Module):
    """Takes lengths."""

    dim = 3

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        return x.mean(2) if length is None else x.sum(2) / length[:, None]


def test_maps_are_averaged_and_widths_are_found() -> None:
    encoder = wrapped(nn.Conv1d(2, 5, 3), torch.zeros(2, 2, 9))
    assert isinstance(encoder, Wrapped)
    assert encoder.dim == 5
    x = torch.randn(4, 2, 9)
    torch.testing.assert_close(encoder(x), encoder.model(x).mean(2))
    assert encoder(x, length=torch.ones(4)).shape == (4, 5)


def test_one_that_fits_stays_itself_and_gets_lengths() -> None:
    module = Mean()
    assert wrapped(module, torch.zeros(2, 3, 4)) is module
    module.dim = 7
    around = wrapped(module, torch.zeros(2, 3, 4))
    assert around.dim == 3
    assert around(torch.ones(1, 3, 4), length=torch.tensor([2.0])).tolist() == [[2.0, 2.0, 2.0]]


def test_modes_are_left_as_they_were() -> None:
    module = nn.Sequential(nn.Conv1d(2, 5, 3), nn.BatchNorm1d(5))
    module[1].eval()
    wrapped(module, torch.zeros(2, 2, 9))
    assert module.training
    assert not module[1].training


def test_what_is_no_encoder_is_named() -> None:
    with pytest.raises(OptionError, match=r"Flatten must give \[B, D\]"):
        wrapped(nn.Flatten(0), torch.zeros(2, 3))
