"""Masks drawn from attention, and subsets of tokens, against plain loops."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

import tacit
from tacit.parts.draws import Draws
from tacit.parts.latents import LatentDecoder, Look, guided_mask
from tacit.parts.subsets import context_and_target_sets, possible_sizes


def weights(batch: int, latents: int, count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, latents, count, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(2)


def test_what_is_hidden_is_what_some_latents_look_at_most() -> None:
    """With nothing by chance, each mask is the top tokens of the sum of some choice of latents."""
    shown = weights(40, 5, 12)
    hidden = guided_mask(shown, 0.5, 3, 0.0, Draws.seeded(0))
    assert (hidden.sum(1) == 6).all()
    used = Counter()
    for sample in range(40):
        found = []
        for pair in itertools.combinations(range(5), 2):  # round(12 * 0.5 / 3) of them
            total = [sum(float(shown[sample, q, n]) for q in pair) for n in range(12)]
            best = sorted(range(12), key=lambda n: -total[n])[:6]
            if set(best) == set(hidden[sample].nonzero()[:, 0].tolist()):
                found.append(pair)
        assert found
        used.update(found)
    assert len(used) == 10  # every pair of latents gets its turn


def test_by_chance_masks_are_uniform_and_do_not_look() -> None:
    shown = torch.zeros(4000, 3, 8)
    shown[:, :, 0] = 1
    hidden = guided_mask(shown, 0.25, 1, 1.0, Draws.seeded(0)).float().mean(0)
    np.testing.assert_allclose(hidden, 0.25, atol=0.03)
    half = guided_mask(shown, 0.5, 1, 0.5, Draws.seeded(0))
    assert (half.sum(1) == 4).all()
    assert half[:, 0].all()
    always = guided_mask(shown, 0.25, 1, 0.0, Draws.seeded(0))
    assert always[:, 0].all()


def test_padding_is_never_hidden_and_changes_nothing() -> None:
    shown = weights(20, 4, 10)
    valid = torch.arange(10) < torch.randint(4, 11, (20, 1), generator=torch.Generator().manual_seed(1))
    valid[0] = True
    hidden = guided_mask(shown, 0.4, 2, 0.3, Draws.seeded(3), valid)
    assert not (hidden & ~valid).any()
    assert (hidden.sum(1) == (valid.sum(1) * 0.4).round().clamp_min(1)).all()
    assert (hidden.sum(1) < valid.sum(1)).all()


@pytest.mark.parametrize(
    ("count", "ratio", "per_query"), [(4, 0.2, 2), (1, 0.5, 0.1), (3, 0.1, 1), (8, 0.0, 1), (8, 1.0, 1)]
)
def test_too_little_to_hide_is_refused(count: int, ratio: float, per_query: float) -> None:
    with pytest.raises(ValueError):
        guided_mask(weights(2, 3, count), ratio, per_query, 0.0, Draws.seeded(0))


def test_a_look_is_plain_attention() -> None:
    torch.manual_seed(0)
    look = Look(8, 2).double().eval()
    asking, seen = torch.randn(2, 3, 8, dtype=torch.float64), torch.randn(2, 5, 8, dtype=torch.float64)
    hidden = torch.tensor([[False, True, False, False, True], [False] * 5])
    found, expected = look.weights(asking, seen, hidden), torch.zeros(2, 3, 5, dtype=torch.float64)
    w, b = look.attention.in_proj_weight, look.attention.in_proj_bias
    q, k = look.asking(asking) @ w[:8].T + b[:8], look.seen(seen) @ w[8:16].T + b[8:16]
    for sample, query, head in itertools.product(range(2), range(3), range(2)):
        part = slice(4 * head, 4 * head + 4)
        score = [float((q[sample, query, part] @ k[sample, n, part]).detach()) / 2 for n in range(5)]
        power = [0 if hidden[sample, n] else np.exp(score[n]) for n in range(5)]
        expected[sample, query] += torch.tensor([p / sum(power) / 2 for p in power])
    torch.testing.assert_close(found, expected)
    other = seen.clone()
    other[0, 1] = 99.0
    torch.testing.assert_close(look(asking, other, hidden), look(asking, seen, hidden))


def test_a_latent_decoder_tells_places_apart() -> None:
    decoder = LatentDecoder(8, 3, width=16, heads=2)
    out = decoder(torch.randn(2, 4, 8), torch.linspace(0, 1, 6)[:, None])
    assert out.shape == (2, 6, 3)
    assert float((out[:, 1:] - out[:, :-1]).abs().amax(2).min()) > 1e-4
    with pytest.raises(tacit.TacitError):
        LatentDecoder(8, 3, width=15, heads=2)


def test_sizes_are_all_pairs_that_fit() -> None:
    found = possible_sizes(10, (0.2, 0.5), (0.15, 0.8))
    expected = [(c, t) for c in range(2, 6) for t in range(2, 9) if c + t <= 10]  # round(1.5) is 2
    assert found == expected
    assert possible_sizes(2, (0.2, 0.5), (0.15, 0.4)) == [(1, 1)]
    with pytest.raises(tacit.TacitError, match="it would be"):
        possible_sizes(3, (0.0, 0.1), (0.1, 0.9))
    with pytest.raises(tacit.TacitError, match="more tokens"):
        possible_sizes(1, (0.2, 0.9), (0.2, 0.9))


def test_what_is_predicted_is_never_seen() -> None:
    sizes = possible_sizes(9, (0.2, 0.6), (0.1, 0.4))
    seen_sizes = set()
    counts = torch.zeros(2, 9)
    for seed in range(200):
        keep, wanted = context_and_target_sets(16, 9, sizes, 3, Draws.seeded(seed))
        seen_sizes.add((keep.shape[1], wanted.shape[2]))
        assert wanted.shape[:2] == (16, 3)
        for row, sets in zip(keep.tolist(), wanted.tolist(), strict=True):
            assert row == sorted(set(row))
            for one in sets:
                assert one == sorted(set(one))
                assert not set(one) & set(row)
            counts[0, row] += 1
            counts[1] += torch.tensor(sets).flatten().bincount(minlength=9)
    assert seen_sizes == set(sizes)
    for row in counts:
        np.testing.assert_allclose(row / row.mean(), 1, atol=0.08)
    assert any(a != b for a, b, _ in wanted.tolist())  # sets are drawn for themselves
