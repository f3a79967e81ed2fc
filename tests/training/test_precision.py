"""Precision and layout by hardware."""

import platform
from pathlib import Path

import pytest
import torch
from torch import nn

from tacit.modalities.image.encoders import make_encoder
from tacit.modalities.image.spec import Spec
from tacit.training import precision
from tacit.training.precision import channels_last, choose_precision, cpu_features

SPEC = Spec(3, (32, 32), (0.0,) * 3, (1.0,) * 3)
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx2", "avx512_bf16"}, "bf16-mixed"),
        ({"amx_bf16", "amx_tile"}, "bf16-mixed"),
        ({"avx2", "avx512_f"}, "32-true"),
        (set(), "32-true"),
    ],
)
def test_cpus_use_bf16_where_they_compute_in_it(monkeypatch, features, expected):
    monkeypatch.setattr(precision, "cpu_features", lambda: features)
    assert choose_precision("cpu") == expected


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "32-true"), ((8, 0), "bf16-mixed"), ((9, 0), "bf16-mixed")]
)
def test_gpus_use_bf16_from_sm80_on(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("cuda") == expected


def test_other_devices_use_float32():
    assert choose_precision("mps") == "32-true"


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists(), reason="needs Linux on x86-64"
)
def test_both_ways_to_ask_the_cpu_agree(monkeypatch):
    asked = cpu_features()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    read = cpu_features()
    for name in ("avx2", "avx512_bf16", "amx_bf16"):
        assert (name in asked) == (name in read)


def layouts(module):
    weights = [m.weight for m in module.modules() if isinstance(m, nn.Conv2d)]
    return {w.is_contiguous(memory_format=torch.channels_last) and not w.is_contiguous() for w in weights}


def test_convolutional_encoders_get_channels_last_and_give_the_same():
    encoder = make_encoder("convnet", SPEC).eval()
    x = torch.randn(4, 3, 32, 32)
    before = encoder(x)
    assert channels_last(encoder, CPU)
    assert layouts(encoder) == {True}
    torch.testing.assert_close(encoder(x), before, rtol=1e-4, atol=1e-5)


def test_transformers_and_other_ranks_are_left_alone():
    assert not channels_last(make_encoder("vit", SPEC), CPU)
    assert not channels_last(nn.Sequential(nn.Conv3d(2, 3, 3), nn.Conv3d(3, 3, 3)), CPU)
    assert not channels_last(nn.Sequential(nn.Conv1d(2, 3, 3), nn.Linear(3, 3)), CPU)


def test_the_layout_can_be_asked_for_and_refused():
    assert not channels_last(make_encoder("convnet", SPEC), CPU, False)
    vit = make_encoder("vit", SPEC)
    assert channels_last(vit, CPU, True)
    assert not channels_last(nn.Linear(2, 2), CPU, True)
