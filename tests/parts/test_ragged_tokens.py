"""Tokens of samples of different lengths: masks, order, decoder, encoder; padding is never looked at."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tacit.methods.predictive.jepa import JEPA
from tacit.methods.reconstruction.masked_autoencoder import MaskedAutoencoder
from tacit.objectives.predictive import TokenDistance
from tacit.objectives.reconstruction import MaskedError
from tacit.parts.draws import Draws
from tacit.parts.masks import chosen_first, near_first, ragged_mask
from tacit.parts.tokens import TokenEncoder, pooled
from tacit.parts.transformer import Pieces, TokenNet, pieces_of_line

COUNTS = torch.tensor([7, 1, 12, 4])
VALID = torch.arange(12) < COUNTS[:, None]


class Line(TokenNet):
    """Pieces of three places."""

    def __init__(self) -> None:
        super().__init__(2 * 3, width=8, depth=1, heads=2)

    def cut(self, x: torch.Tensor, length: torch.Tensor | None) -> Pieces:
        return Pieces(*pieces_of_line(x, length, 3, 30))


def test_numbers_along_padding_do_not_depend_on_it() -> None:
    short, long = (Draws.seeded(5).along(6, 2, width) for width in (10, 33))
    assert torch.equal(short, long[..., :10])
    assert tuple(long.shape) == (6, 2, 33)
    many = Draws.seeded(6).along(200, 1000)
    assert 0 < float(many.min()) < float(many.max()) < 1
    counts = torch.histc(many, 20, 0, 1)
    assert float((counts - 10_000).square().sum() / 10_000) < 45  # chi-squared of 19 degrees of freedom
    rows = many - many.mean(1, keepdim=True)
    assert float(F.cosine_similarity(rows[0], rows[1], dim=0).abs()) < 0.15
    assert float(F.cosine_similarity(rows[:, :-1], rows[:, 1:], dim=1).mean().abs()) < 0.02
    chunked = Draws.seeded(5).in_chunks(2).along(6, 4)
    assert torch.equal(chunked[0], chunked[1])


def test_the_same_share_of_every_sample_is_hidden() -> None:
    keep, kept, hidden = ragged_mask(VALID, 0.75, Draws.seeded(1))
    assert hidden.sum(1).tolist() == [5, 0, 9, 3]
    assert kept.sum(1).tolist() == [2, 1, 3, 1]
    assert not (hidden & ~VALID).any()
    for row in range(4):
        places = keep[row, kept[row]]
        assert places.tolist() == sorted(places.tolist())
        assert torch.equal((VALID[row] & ~hidden[row]).nonzero()[:, 0], places)
    wider = F.pad(VALID, (0, 9))
    again = ragged_mask(wider, 0.75, Draws.seeded(1))
    assert torch.equal(again[2][:, :12], hidden)
    with pytest.raises(ValueError, match="between 0 and 1"):
        ragged_mask(VALID, 1.0, Draws())


def test_every_real_token_has_the_same_chance_to_be_hidden() -> None:
    valid = torch.tensor([[True] * 5 + [False] * 3]).expand(20_000, -1)
    hidden = ragged_mask(valid, 0.4, Draws.seeded(2))[2].float().mean(0)
    assert (hidden[:5] - 0.4).abs().max() < 0.015
    assert not hidden[5:].any()


def test_ranks_by_distance_are_a_permutation_and_follow_the_distance() -> None:
    position = torch.linspace(0, 1, 12)[:, None]
    for blocks in (0, 1, 3):
        order = near_first(position, COUNTS, blocks, Draws.seeded(3), 12)
        for row, count in enumerate(COUNTS.tolist()):
            assert sorted(order[row, :count].tolist()) == list(range(count))
    order = near_first(position, torch.tensor([12]), 1, Draws.seeded(3), 12)[0]
    middle = int(order.argmin())
    distance = (position[:, 0] - position[middle, 0]).abs()
    assert (distance[order.argsort()].diff() >= -1e-6).all()
    places, real = chosen_first(order[None], torch.tensor([4]))
    assert real.all()
    assert places[0].tolist() == sorted(order.argsort()[:4].tolist())


def test_an_encoder_of_tokens_ignores_padding() -> None:
    net = Line().eval()
    assert isinstance(net, TokenEncoder)
    x, length = torch.randn(4, 2, 20), torch.tensor([20, 7, 1, 13])
    x = x.masked_fill(torch.arange(20) >= length[:, None, None], 0)
    found = net(x, length)
    torch.testing.assert_close(net(F.pad(x, (0, 11)), length), found)
    for row, size in enumerate(length.tolist()):
        alone = net(x[row : row + 1, :, :size], torch.tensor([size]))
        torch.testing.assert_close(found[row : row + 1], alone, rtol=1e-4, atol=1e-5)
    tokens = net.tokenize(x, length)
    assert tokens.counts().tolist() == [7, 3, 1, 5]
    assert tokens.known is not None
    assert tokens.known.sum((1, 2)).tolist() == (2 * length).tolist()


def test_a_whole_batch_needs_no_masks_and_gives_the_same() -> None:
    net = Line().eval()
    x = torch.randn(3, 2, 18)
    assert net.tokenize(x).valid is None
    torch.testing.assert_close(net(x), net(x, torch.full((3,), 18)), rtol=1e-4, atol=1e-5)


def test_the_mean_is_over_real_tokens() -> None:
    tokens = torch.randn(4, 12, 3)
    for row, count in enumerate(COUNTS.tolist()):
        torch.testing.assert_close(pooled(tokens, VALID)[row], tokens[row, :count].mean(0))


@pytest.mark.parametrize("normalise", [False, True])
def test_the_masked_error_is_over_known_numbers(normalise: bool) -> None:
    torch.manual_seed(1)
    prediction, target = torch.randn(2, 3, 5).double(), torch.randn(2, 3, 5).double()
    known, hidden = torch.rand(2, 3, 5) < 0.7, torch.tensor([[1, 0, 1], [1, 1, 0]]).bool()
    known[1, 0] = False
    total, count = 0.0, 0
    for b, n in hidden.nonzero().tolist():
        at = known[b, n]
        if not at.any():
            continue
        wanted = target[b, n, at]
        if normalise:
            variance = wanted.var() if len(wanted) > 1 else torch.tensor(0.0)
            wanted = (wanted - wanted.mean()) / (variance + 1e-6).sqrt()
        total, count = total + float((prediction[b, n, at] - wanted).square().mean()), count + 1
    found = MaskedError(normalise)(prediction, target, hidden, known)
    assert float(found) == pytest.approx(total / count, rel=1e-9)
    spoiled = torch.where(known, target, 1e6)
    torch.testing.assert_close(MaskedError(normalise)(prediction, spoiled, hidden, known), found)


def test_the_distance_is_over_real_tokens() -> None:
    prediction, target = torch.randn(2, 4, 6).double(), torch.randn(2, 4, 6).double()
    valid = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]]).bool()
    parts = TokenDistance()(prediction[valid], target[valid])
    torch.testing.assert_close(TokenDistance()(prediction, target, valid), parts)


@pytest.mark.parametrize("method", [MaskedAutoencoder, JEPA])
def test_methods_on_tokens_see_no_padding(method: type) -> None:
    net = Line()
    built = method(net, width=8, depth=1, heads=2)
    x, length = torch.randn(4, 2, 20), torch.tensor([20, 7, 1, 13])
    x = x.masked_fill(torch.arange(20) >= length[:, None, None], 0)
    losses, slopes = [], []
    for width in (0, 1, 25):
        torch.manual_seed(4)
        built.zero_grad()
        loss = built.loss({"views": [{"x": F.pad(x, (0, width)), "length": length}]})
        loss.backward()
        losses.append(loss.item())
        slopes.append(net.enter.weight.grad.clone())
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    for slope in slopes[1:]:
        torch.testing.assert_close(slope, slopes[0], rtol=1e-3, atol=1e-6)


def test_jepa_predicts_what_it_does_not_see() -> None:
    """Changing what is hidden changes the target alone: the prediction's gradient to the hidden input is zero."""
    built = JEPA(Line(), ratio=0.5, blocks=0, width=8, depth=1, heads=2)
    seen = {}
    built.predictor.register_forward_hook(lambda _, inputs, output: seen.update(keep=inputs[1], out=output))
    x = torch.randn(3, 2, 18, requires_grad=True)
    built.loss({"views": [{"x": x}]})
    (slope,) = torch.autograd.grad(seen["out"].sum(), x)
    touched = slope.abs().sum(1).unflatten(1, (6, 3)).sum(2) > 0
    kept = torch.zeros(3, 6, dtype=torch.bool).scatter_(1, seen["keep"], True)
    assert torch.equal(touched, kept)
    assert kept.sum(1).tolist() == [3, 3, 3]
