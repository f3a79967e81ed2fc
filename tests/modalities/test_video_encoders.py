"""Encoders of videos: shapes, what they see, and tokens that are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tacit.errors import OptionError
from tacit.modalities import video
from tacit.modalities.video.resnet import VideoResNet
from tacit.modalities.video.tubelets import TubeletNet, patch_for
from tacit.parts.tokens import TokenEncoder


def spec(channels: int = 3, size: tuple[int, int] = (24, 20), frames: int = 8) -> video.Spec:
    return video.Spec(channels, size, frames, 2 * frames, (0.5,) * channels, (0.25,) * channels)


SMALL = {
    "r3d": {"width": 4, "depth": 2},
    "r2plus1d": {"width": 4, "depth": 2},
    "vit": {"width": 16, "depth": 1, "heads": 2},
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_clips_of_any_shape_become_vectors(name: str, channels: int) -> None:
    encoder = video.make_encoder(name, spec(channels), **SMALL[name])
    for shape in ((8, 24, 20), (4, 12, 10), (3, 7, 5), (1, 24, 20)):
        out = encoder(torch.randn(2, channels, *shape))
        assert out.shape == (2, encoder.dim)
        assert bool(out.isfinite().all())
    assert set(video.encoder_names()) >= set(SMALL)
    with pytest.raises(OptionError, match="did you mean 'r3d'"):
        video.make_encoder("r3", spec())


@pytest.mark.parametrize("name", SMALL)
def test_the_order_of_frames_counts(name: str) -> None:
    encoder = video.make_encoder(name, spec(), **SMALL[name]).eval()
    x = torch.randn(2, 3, 8, 24, 20)
    with torch.no_grad():
        ahead, back = encoder(x), encoder(x.flip(2))
    assert float((ahead - back).abs().max()) > 1e-3


def test_a_factored_convolution_has_about_as_many_weights() -> None:
    whole, apart = (
        sum(p.numel() for m in VideoResNet(spec(), factored=f).modules() if isinstance(m, nn.Conv3d)
            for p in m.parameters())
        for f in (False, True)
    )  # fmt: skip
    assert abs(apart / whole - 1) < 0.02
    kernels = {m.kernel_size for m in VideoResNet(spec(), factored=True).modules() if isinstance(m, nn.Conv3d)}
    assert kernels == {(1, 3, 3), (3, 1, 1), (1, 1, 1)}


@pytest.mark.parametrize(("frames", "steps"), [(16, 4), (8, 4), (4, 4), (32, 8), (3, 3)])
def test_time_is_halved_while_there_is_much_of_it(frames: int, steps: int) -> None:
    encoder = VideoResNet(spec(frames=frames), width=4, depth=3)
    out = encoder.stages(encoder.stem(torch.randn(1, 3, frames, 24, 20)))
    assert out.shape == (1, 16, steps, 6, 5)
    assert encoder.dim == 16


def test_group_norm_lets_no_sample_see_another() -> None:
    x = torch.randn(4, 3, 8, 24, 20)
    for norm, alone in (("group", True), ("batch", False)):
        encoder = VideoResNet(spec(), width=8, depth=1, norm=norm).train()
        assert torch.allclose(encoder(x)[:2], encoder(x[:2]), atol=1e-5) is alone


def test_tubelets_are_boxes_of_pixels_in_space_and_time() -> None:
    encoder = TubeletNet(spec(size=(8, 12), frames=4), patch=4, width=16, depth=1, heads=2)
    x = torch.arange(2 * 3 * 4 * 8 * 12, dtype=torch.float32).reshape(2, 3, 4, 8, 12)
    tokens = encoder.tokenize(x)
    assert isinstance(encoder, TokenEncoder)
    assert tokens.target.shape == (2, 2 * 2 * 3, encoder.target_dim)
    assert tokens.known is None
    number = 0
    for t in range(2):
        for row in range(2):
            for column in range(3):
                box = x[:, :, 2 * t : 2 * t + 2, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                assert torch.equal(tokens.target[:, number], box.flatten(1))
                wanted = torch.tensor([(t + 0.5) / 2, (row + 0.5) / 2, (column + 0.5) / 3])
                assert torch.allclose(tokens.position[number], wanted)
                number += 1


def test_what_does_not_fill_a_tubelet_is_no_target() -> None:
    encoder = TubeletNet(spec(size=(8, 8), frames=4), patch=4, span=2, width=16, depth=1, heads=2)
    x = torch.randn(2, 3, 3, 6, 8)
    tokens = encoder.tokenize(x)
    assert tokens.known is not None
    assert int(tokens.known[0].sum()) == 3 * 3 * 6 * 8
    assert not tokens.target[~tokens.known].any()
    assert torch.equal(tokens.target[0][tokens.known[0]].sort().values, x[0].flatten().sort().values)
    # half of the data's clips is half the time
    assert torch.allclose(encoder.tokenize(x[:, :, :2]).position[:, 0], torch.tensor(0.25))


def test_hidden_tokens_are_not_looked_at() -> None:
    encoder = TubeletNet(spec(size=(8, 8), frames=4), width=16, depth=2, heads=2).eval()
    x = torch.randn(2, 3, 4, 8, 8)
    tokens = encoder.tokenize(x)
    keep = torch.tensor([[0, 3, 7], [1, 2, 5]])
    other = tokens.x.clone()
    hidden = torch.ones(2, tokens.x.shape[1], dtype=torch.bool).scatter_(1, keep, False)
    other[hidden] += 1
    with torch.no_grad():
        assert torch.allclose(encoder.encode_tokens(tokens.x, keep), encoder.encode_tokens(other, keep), atol=1e-6)
        assert torch.allclose(encoder(x), encoder.encode_tokens(tokens.x).mean(1), atol=1e-5)


def test_patches_are_about_a_quarter_of_a_frame() -> None:
    assert [patch_for((side, side)) for side in (4, 16, 24, 32, 64, 112, 224)] == [1, 4, 6, 8, 16, 16, 16]
    assert patch_for((20, 30)) == 5


@pytest.mark.parametrize("channels", [1, 3])
def test_networks_of_torchvision_come_by_name(channels: int) -> None:
    encoder = video.make_encoder("r3d_18", spec(channels, (16, 16), 4)).eval()
    with torch.no_grad():
        assert encoder(torch.randn(1, channels, 4, 16, 16)).shape == (1, 512)
    assert encoder.dim == 512
    if channels == 1:
        with pytest.raises(OptionError, match="for 3 channels"):
            video.make_encoder("r3d_18", spec(1), pretrained=True)


def test_any_module_is_an_encoder() -> None:
    own = video.wrap_encoder(nn.Conv3d(3, 7, 3), spec())
    assert own(torch.randn(2, 3, 8, 24, 20)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("r3d", {"width": 0}, "width"),
        ("r3d", {"norm": "layer"}, "norm"),
        ("r2plus1d", {"factored": False}, "encoder's name"),
        ("vit", {"patch": 0}, "patch and span"),
        ("vit", {"width": 30, "heads": 4}, "multiple of heads"),
        ("vit", {"size": 3}, "option of encoder vit"),
    ],
)
def test_impossible_options_are_named(name: str, options: dict, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        video.make_encoder(name, spec(), **options)


def test_pictures_for_the_report_are_frames_in_rows() -> None:
    from tacit.modalities.video import plots

    facts = spec(size=(24, 20), frames=9)
    frames = torch.linspace(0, 1, 9)[None, None, :, None, None].expand(2, 3, 9, 24, 20)
    mean, std = (torch.tensor(v)[:, None, None, None] for v in (facts.mean, facts.std))
    made = plots.as_seen({"x": (frames - mean) / std}, facts, 96)
    assert made.shape == (2, 3 * 25 - 1, 3 * 21 - 1, 3)
    seen = [int(made[0, 25 * (k // 3) + 12, 21 * (k % 3) + 10, 0]) for k in range(9)]
    assert np.allclose(seen, np.linspace(0, 255, 9), atol=1)
    small = plots.as_seen({"x": (frames[:, :, :4, :12, :10] - mean) / std}, facts, 48)
    assert small.shape == plots.as_seen({"x": frames}, facts, 48).shape
    assert max(small.shape[1:3]) <= 48
    grey = plots.as_seen({"x": torch.randn(1, 1, 4, 8, 8)}, spec(1, (8, 8), 4))
    assert grey.shape == (1, 17, 17, 3)
    assert "lines of text" in plots.caption(grey)
