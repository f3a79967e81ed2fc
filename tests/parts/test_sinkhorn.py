"""Balanced shares against Sinkhorn's iteration in plain float64, and prototypes."""

import math

import pytest
import torch

from tacit.objectives.clustering import SwappedPrediction
from tacit.parts.prototypes import Prototypes
from tacit.parts.sinkhorn import sinkhorn


def plain(scores, iterations):
    """As in the papers: scale columns to N/K and rows to 1 by turns."""
    rows = [[math.exp(v) for v in row] for row in scores.tolist()]
    share = len(rows) / len(rows[0])
    for _ in range(iterations):
        for k in range(len(rows[0])):
            used = sum(row[k] for row in rows)
            for row in rows:
                row[k] *= share / used
        rows = [[v / sum(row) for v in row] for row in rows]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("iterations", [1, 3, 20])
def test_is_the_iteration(iterations):
    scores = 2 * torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(scores, iterations), plain(scores, iterations), rtol=1e-10, atol=1e-12)


def waves(views, samples, clusters):
    """The same numbers everywhere."""
    return torch.arange(views * samples * clusters, dtype=torch.float64).mul(0.7).sin().view(views, samples, clusters)


def test_agrees_with_lightly():
    """Recorded from lightly 1.6.0: ``sinkhorn`` of ``lightly.loss.swav_loss``, and ``SwaVLoss`` of two large and two
    smaller views, at temperature 0.1 and epsilon 0.05."""
    scores = waves(4, 6, 5)
    codes = torch.stack([sinkhorn(view / 0.05, 3) for view in scores[:2]])
    expected = torch.tensor([5e-10, 0.0001870424, 0.50146305, 0.498349867, 4.01e-08], dtype=torch.float64)
    torch.testing.assert_close(codes[0, 0], expected, rtol=1e-8, atol=1e-10)
    assert SwappedPrediction(0.1)(scores, codes).item() == pytest.approx(9.438865565674528, rel=1e-10)


def test_marginals_and_the_form_of_the_solution():
    scores = 3 * torch.randn(60, 8, dtype=torch.float64)
    shares = sinkhorn(scores, 1000, 1e-10)
    torch.testing.assert_close(shares.sum(1), torch.ones(60, dtype=torch.float64))
    torch.testing.assert_close(shares.sum(0), torch.full((8,), 7.5, dtype=torch.float64), rtol=1e-8, atol=0)
    # diag(b) exp(scores) diag(a): what is left of the logarithm is a row's number plus a column's.
    left = shares.log() - scores
    left = left - left[:1]
    torch.testing.assert_close(left, left[:, :1].expand(60, 8))


def test_sharp_scores_give_the_best_balanced_labels():
    """With a small weight of the entropy it is the assignment problem."""
    from scipy.optimize import linear_sum_assignment

    scores = torch.randn(12, 4, dtype=torch.float64)
    rows, columns = linear_sum_assignment(-scores.repeat(1, 3).numpy())
    best = torch.from_numpy(columns % 4)[torch.from_numpy(rows).argsort()]
    found = sinkhorn(300 * scores, 20_000, 1e-9).argmax(1)
    assert found.tolist() == best.tolist()


def test_the_tolerance_stops_it_early():
    scores = 10 * torch.randn(30, 5, dtype=torch.float64)
    early = sinkhorn(scores, 1000, 1e6)
    torch.testing.assert_close(early, sinkhorn(scores, 10), rtol=0, atol=0)
    late = sinkhorn(scores, 1000, 1e-3)
    assert (late.sum(0) - 6).abs().max() < (early.sum(0) - 6).abs().max()


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("shape", [(2, 7), (7, 2), (1, 3), (64, 64)])
def test_no_score_is_too_large_or_too_small(size, shape):
    shares = sinkhorn(size * torch.randn(shape), 5)
    assert shares.isfinite().all()
    torch.testing.assert_close(shares.sum(1), torch.ones(shape[0]), rtol=1e-4, atol=1e-4)


def test_equal_scores_give_equal_shares_and_constants_do_not_matter():
    torch.testing.assert_close(sinkhorn(torch.full((6, 4), -1e3)), torch.full((6, 4), 0.25))
    scores = torch.randn(6, 4, dtype=torch.float64)
    moved = scores + 5 * torch.randn(6, 1, dtype=torch.float64)  # constants of samples, once it has converged
    torch.testing.assert_close(sinkhorn(moved, 1000, 1e-12), sinkhorn(scores, 1000, 1e-12))
    torch.testing.assert_close(sinkhorn(scores + torch.randn(4).double(), 3), sinkhorn(scores, 3))


def test_bfloat16_is_widened_and_no_gradient_flows():
    scores = torch.randn(6, 4).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        shares = sinkhorn(scores)
    assert shares.dtype == torch.float32
    assert not shares.requires_grad
    torch.testing.assert_close(shares, sinkhorn(scores.detach().float()), rtol=0, atol=0)


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match=r"\[B, K\]"):
        sinkhorn(torch.zeros(3))
    with pytest.raises(ValueError, match="iteration"):
        sinkhorn(torch.zeros(3, 2), 0)


def test_prototypes_are_cosines():
    head = Prototypes(5, 3).double()
    with torch.no_grad():
        head.weight *= torch.tensor([[1.0], [7.0], [0.2]])
    z = torch.randn(4, 5, dtype=torch.float64)
    for i in range(4):
        for k in range(3):
            w = head.weight[k].tolist()
            inner = sum(a * b for a, b in zip(z[i].tolist(), w, strict=True))
            expected = inner / math.hypot(*z[i].tolist()) / math.hypot(*w)
            assert head(z)[i, k].item() == pytest.approx(expected, rel=1e-10)


def test_prototypes_compute_in_float32_under_autocast_and_bear_zeros():
    head, z = Prototypes(5, 3), torch.randn(4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = head(z)
    assert torch.equal(found, head(z))
    zero = torch.zeros(2, 5, requires_grad=True)
    head(zero).sum().backward()
    assert zero.grad.isfinite().all()
    with pytest.raises(ValueError, match="positive"):
        Prototypes(5, 0)
