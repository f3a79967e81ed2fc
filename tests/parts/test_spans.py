"""Spans and clusters of hidden tokens."""

from __future__ import annotations

import pytest
import torch

from tacit.parts.draws import Draws
from tacit.parts.spans import cluster_mask, geometric_spans, span_starts, spans_from


def test_spans_cover_what_their_starts_say() -> None:
    counts, spans = torch.tensor([30, 12, 3]), torch.tensor([3, 2, 4])
    starts = span_starts(counts, spans, 5, 30, Draws.seeded(1))
    assert starts.sum(1).tolist() == [3, 2, 1]  # three tokens have room for one span, cut off
    hidden = spans_from(starts, counts, 5)
    for b in range(3):
        wanted = {t for s in starts[b].nonzero()[:, 0].tolist() for t in range(s, s + 5) if t < counts[b]}
        assert set(hidden[b].nonzero()[:, 0].tolist()) == wanted
    assert all(int(starts[b].nonzero().max()) <= max(int(counts[b]) - 5, 0) for b in range(3))


def test_spans_begin_everywhere_alike_and_do_not_know_of_padding() -> None:
    counts = torch.full((4000,), 20)
    starts = span_starts(counts, torch.full((4000,), 2), 4, 20, Draws.seeded(2))
    share = starts.double().mean(0)
    assert not share[17:].any()
    assert torch.allclose(share[:17], torch.full((17,), 2 / 17, dtype=torch.float64), atol=0.02)
    wider = span_starts(counts, torch.full((4000,), 2), 4, 33, Draws.seeded(2))
    assert torch.equal(wider[:, :20], starts)
    assert not wider[:, 20:].any()


def test_clusters_cover_as_many_as_asked_in_squares() -> None:
    counts, hide = torch.tensor([96, 48]), torch.tensor([12, 37])
    places, real = cluster_mask(counts, hide, 8, (4, 4), 96, Draws.seeded(3))
    assert real.sum(1).tolist() == [12, 37]
    for b in range(2):
        chosen = places[b][real[b]]
        assert len(set(chosen.tolist())) == int(hide[b])
        assert int(chosen.max()) < int(counts[b])
    # one cluster of 16, less what is cut off: neighbours of hidden tokens are mostly hidden
    grid = torch.zeros(2000, 12, 8, dtype=torch.bool)
    places, real = cluster_mask(torch.full((2000,), 96), torch.full((2000,), 32), 8, (4, 4), 96, Draws.seeded(4))
    grid.view(2000, 96)[torch.arange(2000)[:, None], places] = True
    beside = (grid[:, :, 1:] & grid[:, :, :-1]).sum() / grid[:, :, :-1].sum()
    assert float(beside) > 0.65  # at random it would be a third
    assert grid.any(0).all()  # every token can be hidden, the first one too


def test_clusters_do_not_know_of_padding_and_may_be_single_tokens() -> None:
    counts, hide = torch.tensor([40, 25]), torch.tensor([30, 19])
    one = cluster_mask(counts, hide, 5, (3, 5), 40, Draws.seeded(5))
    two = cluster_mask(counts, hide, 5, (3, 5), 64, Draws.seeded(5))
    assert all(torch.equal(a[a_real], b[b_real]) for (a, a_real), (b, b_real) in [(one, two)])
    places, _ = cluster_mask(torch.full((3000,), 20), torch.full((3000,), 5), 4, (1, 1), 20, Draws.seeded(6))
    share = torch.bincount(places.flatten(), minlength=20) / 3000
    assert torch.allclose(share, torch.full((20,), 0.25), atol=0.035)


def test_geometric_spans_hide_as_much_and_as_long_as_asked() -> None:
    for share, mean in ((0.5, 3.0), (0.25, 4.0)):
        hidden = geometric_spans(40, 3, 2000, share, mean, Draws.seeded(7))
        assert float(hidden.double().mean()) == pytest.approx(share, abs=0.01)
        assert float(hidden[:, :, 0].double().mean()) == pytest.approx(
            share, abs=0.15
        )  # the first step is no exception
        inner = hidden[:, :, 1:] != hidden[:, :, :-1]
        ends = (inner & hidden[:, :, :-1]).sum()
        assert float(hidden[:, :, :-1].sum() / ends) == pytest.approx(mean, rel=0.02)
        turns = [len(t) for t in "".join("01"[v] for v in hidden[0, 0].long().tolist()).split("0") if t]
        assert max(turns) > 2 * mean  # their lengths differ
        assert not torch.equal(hidden[:, 0], hidden[:, 1])
    wider = geometric_spans(40, 3, 2100, 0.25, 4.0, Draws.seeded(7))
    assert torch.equal(wider[..., :2000], hidden)
    with pytest.raises(ValueError, match="at least 2"):
        geometric_spans(2, 1, 10, 0.5, 1.5, Draws.seeded(0))
    with pytest.raises(ValueError, match="between 0 and 1"):
        geometric_spans(2, 1, 10, 1.0, 3.0, Draws.seeded(0))
