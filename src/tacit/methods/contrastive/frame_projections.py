"""Frame projections: the same series in three bases, each with its own encoder, in place of augmented views."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.contrastive import NTXent
from tacit.parts.bases import LEAST, SHARPEST, FourierNet, Phase, WaveletNet, line_mapper, scales
from tacit.parts.heads import mlp
from tacit.registry import register
from tacit.views.base import alike


@register(
    "frame-projections",
    kind="method",
    family="contrastive",
    title="Learning Without Augmenting: Unsupervised Time Series Representation Learning via Frame Projections",
    year=2025,
    url="https://arxiv.org/abs/2510.22655",
    basis="code",
    modalities=("series",),
)
class FrameProjections(Method):
    """A series, its spectrum and its wavelet coefficients go through three encoders, and in each pair of bases a series
    is told from the others by NT-Xent. Nothing is augmented. Predictors bring the series' projection near the other
    two.

    For use there is the encoder of the series alone, with two tiny mappers that say what the other two would have given
    (``three-bases``). The paper trains these when the rest is done; here they learn beside it, from vectors that carry
    no gradient.

    Args:
        encoder: ``three-bases``; what bases there are is its option (``encoder.bases``). Series must all have the
            length that it was built for.
        temperature: of NT-Xent.
        out: width of the projections, an even number.
        weight: of the distance of predicted projections, the L1 norm averaged over samples.
        scales: of the wavelets, from 2 steps a cycle to 128, or the length if that is less. The paper begins with 1,
            which is a frequency that sampled series do not have.
        width: of the first stage of the spectrum's encoder; the wavelets' has twice as much.
        phase: ``angle`` as in the paper, or ``circle``; see :func:`tacit.parts.bases.fourier`.

    Raises:
        OptionError: for another encoder, series that are padded, of another length or shorter than 16 steps, or an
            impossible value.
    """

    recipe: ClassVar[str] = "plain"
    preferred: ClassVar[str | None] = "three-bases"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        temperature: float = 0.15,
        out: int = 128,
        weight: float = 1.0,
        scales: int = 48,
        width: int = 16,
        phase: Phase = "angle",
    ) -> None:
        super().__init__(encoder)
        if not hasattr(encoder, "mappers"):
            raise OptionError(
                f"frame-projections needs an encoder that maps to other bases, which {type(encoder).__name__} is not; "
                "say --encoder three-bases"
            )
        if out < 2 or out % 2 or width < 1 or weight < 0:
            raise OptionError(
                f"out must be even, width at least 1 and weight not negative, not {out}, {width} and {weight}"
            )
        made: Any = encoder
        channels, self.length, part = made.channels, made.length, made.part
        if self.length < LEAST:
            raise OptionError(f"frame-projections needs series of at least {LEAST} steps, not {self.length}")
        self.others = nn.ModuleDict()
        for name in made.mappers:
            if name == "fourier":
                self.others[name] = FourierNet(channels, self.length, part, width, phase)
            else:
                at = wavelet_scales(scales, self.length)
                self.others[name] = WaveletNet(channels, self.length, part, at, 2 * width)
        names = ["time", *self.others]
        self.projectors = nn.ModuleDict({name: mlp([part, part, out], "none") for name in names})
        self.predictors = nn.ModuleDict({name: line_mapper(64) for name in self.others})
        self.weight = weight
        self.objective = NTXent(temperature)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        x = alike(batch["views"][0], "frame-projections")
        if x.shape[2] != self.length:
            raise OptionError(
                f"this frame-projections was built for series of {self.length} steps, and these have {x.shape[2]}"
            )
        encoder: Any = self.encoder
        h = {"time": encoder.time(x)} | {name: net(x) for name, net in self.others.items()}
        z = {name: self.projectors[name](vector) for name, vector in h.items()}
        losses = {f"{a}-{b}": self.objective(z[a], z[b]) for a, b in itertools.combinations(z, 2)}
        unit = {name: F.normalize(vector.float(), dim=1) for name, vector in z.items()}
        predicted = [apart(self.predictors[name](unit["time"]), unit[name]).sum(1).mean() for name in self.others]
        mapped = [apart(encoder.mappers[name](h["time"].detach()), h[name].detach()).mean() for name in self.others]
        losses["predicted"] = self.weight * torch.stack(predicted).sum()
        losses["mapped"] = torch.stack(mapped).sum()
        return losses


def wavelet_scales(count: int, length: int) -> Tensor:
    """The scales for series of some length; see :func:`tacit.parts.bases.scales`."""
    return scales(count, SHARPEST, float(min(128, length)))


def apart(one: Tensor, other: Tensor) -> Tensor:
    """How far numbers are apart, in full precision."""
    return (one.float() - other.float()).abs()
