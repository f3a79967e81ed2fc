"""Objectives over units against plain loops in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tacit.objectives.units import ChosenError, HiddenUnits, PatchMatching


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("alpha", [1.0, 0.0, 0.3])
def test_hidden_units_is_a_weighted_cross_entropy(alpha: float) -> None:
    o, codes = rows(2, 5, 4), rows(3, 4, seed=1)
    labels = torch.tensor([[0, 1, 2, 0, 1], [2, 2, 0, 1, 0]])
    hidden = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0]]).bool()
    valid = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]).bool()
    total, weights = 0.0, 0.0
    for b in range(2):
        for t in range(5):
            if not valid[b, t]:
                continue
            scores = []
            for code in codes:
                inner = sum(float(o[b, t, d] * code[d]) for d in range(4))
                scores.append(inner / float(o[b, t].norm() * code.norm()) / 0.1)
            error = math.log(sum(math.exp(s) for s in scores)) - scores[int(labels[b, t])]
            weight = alpha if hidden[b, t] else 1 - alpha
            total, weights = total + weight * error, weights + weight
    found = HiddenUnits(alpha)(o, codes, labels, hidden, valid)
    assert float(found) == pytest.approx(total / weights, rel=1e-9)


def test_hidden_units_of_nothing_is_zero_and_of_the_right_code_is_small() -> None:
    codes = torch.eye(4)
    labels = torch.tensor([[0, 1, 2, 3]])
    hidden = torch.ones(1, 4, dtype=torch.bool)
    assert float(HiddenUnits()(codes[None], codes, labels, ~hidden)) == 0
    assert float(HiddenUnits()(codes[None], codes, labels, hidden)) < 2e-4
    assert float(HiddenUnits()(codes[None], codes, labels.flip(1), hidden)) > 9
    with pytest.raises(ValueError, match="do not fit"):
        HiddenUnits()(codes[None], codes, labels[:, :2], hidden)
    for bad in ({"alpha": 1.1}, {"temperature": 0.0}):
        with pytest.raises(ValueError):
            HiddenUnits(**bad)


@pytest.mark.parametrize("axis", ["targets", "predictions"])
def test_patch_matching_is_infonce_within_each_sample(axis: str) -> None:
    c, x = rows(3, 4, 5), rows(3, 4, 5, seed=1)
    real = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]]).bool()
    errors, right = [], []
    for b in range(2):  # the third has but one patch, and nothing to tell it from
        places = [k for k in range(4) if real[b, k]]
        for i in places:
            pairs = [(i, j) if axis == "targets" else (j, i) for j in places]
            scores = np.array([float(c[b, p] @ x[b, t]) for p, t in pairs])
            own = float(c[b, i] @ x[b, i])
            errors.append(math.log(np.exp(scores).sum()) - own)
            right.append(own >= scores.max())
    objective = PatchMatching(axis)  # type: ignore[arg-type]
    assert float(objective(c, x, real)) == pytest.approx(np.mean(errors), rel=1e-9)
    assert float(objective.accuracy(c, x, real)) == pytest.approx(np.mean(right))


def test_silence_does_not_count_and_what_is_not_real_changes_nothing() -> None:
    objective = PatchMatching()
    c, x = rows(2, 4, 5), rows(2, 4, 5, seed=1)
    silent = x.clone()
    silent[1] = -3.0
    assert torch.allclose(objective(c, silent), objective(c[:1], x[:1]))
    assert float(objective(c[1:], silent[1:])) == 0
    real = torch.tensor([[1, 1, 1, 0]] * 2).bool()
    junk = c.clone()
    junk[:, 3] = 1e3
    assert torch.allclose(objective(junk, x, real), objective(c[:, :3], x[:, :3]))
    silent.requires_grad_()
    c.requires_grad_()
    objective(c, silent).backward()
    assert torch.isfinite(c.grad).all()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one shape"):
        objective(c, x[:, :2])
    with pytest.raises(ValueError, match="axis"):
        PatchMatching("both")  # type: ignore[arg-type]


@pytest.mark.parametrize("power", [1, 2])
def test_chosen_error_is_a_mean_over_the_chosen(power: int) -> None:
    a, b = rows(2, 3, 4), rows(2, 3, 4, seed=1)
    chosen = rows(2, 3, 4, seed=2) > 0.3
    triples = zip(a.flatten(), b.flatten(), chosen.flatten(), strict=True)
    wanted = np.mean([abs(float(p - q)) ** power for p, q, c in triples if c])
    assert float(ChosenError(power)(a, b, chosen)) == pytest.approx(wanted, rel=1e-9)
    assert float(ChosenError(power)(a, b, torch.zeros_like(chosen))) == 0
    with pytest.raises(ValueError, match="one shape"):
        ChosenError(power)(a, b, chosen.long())
    with pytest.raises(ValueError, match="power"):
        ChosenError(3)
