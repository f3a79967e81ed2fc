"""Signals compared by sign and size: the paper's figures, limits, and a slow reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tacit.errors import DataError
from tacit.evaluation.signals import pearson, si_snr, signal_dice
from tacit.objectives.signals import EPS, NegativePearson, SignalDice

SINE = torch.sin(2 * math.pi * torch.arange(1000) / 100)[None]


def hard(target: torch.Tensor, signal: torch.Tensor) -> float:
    return 1 - float(SignalDice(gate="hard")(signal, target))


@pytest.mark.parametrize(
    ("target", "signal", "squared", "dice"),
    [
        (0.1 * SINE, -0.1 * SINE, 0.0200, 0.0),
        (SINE, 0.5 * SINE, 0.1250, 0.6667),
        (SINE, 2 * SINE, 0.5000, 0.6667),
        (SINE, torch.zeros_like(SINE), 0.5000, 0.0),
    ],
)
def test_the_illustration_of_the_paper(target: torch.Tensor, signal: torch.Tensor, squared: float, dice: float) -> None:
    assert float((target - signal).square().mean()) == pytest.approx(squared, abs=6e-4)
    assert hard(target, signal) == pytest.approx(dice, abs=1e-4)
    assert signal_dice(target, signal, axis=1) == pytest.approx(dice, abs=1e-4)


def slow(target: np.ndarray, signal: np.ndarray, alpha: float | None) -> float:
    found = []
    for e, r in zip(target.reshape(-1, target.shape[-1]), signal.reshape(-1, target.shape[-1]), strict=True):
        inter = union = 0.0
        for a, b in zip(e, r, strict=True):
            gate = float(a * b > 0) if alpha is None else 1 / (1 + math.exp(-alpha * a * b))
            inter += min(abs(a) * gate, abs(b) * gate)
            union += abs(a) + abs(b)
        found.append((2 * inter + EPS) / (union + EPS))
    return sum(found) / len(found)


@pytest.mark.parametrize("alpha", [None, 1.0, 10.0])
def test_it_is_what_the_equation_says(alpha: float | None) -> None:
    random = np.random.default_rng(0)
    e, r = random.normal(size=(2, 3, 4, 17))
    kind = SignalDice(gate="hard") if alpha is None else SignalDice(alpha)
    assert 1 - float(kind(torch.from_numpy(r), torch.from_numpy(e))) == pytest.approx(slow(e, r, alpha), abs=1e-12)
    if alpha is None:
        assert signal_dice(e, r, axis=2) == pytest.approx(slow(e, r, None), abs=1e-12)
        swapped = (np.swapaxes(s, 1, 2) for s in (e, r))
        assert signal_dice(*swapped, axis=1) == pytest.approx(slow(e, r, None), abs=1e-12)


def test_limits_and_symmetry() -> None:
    e, r = torch.randn(2, 5, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert hard(e, e) == pytest.approx(1)
    assert hard(e, -e) == pytest.approx(0, abs=1e-6)
    assert hard(e, r) == pytest.approx(hard(r, e))
    assert 0 < hard(e, r) < 1
    for c in (0.25, 0.5, 2.0, 4.0):
        assert hard(e, c * e) == pytest.approx(2 * min(1, c) / (1 + c), abs=1e-6)
    assert hard(torch.zeros(2, 9), torch.zeros(2, 9)) == 1
    soft = [1 - float(SignalDice(alpha)(r, e)) for alpha in (10.0, 1e3, 1e6)]
    assert abs(soft[2] - hard(e, r)) < 1e-4 < abs(soft[0] - hard(e, r))


def test_a_gradient_comes_through_the_soft_gate() -> None:
    e = SINE.double()
    r = (-0.5 * SINE.double()).requires_grad_()
    SignalDice(10.0)(r, e).backward()
    assert r.grad is not None
    assert r.grad.abs().max() > 0  # the hard gate is shut everywhere here
    stiff = (-0.5 * SINE.double()).requires_grad_()
    SignalDice(gate="hard")(stiff, e).backward()
    assert stiff.grad.abs().max() < 1e-9
    assert torch.autograd.gradcheck(
        SignalDice(3.0), (torch.randn(2, 7, dtype=torch.float64, requires_grad=True), e[:, :7].expand(2, 7) + 0.1)
    )


def test_scaled_makes_weak_signals_count_as_strong_ones() -> None:
    e, r = torch.randn(2, 4, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    r = e + 0.3 * r
    weak = SignalDice(10.0)(0.01 * r, 0.01 * e)
    assert float(weak) > float(SignalDice(10.0)(r, e)) + 0.1
    scaled = SignalDice(10.0, scaled=True)
    assert float(scaled(0.01 * r, 0.01 * e)) == pytest.approx(float(scaled(r, e)), abs=1e-3)


@pytest.mark.parametrize("kind", [SignalDice(), SignalDice(scaled=True), SignalDice(gate="hard"), NegativePearson()])
def test_what_is_not_known_does_not_count(kind: torch.nn.Module) -> None:
    e, r = torch.randn(2, 3, 2, 20, generator=torch.Generator().manual_seed(2))
    length = torch.tensor([20, 7, 13])
    known = (torch.arange(20) < length[:, None])[:, None]
    apart = torch.stack([kind(r[b : b + 1, :, :n], e[b : b + 1, :, :n]) for b, n in enumerate(length.tolist())])
    torch.testing.assert_close(kind(r, e, known), apart.mean())


@pytest.mark.parametrize("kind", [SignalDice(), NegativePearson()])
def test_it_stays_finite_in_half_precision(kind: torch.nn.Module) -> None:
    for e in (torch.zeros(2, 8), torch.ones(2, 8), 1e4 * SINE[:, :8]):
        r = torch.zeros_like(e).requires_grad_()
        kind(r, e).backward()
        assert r.grad is not None
        assert r.grad.isfinite().all()
    e, r = torch.randn(2, 4, 30).bfloat16()
    assert kind(r, e).dtype == torch.float32
    assert kind(r, e) == kind(r.float(), e.float())


def test_correlation_and_noise_are_numpys() -> None:
    random = np.random.default_rng(3)
    e, r = random.normal(size=(2, 6, 50))
    wanted = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(e, r, strict=True)])
    assert pearson(e, r, axis=1) == pytest.approx(wanted)
    assert float(NegativePearson()(torch.from_numpy(r), torch.from_numpy(e))) == pytest.approx(1 - wanted, abs=1e-6)
    noise = random.normal(size=(4, 5000))
    signal = random.normal(size=(4, 5000))
    assert si_snr(signal, 3 * signal + 0.3 * noise, axis=1) == pytest.approx(20, abs=0.2)
    assert si_snr(signal, 3 * signal + 0.3 * noise + 7, axis=1) == pytest.approx(20, abs=0.2)
    assert pearson(np.ones((1, 5)), random.normal(size=(1, 5)), axis=1) == 0


def test_bad_signals_are_refused() -> None:
    e = np.random.default_rng(0).normal(size=(2, 9))
    with pytest.raises(DataError, match="one shape"):
        signal_dice(e, e[:, :8], axis=1)
    with pytest.raises(DataError, match="restored must hold floating numbers"):
        signal_dice(e, torch.ones(2, 9, dtype=torch.int64), axis=1)
    with pytest.raises(DataError, match="NaN"):
        signal_dice(np.full((2, 9), np.nan), e, axis=1)
    with pytest.raises(DataError, match="axis 2"):
        signal_dice(e, e, axis=2)
    with pytest.raises(TypeError, match="axis"):
        signal_dice(e, e)  # type: ignore[call-arg]
    with pytest.warns(UserWarning, match="mean"):
        signal_dice(e + 5, e, axis=1)
    for bad in (torch.ones(2, 9, dtype=torch.int64), torch.ones(2, 8)):
        with pytest.raises(ValueError, match=r"floating|one shape"):
            SignalDice()(bad, torch.ones(2, 9))
    for options in ({"alpha": 0.0}, {"gate": "ajar"}):
        with pytest.raises(ValueError, match=r"alpha|gate"):
            SignalDice(**options)  # type: ignore[arg-type]
