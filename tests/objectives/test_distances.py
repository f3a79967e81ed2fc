"""Losses on distances of pairs, against plain loops, and how negatives are chosen."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from tacit.objectives.distances import PairDistances

LOSSES = ("contrastive", "margin", "triplet", "binomial-deviance", "histogram")


def views(count: int = 3, samples: int = 5, width: int = 6, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(samples, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, samples, width, generator=generator, dtype=torch.float64)
    return [middle + 0.8 * row for row in noise]


def plain(projections: list[Tensor], loss: str, hardest: int, margin: float, boundary: float) -> float:
    """The equations with loops over pairs; the nearest ``hardest`` of other samples are negatives."""
    rows = [(i, (z[i] / z[i].norm()).tolist()) for z in projections for i in range(len(z))]
    cosine = [[sum(a * b for a, b in zip(x, y, strict=True)) for _, y in rows] for _, x in rows]
    near, far = [], []
    for i, (mine, _) in enumerate(rows):
        near.append([cosine[i][j] for j, (other, _) in enumerate(rows) if other == mine and i != j])
        far.append(sorted((cosine[i][j] for j, (other, _) in enumerate(rows) if other != mine), reverse=True)[:hardest])

    def flat(some: list[list[float]]) -> list[float]:
        return list(itertools.chain.from_iterable(some))

    def distance(s: float) -> float:
        return math.sqrt(2 - 2 * s)

    if loss == "histogram":
        pairs, others = flat(near), flat(far)
        nodes = [-1 + 2 * r / 100 for r in range(101)]
        shares = [
            [sum(max(0, 1 - abs(s - node) * 50) for s in some) / len(some) for node in nodes]
            for some in (pairs, others)
        ]
        return sum(shares[1][r] * sum(shares[0][: r + 1]) for r in range(101))
    if loss == "binomial-deviance":
        own = [math.log1p(math.exp(-(s - 0.4))) for s in flat(near)]
        other = [math.log1p(math.exp(35 * (s - 0.4))) for s in flat(far)]
        return sum(own) / len(own) + sum(other) / len(other)
    value = 0.0
    for own_row, far_row in zip(near, far, strict=True):
        if loss == "contrastive":
            value += sum(distance(s) ** 2 for s in own_row) / 2
            value += sum(max(0.0, margin - distance(s)) ** 2 for s in far_row)
        elif loss == "margin":
            value += sum(max(0.0, distance(s) - boundary + margin) for s in own_row) / 2
            value += sum(max(0.0, boundary - distance(s) + margin) for s in far_row)
        else:
            for s, t in itertools.product(own_row, far_row):
                value += max(0.0, distance(s) ** 2 - distance(t) ** 2 + margin) / len(own_row)
    return value / len(rows)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("count", [2, 3])
def test_losses_are_the_equations(loss: str, count: int) -> None:
    z = views(count)
    objective = PairDistances(loss, "hard", count=4, margin=0.9, boundary=0.7)  # type: ignore[arg-type]
    expected = plain(z, loss, 4, 0.9, 0.7)
    torch.testing.assert_close(objective(*z), torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(sum(objective.terms(*z).values()), objective(*z))


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_differences(loss: str) -> None:
    z = [row.requires_grad_() for row in views(2, 4, 3, seed=3)]
    assert torch.autograd.gradcheck(PairDistances(loss, "all", margin=0.9), z)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("negatives", ["hard", "semi-hard", "random", "distance", "all"])
def test_collapse_duplicates_and_two_samples_have_finite_gradients(loss: str, negatives: str) -> None:
    for z in (torch.ones(4, 3), torch.zeros(4, 3), torch.randn(2, 3), torch.eye(3)[[0, 0, 1]]):
        one, two = z.clone().requires_grad_(), z.clone().requires_grad_()
        PairDistances(loss, negatives)(one, two).backward()  # type: ignore[arg-type]
        assert one.grad is not None
        assert one.grad.isfinite().all()


def test_length_order_of_views_and_of_samples_do_not_matter() -> None:
    z, order = views(3), torch.tensor([3, 1, 4, 0, 2])
    for loss in LOSSES:
        objective = PairDistances(loss, "hard", count=3)  # type: ignore[arg-type]
        value = objective(*z)
        torch.testing.assert_close(objective(*(7 * row for row in z)), value)
        torch.testing.assert_close(objective(z[2], z[0], z[1]), value)
        torch.testing.assert_close(objective(*(row[order] for row in z)), value)


def test_far_samples_and_equal_views_leave_nothing_to_do() -> None:
    z = torch.eye(4, dtype=torch.float64)
    for loss in ("contrastive", "margin", "triplet", "histogram"):
        assert PairDistances(loss, "all", margin=0.5, boundary=0.6)(z, z) == pytest.approx(0, abs=1e-6)  # type: ignore[arg-type]


def test_half_precision_is_widened() -> None:
    z = [row.to(torch.bfloat16) for row in views(2)]
    value = PairDistances()(*z)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, PairDistances()(*(row.float() for row in z)))


def chosen(negatives: str, likeness: Tensor, views: int = 2, count: int = 2, width: int = 8) -> list[set[int]]:
    n = len(likeness)
    other = torch.arange(n)[:, None] // views != torch.arange(n) // views
    near = torch.stack([likeness[i, i ^ 1] for i in range(n)])[:, None]
    best, counts = PairDistances("contrastive", negatives, count)._choose(likeness, near, other, width)  # type: ignore[arg-type]
    return [set(row[kept].tolist()) for row, kept in zip(best, counts, strict=True)]


def test_negatives_are_of_other_samples_and_as_near_as_asked() -> None:
    torch.manual_seed(0)
    u = torch.nn.functional.normalize(torch.randn(12, 4), dim=1)
    likeness = u @ u.T
    for i, (hard, semi, drawn, everyone) in enumerate(
        zip(*(chosen(name, likeness) for name in ("hard", "semi-hard", "random", "all")), strict=True)
    ):
        others = [j for j in range(12) if j // 2 != i // 2]
        by_distance = sorted(others, key=lambda j: -float(likeness[i, j]))
        assert hard == set(by_distance[:2])
        farther = [j for j in by_distance if likeness[i, j] < likeness[i, i ^ 1]]
        assert semi == set(farther[:2])
        assert len(drawn) == 2
        assert drawn <= set(others)
        assert everyone == set(others)


def test_random_negatives_are_drawn_evenly_and_by_distance_near_ones_more() -> None:
    torch.manual_seed(0)
    angle = torch.tensor([0.0, 0.01, 0.6, 0.61, 1.2, 1.21])  # distances of 0.6 and 1.1 from the first row
    u = torch.stack((angle.cos(), angle.sin()), 1)
    likeness = u @ u.T
    drawn = {name: torch.zeros(6) for name in ("random", "distance")}
    for _ in range(2000):
        for name, counts in drawn.items():
            counts[list(chosen(name, likeness, count=1, width=6)[0])] += 1
    assert drawn["random"][2:] / 2000 == pytest.approx([0.25] * 4, abs=0.04)
    distance = (2 - 2 * likeness[0, 2:]).sqrt()
    weight = distance**-4 * (1 - distance**2 / 4) ** -1.5
    assert (drawn["distance"][2:] / 2000).tolist() == pytest.approx((weight / weight.sum()).tolist(), abs=0.04)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "nothing"}, "not one of"),
        ({"negatives": "nearest"}, "not one of"),
        ({"count": 0}, "count must be positive"),
        ({"margin": 0.0}, "margin must be positive"),
    ],
)
def test_impossible_values_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PairDistances(**options)  # type: ignore[arg-type]


def test_one_view_or_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="two views"):
        PairDistances()(torch.randn(4, 3))
    with pytest.raises(ValueError, match="at least 2 samples"):
        PairDistances()(torch.randn(1, 3), torch.randn(1, 3))
