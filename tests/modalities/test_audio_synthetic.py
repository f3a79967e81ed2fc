"""What the made-up words are said to be is really in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.evaluation.knn import knn_accuracy
from tacit.modalities.audio.frontend import LogMel
from tacit.modalities.audio.synthetic import FORMANTS, HOP, PHONES, RATE, VOICED, utterances

CLEAN = {"noise": (60.0, 60.0), "colour": 0.0}


def test_the_same_seed_repeats_and_another_does_not() -> None:
    one, two, other = utterances(6, 1), utterances(6, 1), utterances(6, 2)
    assert all(np.array_equal(a, b) for a, b in zip(one.sounds, two.sounds, strict=True))
    assert not np.array_equal(one.sounds[0][:1000], other.sounds[0][:1000])
    assert all(np.isfinite(sound).all() and sound.dtype == np.float32 for sound in one.sounds)


def test_the_truth_is_as_long_as_the_sound_and_spells_the_word() -> None:
    made = utterances(40, 0)
    spelt: dict[int, set[tuple[int, ...]]] = {}
    for sound, word, phones in zip(made.sounds, made.words, made.phones, strict=True):
        assert len(phones) == -(-len(sound) // HOP)
        kept = phones[np.flatnonzero(np.diff(phones, prepend=-2))]
        assert kept[0] == kept[-1] == -1
        spelt.setdefault(int(word), set()).add(tuple(kept[1:-1]))
    assert all(len(spellings) == 1 for spellings in spelt.values())
    orders = [next(iter(s)) for s in spelt.values()]
    assert len(set(orders)) == len(orders)
    partners = [sum(sorted(a) == sorted(b) for b in orders) for a in orders]
    assert max(partners) == 2


def test_silence_is_silent_and_sounds_are_loud() -> None:
    made = utterances(30, 3, **CLEAN)
    for sound, phones in zip(made.sounds, made.phones, strict=True):
        power = np.array([np.mean(part**2) for part in np.split(sound, len(phones))])
        assert power[phones < 0][[0, -1]].max() < 0.02 * power[phones >= 0].mean()


def test_resonances_and_voicing_are_those_of_the_phones() -> None:
    made = utterances(120, 5, speakers=30, **CLEAN)
    mel = LogMel(RATE, 40, HOP)
    spectra: dict[int, list[np.ndarray]] = {}
    for sound, phones in zip(made.sounds, made.phones, strict=True):
        frames = mel(torch.from_numpy(sound)[None, None])[0, 0].T.numpy()
        steady = np.convolve(phones == np.roll(phones, 2), np.ones(3), "same") == 3  # away from the glides
        for phone in range(len(PHONES)):
            spectra.setdefault(phone, []).append(frames[(phones == phone) & steady])
    mean = {phone: np.concatenate(rows).mean(0) for phone, rows in spectra.items()}
    top = 2595 * np.log10(1 + 4000 / 700)
    middles = 700 * (10 ** (np.arange(1, 41) / 41 * top / 2595) - 1)

    def level(phone: str, low: float, high: float) -> float:
        return float(mean[PHONES.index(phone)][(middles >= low) & (middles < high)].mean())

    # front vowels have little between their first two resonances, back vowels little above the second
    assert level("i", 1900, 2700) > level("i", 700, 1500) + 1
    assert level("u", 300, 900) > level("u", 1300, 1900) + 1
    assert level("s", 2500, 4000) > level("s", 100, 900) + 1
    assert level("a", 600, 1400) > level("a", 1700, 2200)
    assert FORMANTS.shape == (len(PHONES), 3)
    # voiced sounds repeat after a period, noise does not
    periodic: dict[bool, list[float]] = {True: [], False: []}
    for sound, phones in zip(made.sounds, made.phones, strict=True):
        for phone in set(phones[phones >= 0].tolist()):
            at = np.flatnonzero(phones == phone)
            piece = sound[at[2] * HOP : (at[-1] - 1) * HOP].astype(np.float64)
            lags = range(30, min(110, len(piece) // 2))
            alike = max(float(np.corrcoef(piece[lag:], piece[:-lag])[0, 1]) for lag in lags)
            periodic[bool(VOICED[phone])].append(alike)
    assert np.median(periodic[True]) > 0.8
    assert np.median(periodic[False]) < 0.6


def test_speakers_differ_in_pitch_and_not_in_words() -> None:
    made = utterances(2000, 7, speakers=10)
    table = np.zeros((10, 10))
    np.add.at(table, (made.speakers, made.words), 1)
    assert table.min() > 5
    assert abs(np.corrcoef(made.words, made.speakers)[0, 1]) < 0.06


def test_neither_length_nor_loudness_tells_the_word() -> None:
    train, test = utterances(600, 11), utterances(300, 12)
    rows = [
        np.array([[len(s) / 4000, 0.2 * np.log(np.mean(s**2))] for s in part.sounds]) - [[1.0, -0.8]]
        for part in (train, test)
    ]
    assert knn_accuracy(rows[0], train.words, rows[1], test.words) < 0.2


@pytest.mark.parametrize("options", [{"words": 1}, {"words": 11}, {"speakers": 0}])
def test_impossible_numbers_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        utterances(4, **options)
