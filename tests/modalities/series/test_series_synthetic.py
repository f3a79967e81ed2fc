"""Made-up series: what is said of them is in them, and nothing else tells it."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import OptionError
from tacit.evaluation.probe import linear_probe
from tacit.modalities.series.synthetic import bursts, regimes


def halves(x: np.ndarray, y: np.ndarray) -> float:
    half = len(x) // 2
    return linear_probe(x[:half], y[:half], x[half:], y[half:]).accuracy


def test_bursts_are_what_their_class_says() -> None:
    x, y = bursts(400, 0, length=128, noise=0.0)
    assert x.dtype == np.float32
    assert np.array_equal(x, bursts(400, 0, length=128, noise=0.0)[0])
    assert sorted(set(y.tolist())) == list(range(8))
    spectrum = np.abs(np.fft.rfft(x)).sum(1)
    swing = spectrum[:, 4:12].argmax(1) + 4
    assert np.mean((swing >= 8) == (y // 4 == 1)) > 0.97
    # the burst: what is left above the swing
    high = np.fft.rfft(x)
    high[..., :14] = 0
    power = (np.fft.irfft(high) ** 2).sum(1)
    time = np.arange(128)
    middle = (power * time).sum(1) / power.sum(1)
    width = (power * np.abs(time - middle[:, None])).sum(1) / power.sum(1)
    assert np.median(width[y // 2 % 2 == 1]) > 1.3 * np.median(width[y // 2 % 2 == 0])
    # one that falls has its highest frequencies first
    top = high.copy()
    top[..., :25] = 0
    halved = [(np.fft.irfft(part) ** 2).sum(1) for part in (top, high - top)]
    first, last = ((p * time).sum(1) / p.sum(1) for p in halved)
    assert np.mean((first < last) == (y % 2 == 1)) > 0.9
    assert halves(np.concatenate((x.mean(2), x.std(2)), 1), y) < 0.3  # by chance 0.125


def test_regimes_tell_by_their_motif_alone() -> None:
    x, y = regimes(60, 0, length=768)
    assert x.shape == (60, 2, 768)
    assert y.shape == (60, 768)
    assert set(np.unique(y)) == {0, 1, 2, 3}
    turns = [np.diff(np.flatnonzero(np.diff(row, prepend=-1))) for row in y]
    assert all((t >= 96).all() and (t <= 256).all() for t in turns)
    pieces = x.reshape(60, 2, -1, 64).transpose(0, 2, 1, 3).reshape(-1, 2, 64)
    kinds = y.reshape(-1, 64)
    pure = (kinds == kinds[:, :1]).all(1)
    pieces, kinds = pieces[pure], kinds[pure, 0]
    simple = np.concatenate((pieces.mean(2), pieces.std(2)), 1)
    assert halves(simple, kinds) < 0.45  # by chance a quarter
    # the motif of a regime is the same in every recording: averaged where it fits, it tells the regimes apart
    clean, labels = regimes(1, 5, length=6000, noise=0.0, drift=0.0)
    motifs = []
    for kind in range(4):
        line = np.where(labels[0] == kind, clean[0], 0.0)
        begins = np.flatnonzero(np.diff((np.abs(line).sum(0) > 0).astype(int)) == 1) + 1
        motifs.append(np.mean([line[:, b : b + 22] for b in begins if b + 22 <= 6000], 0))
    units = [m / np.linalg.norm(m) for m in motifs]
    windows = np.lib.stride_tricks.sliding_window_view(pieces - pieces.mean(2, keepdims=True), 22, 2)
    fits = np.stack([np.einsum("bcns,cs->bn", windows, unit).max(1) for unit in units], 1)
    assert np.mean(fits.argmax(1) == kinds) > 0.8


def test_stays_hold_a_motif() -> None:
    with pytest.raises(OptionError, match="24"):
        regimes(1, stay=(10, 30))
