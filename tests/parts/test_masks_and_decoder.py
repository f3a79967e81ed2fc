import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.parts.decoder import TokenDecoder, position_code
from tacit.parts.draws import Draws
from tacit.parts.masks import random_mask


@given(tokens=st.integers(2, 70), ratio=st.floats(0.001, 0.999), batch=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_mask_splits_the_tokens(tokens, ratio, batch):
    keep, hidden = random_mask(batch, tokens, ratio, Draws.seeded(1))
    assert keep.dtype == torch.int64
    assert (keep.diff(dim=1) > 0).all()
    kept = torch.zeros(batch, tokens, dtype=torch.bool).scatter(1, keep, True)
    assert torch.equal(kept, ~hidden)
    assert 1 <= keep.shape[1] < tokens
    wanted = min(max(ratio * tokens, 1), tokens - 1)
    assert (hidden.sum(1) - wanted).abs().max() <= 0.5 + 1e-4


def test_mask_is_fair_and_repeatable():
    _, hidden = random_mask(4000, 8, 0.75, Draws.seeded(2))
    assert (hidden.double().mean(0) - 0.75).abs().max() < 0.035  # five standard errors
    together = (hidden[:, 0] & hidden[:, 1]).double().mean().item()
    assert together == pytest.approx(6 * 5 / (8 * 7), abs=0.04)
    assert torch.equal(random_mask(4000, 8, 0.75, Draws.seeded(2))[1], hidden)


@pytest.mark.parametrize(("tokens", "ratio"), [(8, 0.0), (8, 1.0), (8, -1.0), (8, float("nan")), (1, 0.5)])
def test_bad_mask(tokens, ratio):
    with pytest.raises(ValueError):
        random_mask(2, tokens, ratio, Draws())


def example(batch=3):
    torch.manual_seed(0)
    decoder = TokenDecoder(6, 5, width=16, depth=1, heads=2).double()
    keep, _ = random_mask(batch, 9, 0.5, Draws.seeded(0))
    line = (torch.arange(3) + 0.5) / 3
    return decoder, torch.randn(batch, keep.shape[1], 6).double(), keep, torch.cartesian_prod(line, line)


def test_decoder_does_not_mind_the_order_of_kept_tokens():
    decoder, tokens, keep, position = example()
    order = torch.randperm(keep.shape[1])
    expected = decoder(tokens, keep, position)
    assert expected.shape == (3, 9, 5)
    torch.testing.assert_close(decoder(tokens[:, order], keep[:, order], position), expected)


def test_decoder_tells_places_apart():
    decoder, tokens, keep, position = example()
    out = decoder(tokens, keep, position)
    hidden = [n for n in range(9) if n not in keep[0].tolist()]
    assert (out[0, hidden[0]] - out[0, hidden[1]]).abs().max() > 1e-3
    # It is the position that counts, not the row: moving all places moves the answers.
    turn = torch.randperm(9)
    moved = decoder(tokens, turn.argsort()[keep], position[turn])
    torch.testing.assert_close(moved, out[:, turn])


def test_decoder_takes_positions_by_sample():
    decoder, tokens, keep, position = example()
    each = decoder(tokens, keep, position.expand(3, 9, 2))
    torch.testing.assert_close(each, decoder(tokens, keep, position))
    far = decoder(tokens, keep, torch.stack([position, 1 - position, position**2]))
    torch.testing.assert_close(far[0], each[0])
    assert (far[1] - each[1]).abs().max() > 1e-3


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_position_code(axes):
    fine = torch.linspace(0, 1, 257)[:, None].expand(-1, axes)
    code = position_code(fine, 50)
    assert code.shape == (257, 50)
    assert code.abs().max() <= 1
    apart = torch.cdist(code, code) + 10 * torch.eye(257)
    assert apart.min() > 0.5
