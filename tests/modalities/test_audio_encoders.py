"""Log-mel spectrograms and cepstra against plain formulas, and the encoders that stand on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.fft import dct

from tacit.errors import OptionError
from tacit.modalities import audio
from tacit.modalities.audio.frontend import FLOOR, LogMel, cepstra, mel_bands, standardised
from tacit.parts.tokens import TokenEncoder

SPEC = audio.Spec(8000, 2, 2400, True, 1.0, -3.0, 2.0)
SMALL = {
    "mel": {"width": 4, "depth": 2, "dim": 8},
    "spectrogram": {"width": 16, "depth": 1, "heads": 2},
    "frames": {"width": 16, "depth": 1, "heads": 2},
    "waveform": {"width": 16, "depth": 1, "heads": 2, "filters": 8},
}
every_encoder = pytest.mark.parametrize("name", audio.encoder_names())


def test_a_spectrogram_is_what_plain_transforms_give() -> None:
    mel = LogMel(8000, 20)
    x = np.random.default_rng(0).normal(size=1234)
    found = mel(torch.from_numpy(x)[None, None])[0, 0].numpy()
    assert found.shape == (20, math.ceil(1234 / 80))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(200) / 200)
    bands = mel_bands(8000, 20, mel.bins).double().numpy()
    weights = bands / bands.sum(1, keepdims=True)
    filled = np.concatenate([np.zeros(1000), x, np.zeros(1000)])
    for frame in (0, 7, 15):
        middle = 1000 + frame * 80 + 40
        piece = np.zeros(mel.bins)
        piece[:200] = filled[middle - 100 : middle + 100] * window
        power = np.abs(np.fft.rfft(piece)) ** 2 / (window**2).sum()
        assert np.allclose(found[:, frame], np.log(weights @ power + FLOOR), atol=1e-4)


@pytest.mark.parametrize(("rate", "mels"), [(8000, 64), (16_000, 40), (44_100, 128), (1000, 10)])
def test_every_band_holds_a_bin_and_white_noise_is_level(rate: int, mels: int) -> None:
    mel = LogMel(rate, mels)
    assert bool((mel.bands.sum(1) > 0).all())
    noise = torch.randn(4, 1, 4 * rate, generator=torch.Generator().manual_seed(0))
    power = mel.power(noise)[..., 5:-5].mean((0, 1, 3))
    assert float(power.log().abs().max()) < 0.25


def test_the_loudest_band_is_that_of_a_tone() -> None:
    mel = LogMel(8000, 40)
    for pitch in (300.0, 1000.0, 3000.0):
        tone = torch.sin(2 * math.pi * pitch * torch.arange(4000) / 8000)
        band = int(mel(tone[None, None])[0, 0].mean(1).argmax())
        middle = 700 * (10 ** ((band + 1) / 41 * math.log10(1 + 4000 / 700)) - 1)
        assert abs(middle - pitch) < 0.12 * pitch + 30


def test_too_many_bands_are_refused() -> None:
    with pytest.raises(OptionError, match="fewer than 5000"):
        LogMel(8000, 5000)
    with pytest.raises(OptionError, match="at least 1"):
        LogMel(8000, 0)


def test_cepstra_are_a_cosine_transform_with_differences() -> None:
    frames = torch.randn(2, 1, 20, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    count = torch.tensor([9, 6])
    found = cepstra(frames, count, 5)
    for i, n in enumerate((9, 6)):
        static = dct(frames[i, 0].numpy(), type=2, norm="ortho", axis=0)[:5]
        assert np.allclose(found[i, 0, :5, :n].numpy(), static[:, :n], atol=1e-6)

        def slope(row: np.ndarray, size: int = n) -> np.ndarray:
            at = lambda t: row[:, min(max(t, 0), size - 1)]  # noqa: E731
            return np.stack([sum(k * (at(t + k) - at(t - k)) for k in (1, 2)) / 10 for t in range(size)], 1)

        assert np.allclose(found[i, 0, 5:10, :n].numpy(), slope(static), atol=1e-6)
        assert np.allclose(found[i, 0, 10:, :n].numpy(), slope(slope(static)), atol=1e-6)
    with pytest.raises(OptionError, match="from 1 to 20"):
        cepstra(frames, None, 21)


def test_standardised_frames_have_no_mean_and_unit_variance() -> None:
    frames = torch.randn(2, 1, 4, 9, generator=torch.Generator().manual_seed(0)) * 3 + 5
    frames[1, ..., 6:] = 0
    frames[0, 0, 0] = 7.0  # a band that does not change
    found = standardised(frames, torch.tensor([9, 6]))
    assert not found[1, ..., 6:].any()
    assert not found[0, 0, 0].any()
    real = found[1, ..., :6]
    assert torch.allclose(real.mean(-1), torch.zeros(1, 4), atol=1e-5)
    assert torch.allclose(real.var(-1, correction=0), torch.ones(1, 4), atol=1e-3)


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    length = torch.tensor([2400, 1000, 37])
    x = torch.randn(3, 2, 2400, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(torch.arange(2400) >= length[:, None, None], 0), length


@every_encoder
def test_neither_padding_nor_neighbours_change_an_embedding(name: str) -> None:
    encoder = audio.make_encoder(name, SPEC, **SMALL[name]).eval()
    x, length = padded()
    found = encoder(x, length)
    assert found.shape == (3, encoder.dim)
    more = encoder(torch.nn.functional.pad(x, (0, 999)), length)
    assert torch.allclose(found, more, atol=1e-5)
    for i in range(3):
        alone = encoder(x[i : i + 1, :, : int(length[i])])
        assert torch.allclose(found[i], alone[0], atol=1e-5)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@every_encoder
def test_every_parameter_learns(name: str) -> None:
    encoder = audio.make_encoder(name, SPEC, **SMALL[name])
    encoder(*padded()).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in encoder.parameters())


@pytest.mark.parametrize("name", ["spectrogram", "frames", "waveform"])
def test_tokens_are_of_their_place_in_the_recording(name: str) -> None:
    encoder = audio.make_encoder(name, SPEC, **SMALL[name]).eval()
    assert isinstance(encoder, TokenEncoder)
    x, length = padded()
    tokens = encoder.tokenize(x, length=length)
    counts = {"spectrogram": [8 * 4, 8 * 2, 8], "frames": [30, 13, 1], "waveform": [15, 7, 1]}[name]
    assert tokens.counts().tolist() == counts
    assert tokens.target.shape[2] == encoder.target_dim
    assert tokens.valid is not None
    assert not tokens.target[~tokens.valid].any()
    assert float(tokens.position.min()) > 0
    assert float(tokens.position.max()) <= 1.07  # the last patch may reach beyond the longest recording
    # what happens late in a recording is not in its early tokens
    changed = x.clone()
    changed[0, :, 2000:] += torch.randn(2, 400)
    early = {"spectrogram": 16, "frames": 22, "waveform": 11}[name]
    if name != "frames":  # frames are standardised over the whole recording
        other = encoder.tokenize(changed, length=length)
        assert torch.allclose(other.x[0, :early], tokens.x[0, :early], atol=1e-5)
        assert not torch.allclose(other.x[0], tokens.x[0], atol=1e-3)


def test_patches_run_through_bands_and_then_time() -> None:
    encoder = audio.make_encoder("spectrogram", SPEC, mels=32, bands=16, steps=4, width=8, depth=1, heads=1)
    x, length = padded()
    frames, _ = encoder.frames(x, length)
    pieces = encoder.cut(x, length)
    assert encoder.rows == 2
    for token, (column, row) in ((0, (0, 0)), (1, (0, 1)), (5, (2, 1))):
        patch = frames[0, :, row * 16 : row * 16 + 16, column * 4 : column * 4 + 4]
        assert torch.equal(pieces.target[0, token], patch.flatten())
    assert pieces.known is not None
    assert pieces.known[2].sum() == 2 * 2 * 16  # two patches, two channels, 16 bands, one frame
    assert pieces.position[5].tolist() == pytest.approx([10 / 30, 0.75])


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_tokens_of_samples_come_every_20_ms(rate: int) -> None:
    spec = audio.Spec(rate, 1, rate, False, 1.0, -3.0, 2.0)
    encoder = audio.make_encoder("waveform", spec, width=8, depth=1, heads=1, filters=4)
    assert encoder.hop == pytest.approx(0.02 * rate, rel=0.05)
    x = torch.randn(2, 1, rate)
    assert encoder.surface(x).shape == (2, -(-rate // encoder.hop), 39)
    assert encoder.surface_dim == 39


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("mel", {"depth": 0}, "depth"),
        ("spectrogram", {"bands": 7}, "divide mels"),
        ("waveform", {"strides": (0,)}, "strides"),
        ("frames", {"heads": 3}, "multiple of heads"),
        ("resnet", {}, "unknown encoder"),
    ],
)
def test_impossible_encoders_are_refused(name: str, options: dict[str, object], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        audio.make_encoder(name, SPEC, **options)


def test_any_module_is_an_encoder() -> None:
    made = audio.wrap_encoder(torch.nn.Conv1d(2, 6, 5), SPEC)
    assert made.dim == 6
    assert made(padded()[0]).shape == (3, 6)
