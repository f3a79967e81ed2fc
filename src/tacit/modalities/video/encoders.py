"""Encoders of videos."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, unknown
from tacit.modalities.video.resnet import VideoResNet
from tacit.modalities.video.spec import Spec
from tacit.modalities.video.tubelets import TubeletNet
from tacit.options import settle
from tacit.parts.wrapping import wrapped

LARGE = ("mc3_18", "r2plus1d_18", "r3d_18")
"""Networks of torchvision."""
SMALL = 64
"""Side up to which frames get a small network where there is no other word."""


def encoder_names() -> list[str]:
    """Names of the encoders: ``r3d`` and ``r2plus1d`` (small residual networks, with convolutions over time and space
    together and apart), ``vit`` (a transformer over tubelets, with tokens), and torchvision's ``r3d_18``, ``mc3_18``
    and ``r2plus1d_18``."""
    return sorted(("r2plus1d", "r3d", "vit", *LARGE))


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``vit`` where tokens are needed, else ``r3d``, or ``r2plus1d_18`` for large frames on a GPU."""
    if tokens:
        return "vit"
    return "r3d" if fast or max(spec.size) <= SMALL else "r2plus1d_18"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``[B, C, T, H, W] -> [B, dim]`` for the channels of ``spec``, of any length and size.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`tacit.modalities.video.resnet.VideoResNet`,
            :class:`tacit.modalities.video.tubelets.TubeletNet` or :class:`Large`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name == "vit":
        return TubeletNet(spec, **settle(options, TubeletNet, "encoder vit", skip=1))
    if name in ("r3d", "r2plus1d"):
        if "factored" in options:
            raise OptionError("factored is told by the encoder's name: r3d or r2plus1d")
        given = settle({**options, "factored": name == "r2plus1d"}, VideoResNet, f"encoder {name}", skip=1)
        return VideoResNet(spec, **given)
    if name in LARGE:
        return Large(name, spec, **settle(options, Large, f"encoder {name}", skip=2))
    raise unknown("encoder", name, encoder_names())


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on black clips of the spec's shape to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    return wrapped(module, torch.zeros(2, spec.channels, spec.frames, *spec.size))


class Large(nn.Module):
    """A network of torchvision without its classifier; the embedding has 512 numbers.

    Args:
        name: as torchvision has it.
        spec: of the data.
        pretrained: start from weights published by torchvision (Kinetics-400), which are fetched.

    Raises:
        OptionError: if the weights are for other channels, or cannot be fetched.
    """

    def __init__(self, name: str, spec: Spec, *, pretrained: bool = False) -> None:
        super().__init__()
        from torchvision.models import get_model

        if pretrained and spec.channels != 3:
            raise OptionError(f"the weights of '{name}' are for 3 channels, and the videos have {spec.channels}")
        try:
            model: Any = get_model(name, weights="DEFAULT" if pretrained else None)
        except OSError as error:
            raise OptionError(
                f"the weights of '{name}' cannot be fetched ({error}); go online once, or leave pretrained out"
            ) from error
        if spec.channels != 3:
            first = model.stem[0]
            model.stem[0] = nn.Conv3d(
                spec.channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False
            )
            nn.init.kaiming_normal_(model.stem[0].weight, mode="fan_out", nonlinearity="relu")
        self.dim = int(model.fc.in_features)
        model.fc = nn.Identity()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W] -> [B, 512]``."""
        return self.model(x)
