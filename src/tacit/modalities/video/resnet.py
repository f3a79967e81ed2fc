"""Small residual networks over space and time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, unknown
from tacit.modalities.video.spec import Spec


class VideoResNet(nn.Module):
    """Residual blocks of convolutions over time, rows and columns; the embedding is the mean over all places.

    The first convolution halves rows and columns of frames from 24 pixels on and quarters them from 96 on; every
    further stage doubles the width, halves rows and columns, and halves time while it has more than ``keep`` steps.

    Args:
        spec: of the data.
        factored: whether a convolution of 3x3x3 is one of 3x3 within frames and one of 3 over time, with a nonlinearity
            between and about as many weights: R(2+1)D.
        width: of the first stage.
        depth: number of stages.
        blocks: residual blocks of a stage.
        keep: steps in time below which it is not halved.
        norm: ``batch``, or ``group`` for a net in which no sample sees another.

    Source: Tran et al. 2018, A Closer Look at Spatiotemporal Convolutions for Action Recognition; smaller.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        factored: bool = False,
        width: int = 16,
        depth: int = 3,
        blocks: int = 1,
        keep: int = 4,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth), ("blocks", blocks), ("keep", keep)):
            if value < 1:
                raise OptionError(f"{name} must be at least 1, not {value}")
        if norm not in ("batch", "group"):
            raise unknown("norm", norm, ("batch", "group"))
        side = min(spec.size)
        first = 1 if side < 24 else 2 if side < 96 else 4
        self.stem = nn.Sequential(
            *_convolution(spec.channels, width, (1, first), factored, norm, kernel=7 if first == 4 else 3),
            nn.ReLU(inplace=True),
        )
        layers: list[nn.Module] = []
        before, steps = width, spec.frames
        for stage in range(depth):
            after = width << stage
            stride = (1, 1) if stage == 0 else (2 if steps > keep else 1, 2)
            steps = -(-steps // stride[0])
            for block in range(blocks):
                layers.append(Block(before, after, stride if block == 0 else (1, 1), factored, norm))
                before = after
        self.stages = nn.Sequential(*layers)
        self.dim = before

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W] -> [B, dim]``, of any length and size."""
        return self.stages(self.stem(x)).mean((2, 3, 4))


class Block(nn.Module):
    """Two convolutions and what comes in, added: ``[B, inputs, T, H, W] -> [B, outputs, T', H', W']``."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int], factored: bool, norm: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(inputs, outputs, stride, factored, norm),
            nn.ReLU(inplace=True),
            *_convolution(outputs, outputs, (1, 1), factored, norm),
        )
        self.short: nn.Module = nn.Identity()
        if inputs != outputs or stride != (1, 1):
            self.short = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, (stride[0], stride[1], stride[1]), bias=False), _norm(outputs, norm)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layers(x) + self.short(x))


def _convolution(
    inputs: int, outputs: int, stride: tuple[int, int], factored: bool, norm: str, kernel: int = 3
) -> list[nn.Module]:
    """A convolution over time and space with a norm after it, or one of each."""
    along, across = stride
    pad = kernel // 2
    if not factored:
        whole = _made(inputs, outputs, (3, kernel, kernel), (along, across, across), (1, pad, pad))
        return [whole, _norm(outputs, norm)]
    area = kernel * kernel
    between = max(1, 3 * area * inputs * outputs // (area * inputs + 3 * outputs))
    return [
        _made(inputs, between, (1, kernel, kernel), (1, across, across), (0, pad, pad)),
        _norm(between, norm),
        nn.ReLU(inplace=True),
        _made(between, outputs, (3, 1, 1), (along, 1, 1), (1, 0, 0)),
        _norm(outputs, norm),
    ]


def _made(
    inputs: int, outputs: int, kernel: tuple[int, int, int], stride: tuple[int, int, int], pad: tuple[int, int, int]
) -> nn.Module:
    made = nn.Conv3d(inputs, outputs, kernel, stride, pad, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made


def _norm(width: int, norm: str) -> nn.Module:
    return nn.BatchNorm3d(width) if norm == "batch" else nn.GroupNorm(math.gcd(8, width), width)
