"""Dropout of tokens that knows neither of padding nor of how a batch is spread over processes."""

import pytest
import torch

from tacit.parts.heads import TokenDropout
from two_ranks import on_two_ranks


def dropped(x: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(5)
    layer = TokenDropout(0.3)
    return layer(x) + layer(x)


def check(rank, together):
    whole = dropped(torch.ones(6, 4, 5))
    with together():
        assert torch.equal(dropped(torch.ones(3, 4, 5)), whole[3 * rank : 3 * rank + 3])


def test_two_ranks_drop_what_one_does(tmp_path):
    on_two_ranks(check, tmp_path)


def test_padding_changes_neither_these_numbers_nor_later_ones() -> None:
    short, long = dropped(torch.ones(6, 4, 5)), dropped(torch.ones(6, 9, 5))
    assert torch.equal(long[:, :4], short)
    assert len(set(short.flatten().tolist())) == 3  # both, one or none of the two kept


def test_it_keeps_the_mean_and_does_nothing_in_evaluation() -> None:
    layer, x = TokenDropout(0.25), torch.ones(100, 50, 20)
    assert float(layer(x).mean()) == pytest.approx(1, abs=0.01)
    assert float((layer(x) == 0).double().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(layer.eval()(x), x)
    with pytest.raises(ValueError, match="probability"):
        TokenDropout(1.0)
