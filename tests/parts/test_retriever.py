"""Restoring by retrieval: partial convolutions against loops, masks that hide, and stretches that do not overlap."""

from __future__ import annotations

import pytest
import torch

from tacit.objectives.retrieval import CandidateContrast
from tacit.parts.draws import Draws
from tacit.parts.retrieval import PartialConvolution, Retriever, cut, elsewhere


def test_a_partial_convolution_sees_only_what_is_real() -> None:
    torch.manual_seed(0)
    layer = PartialConvolution(2, 3, 5).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(4, 2, 12, dtype=torch.float64)
    real = torch.rand(4, 1, 12) < 0.4
    real[0] = False
    found = layer(x, real)
    weight = layer.layer.weight
    for b in range(4):
        for t in range(12):
            places = [s for s in range(t - 2, t + 3) if 0 <= s < 12 and bool(real[b, 0, s])]
            wanted = torch.zeros(3, dtype=torch.float64)
            for s in places:
                wanted = wanted + weight[:, :, s - t + 2] @ x[b, :, s]
            wanted = wanted * 5 / len(places) + layer.bias[:, 0] if places else wanted
            torch.testing.assert_close(found[b, :, t], wanted)
    torch.testing.assert_close(layer(torch.where(real, x, 1e6), real), found)


def test_hidden_values_reach_nothing_but_the_statistics() -> None:
    torch.manual_seed(0)
    net = Retriever(2, width=16, blocks=2, kernel=5).eval()
    key, query = torch.randn(2, 3, 2, 40)
    hidden = torch.zeros(3, 40, dtype=torch.bool)
    hidden[:, 10:22] = True
    other = query.clone()
    other[:, :, 10:22] = query[:, :, 10:22].flip(2)  # the same mean and variance
    torch.testing.assert_close(net(other, key, hidden), net(query, key, hidden), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(net(query, key.flip(2), hidden), net(query, key, hidden), atol=1e-3)


def test_offset_and_strength_go_through() -> None:
    torch.manual_seed(0)
    net = Retriever(2, width=16, kernel=5).eval()
    key, query = torch.randn(2, 3, 2, 40)
    hidden = torch.rand(3, 40) < 0.5
    plain = net(query, key, hidden)
    torch.testing.assert_close(net(5 * query + 3, 5 * key + 3, hidden), 5 * plain + 3, rtol=1e-3, atol=1e-3)
    error = ((plain - query).square() * hidden[:, None]).sum((1, 2))
    torch.testing.assert_close(net.distance(query, key, hidden), error)


def test_stretches_are_cut_where_they_begin() -> None:
    x = torch.arange(60.0).view(2, 1, 30)
    found = cut(x, torch.tensor([[0, 4], [7, 25]]), 5)
    assert found.shape == (2, 2, 1, 5)
    assert found[0, 1, 0].tolist() == [4, 5, 6, 7, 8]
    assert found[1, 1, 0].tolist() == [55, 56, 57, 58, 59]


def test_candidates_lie_elsewhere_and_everywhere() -> None:
    length = torch.tensor([30, 33, 47, 30]).repeat(500)
    start = torch.tensor([0, 9, 37, 13]).repeat(500)
    found = elsewhere(length, start, 10, 8, Draws.seeded(1))
    assert bool(((found >= 0) & (found + 10 <= length[:, None])).all())
    assert bool(((found + 10 <= start[:, None]) | (found >= start[:, None] + 10)).all())
    seen = [sorted(set(found[i::4].flatten().tolist())) for i in range(4)]
    assert seen == [list(range(10, 21)), list(range(19, 24)), list(range(28)), [0, 1, 2, 3]]


def test_the_contrast_is_what_the_equations_say() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, 6, dtype=torch.float64, generator=generator)
    z = torch.randn(5, 4, 6, dtype=torch.float64, generator=generator)
    positive = torch.tensor([0, 3, 1, 1, 2])

    def near(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return ((one @ other) / one.norm() / other.norm() / 0.2).exp()

    within = between = torch.zeros((), dtype=torch.float64)
    for i in range(5):
        right = near(a[i], z[i, positive[i]])
        within = within - (right / sum(near(a[i], z[i, m]) for m in range(4))).log() / 5
        between = between - (right / (right + sum(near(a[i], a[j]) for j in range(5) if j != i))).log() / 5
    terms = CandidateContrast(0.2, 0.3).terms(a, z, positive)
    torch.testing.assert_close(terms["within"], 0.7 * within)
    torch.testing.assert_close(terms["between"], 0.3 * between)
    torch.testing.assert_close(CandidateContrast(0.2, 0.3)(a, z, positive), 0.7 * within + 0.3 * between)


def test_the_contrast_stays_finite_at_every_temperature() -> None:
    for temperature in (1e-3, 10.0):
        for a in (torch.zeros(2, 4), torch.ones(2, 4), torch.randn(2, 4).bfloat16()):
            leaf = a.clone().requires_grad_()
            value = CandidateContrast(temperature)(leaf, leaf[:, None].expand(-1, 3, -1), torch.tensor([0, 2]))
            value.backward()
            assert value.dtype == torch.float32
            assert value.isfinite()
            assert leaf.grad is not None
            assert leaf.grad.isfinite().all()


def test_bad_input_of_the_contrast() -> None:
    good = torch.randn(3, 4), torch.randn(3, 5, 4), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match="do not fit"):
        CandidateContrast()(good[0], good[1][:2], good[2])
    with pytest.raises(ValueError, match="at least 2 candidates"):
        CandidateContrast()(good[0], good[1][:, :1], good[2])
    with pytest.raises(ValueError, match="share"):
        CandidateContrast(share=1.5)
    with pytest.raises(ValueError, match="temperature"):
        CandidateContrast(temperature=0.0)
