"""Made-up speech whose words, speakers and sounds are known exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import OptionError

RATE = 8000
HOP = 80
"""Samples from one entry of :attr:`Utterances.phones` to the next: 10 ms."""
PHONES = ("a", "e", "i", "o", "u", "m", "s", "f")
VOICED = np.array([True, True, True, True, True, True, False, False])
FORMANTS = np.array(
    [
        (750, 1250, 2500),
        (500, 1850, 2550),
        (290, 2250, 3000),
        (480, 850, 2450),
        (310, 700, 2300),
        (250, 1100, 2150),
        (2300, 3000, 3600),
        (900, 1800, 2700),
    ]
)
"""Resonances of each sound in Hz, for a vocal tract of length 1; those of vowels near the means of American men."""
BANDWIDTHS = np.array([(90, 110, 170)] * 5 + [(70, 200, 250)] + [(500, 500, 500)] + [(900, 900, 900)])
WEIGHTS = np.array([(1.0, 0.55, 0.3)] * 5 + [(0.8, 0.12, 0.08)] + [(0.15, 0.3, 0.35)] + [(0.12, 0.14, 0.12)])
WORDS = 10
"""Words that there are; each is three of the sounds, and has a partner of the same sounds in another order."""
_SPELT = ("sam", "mas", "fim", "mif", "aio", "oia", "emu", "ume", "fus", "suf")
CHUNK = 128


class Utterances(NamedTuple):
    """Recordings and all that is known of them.

    Attributes:
        sounds: float32 ``[T_i]`` each, at 8 kHz.
        words: int64 ``[N]``.
        speakers: int64 ``[N]``.
        phones: the sound (an index into :data:`PHONES`) around each 10 ms of each recording, -1 in silence: int64
            ``[ceil(T_i / 80)]`` each.
    """

    sounds: list[NDArray[np.float32]]
    words: NDArray[np.int64]
    speakers: NDArray[np.int64]
    phones: list[NDArray[np.int64]]


def utterances(
    count: int,
    seed: int = 0,
    *,
    words: int = WORDS,
    speakers: int = 20,
    noise: tuple[float, float] = (5.0, 30.0),
    colour: float = 6.0,
    silence: tuple[int, int] = (2, 9),
) -> Utterances:
    """Words said by made-up speakers.

    A word is an order of three sounds, a speaker a pitch, a length of the vocal tract (which scales all resonances), a
    tilt of the spectrum and a breathiness. Drawn for each recording, whatever its word: the length of each sound and of
    the silence around them, the course of the pitch, loudness, the colour of the microphone, and white noise. Partners
    among the words share all sounds, so neither the mean spectrum nor the length of a recording tells the word.

    Sounds are made as speech is: pulses of the pitch (a sum of all harmonics below half the rate) or noise, through a
    filter with three resonances that glide from one sound to the next.

    Args:
        count: number of recordings, N.
        seed: of everything but the words; other seeds have other speakers.
        words: how many different ones, from 2 to 10.
        speakers: how many different ones.
        noise: range of the ratio of signal to noise, in decibels.
        colour: standard deviation of the microphone's gain at five frequencies, in decibels.
        silence: range of the silence before a word, and of that after it, in units of 10 ms.

    Raises:
        OptionError: for a number of words, speakers or recordings out of range.
    """
    if not 2 <= words <= WORDS:
        raise OptionError(f"words must be from 2 to {WORDS}, not {words}")
    if speakers < 1 or count < 1:
        raise OptionError(f"there must be at least one speaker and one recording, not {speakers} and {count}")
    random = np.random.default_rng([seed, 0xA0D10])
    pitch = np.exp(random.uniform(np.log(85), np.log(250), speakers))
    # people with high voices have short vocal tracts, by and large
    tract = np.clip(1.0 + 0.18 * np.log(pitch / 145) / np.log(1.7) + random.normal(0, 0.05, speakers), 0.8, 1.3)
    tilt, breath = random.uniform(3, 9, speakers), random.uniform(0.02, 0.12, speakers)
    word, who = random.integers(0, words, count), random.integers(0, speakers, count)

    spelling = np.array([[PHONES.index(letter) for letter in spelt] for spelt in _SPELT])
    spoken = np.concatenate([np.full((count, 1), -1), spelling[word], np.full((count, 1), -1)], 1)
    hops = random.integers(7, 15, (count, 5))  # of 10 ms
    low, high = silence
    hops[:, 0], hops[:, 4] = random.integers(low, high + 1, count), random.integers(low, high + 1, count)
    frames = hops.sum(1)
    longest = int(frames.max())
    ends = hops.cumsum(1)
    place = np.arange(longest)
    part = np.minimum((place[None, :, None] >= ends[:, None]).sum(2), 4)
    phones = np.take_along_axis(spoken, part, 1)

    slope, bend = random.normal(0, 0.12, count), random.normal(0, 0.06, count)
    loud = 10 ** (random.normal(0, 6, count) / 20)
    ratio = random.uniform(*noise, count)
    gains = random.normal(0, colour, (count, 5))
    sounds: list[NDArray[np.float32]] = []
    for start in range(0, count, CHUNK):
        rows = slice(start, start + CHUNK)
        time = place / frames[rows, None] - 0.5
        f0 = pitch[who[rows], None] * np.exp(slope[rows, None] * -time + bend[rows, None] * np.cos(2 * np.pi * time))
        envelope = _envelope(phones[rows], tract[who[rows]], tilt[who[rows]], gains[rows])
        voiced = np.where(phones[rows] >= 0, VOICED[phones[rows]], False)
        made = _spoken(f0, envelope, voiced, breath[who[rows]], random)
        for row, i in enumerate(range(start, start + len(made))):
            said = made[row, : frames[i] * HOP]
            said = said / np.sqrt(np.mean(said**2))
            rough = random.normal(0, 10 ** (-ratio[i] / 20), len(said))
            sounds.append((0.1 * loud[i] * (said + rough)).astype(np.float32))
    truth = [phones[i, : frames[i]].astype(np.int64) for i in range(count)]
    return Utterances(sounds, word.astype(np.int64), who.astype(np.int64), truth)


BINS = 256
"""Of the transform that filters: 32 ms."""


def _envelope(
    phones: NDArray[Any], tract: NDArray[Any], tilt: NDArray[Any], gains: NDArray[Any]
) -> NDArray[np.float64]:
    """Gain at each 10 ms and frequency: ``[B, F, BINS // 2 + 1]``, zero in silence."""
    frequency = np.linspace(0, RATE / 2, BINS // 2 + 1)
    table = [FORMANTS * 1.0, BANDWIDTHS * 1.0, WEIGHTS * 1.0]
    near = _carried(phones)
    centre, width, weight = (_smooth(values[near], 2) for values in table)  # sounds glide into each other
    loudness = _smooth((phones >= 0).astype(float)[..., None], 1)
    total = np.zeros((*phones.shape, len(frequency)))
    for k in range(3):
        middle = (centre[..., k] * tract[:, None])[..., None]
        total += weight[..., k, None] / (1 + ((frequency - middle) / (width[..., k, None] / 2)) ** 2)
    octaves = np.log2(np.maximum(frequency, 100) / 500)
    shape = 10 ** (-tilt[:, None] * octaves.clip(0) / 20)
    knots = np.linspace(0, RATE / 2, gains.shape[1])
    microphone = 10 ** (np.stack([np.interp(frequency, knots, row) for row in gains]) / 20)
    return (total + 0.003) * loudness * (shape * microphone)[:, None]


def _carried(phones: NDArray[Any]) -> NDArray[Any]:
    """Silence as the sound before it, or the first one: what the tract is shaped like then."""
    place = np.where(phones >= 0, np.arange(phones.shape[1]), -1)
    last = np.maximum.accumulate(place, 1)
    last = np.where(last >= 0, last, (phones >= 0).argmax(1)[:, None])
    return np.take_along_axis(phones, last, 1)


def _smooth(values: NDArray[Any], reach: int) -> NDArray[Any]:
    """Means over ``2 * reach + 1`` frames, ``[B, F, k]``."""
    wide = np.pad(values, ((0, 0), (reach, reach), (0, 0)), mode="edge")
    sums = np.pad(wide, ((0, 0), (1, 0), (0, 0))).cumsum(1)
    return (sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1]) / (2 * reach + 1)


def _spoken(
    f0: NDArray[Any], envelope: NDArray[Any], voiced: NDArray[Any], breath: NDArray[Any], random: np.random.Generator
) -> NDArray[np.float64]:
    """Pulses and noise through a filter that changes every 10 ms: ``[B, F * HOP]``."""
    samples = f0.shape[1] * HOP
    along = np.arange(samples) / HOP - 0.5
    pitch = np.stack([np.interp(along, np.arange(f0.shape[1]), row) for row in f0])
    phase = 2 * np.pi * (pitch.cumsum(1) / RATE + random.uniform(0, 1, (len(f0), 1)))
    top = np.floor(RATE / 2 / pitch.max(1, keepdims=True)) + 0.5
    half = np.sin(phase / 2)
    half = np.where(np.abs(half) < 1e-9, 1e-9, half)
    pulses = np.sin(top * phase) / (2 * half) - 0.5  # the sum of all harmonics, each of amplitude 1
    pulses /= np.sqrt((top - 0.5) / 2)
    voice = _smooth(voiced.astype(float)[..., None], 1).repeat(HOP, 1)[..., 0]
    hiss = random.normal(0, 1, pulses.shape)
    source = voice * (pulses + breath[:, None] * hiss) + (1 - voice) * hiss
    taps = torch.hann_window(BINS, dtype=torch.float64)
    spectrum = torch.stft(torch.from_numpy(source), BINS, HOP, window=taps, return_complex=True)
    # frames of the transform lie around multiples of 10 ms, and the envelope is of what lies between
    gain = np.concatenate([envelope[:, :1], (envelope[:, 1:] + envelope[:, :-1]) / 2, envelope[:, -1:]], 1)
    spectrum = spectrum * torch.from_numpy(gain).transpose(1, 2)
    return torch.istft(spectrum, BINS, HOP, window=taps, length=samples).numpy()


def sample(count: int = 64, seed: int = 0) -> tuple[Any, NDArray[np.int64]]:
    """A small data set with labels, of different lengths: what ``open_source`` takes."""
    made = utterances(count, seed, words=4, speakers=4)
    return [sound[::2] for sound in made.sounds], made.words
